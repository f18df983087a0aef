"""Darknet-53: Redmon & Farhadi 2018, "YOLOv3: an incremental improvement" (arXiv:1804.02767), table 1.

53 layers with weights: 52 convolutions with batch norm and a leaky rectifier of slope 0.1, and the dense layer. Five
times a convolution of stride 2 doubles the channels, followed by 1, 2, 8, 8, 4 blocks x + f(x), in which f halves the
channels by a 1x1 convolution and restores them by a 3x3. The last rectifier lies inside f: the sum is not rectified.

Parameter names are timm's, whose network is the same with slope 0.01.
"""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn

from sightline.models.catalogue import MODELS
from sightline.models.residual.resnet import Norm, norm2d
from sightline.models.sizes import require_at_least

SLOPE = 0.1
DEPTHS = (1, 2, 8, 8, 4)
WIDTHS = (64, 128, 256, 512, 1024)


class ConvNorm(nn.Module):
    """A convolution without bias, a norm and a leaky rectifier: (b, inputs, h, w) → (b, outputs, h / stride, w / stride)."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, *, norm: Norm = "batch") -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
        self.bn = norm2d(norm, outputs)
        self.act = nn.LeakyReLU(SLOPE, inplace=True)
        nn.init.kaiming_normal_(self.conv.weight, a=SLOPE)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d i j"]:
        """Maps (b, inputs, h, w) → (b, outputs, h / stride, w / stride)."""
        return self.act(self.bn(self.conv(x)))


class DarkBlock(nn.Module):
    """x + f(x), f a 1x1 convolution to half the channels and a 3x3 back."""

    def __init__(self, channels: int, norm: Norm) -> None:
        super().__init__()
        self.conv1 = ConvNorm(channels, channels // 2, 1, norm=norm)
        self.conv2 = ConvNorm(channels // 2, channels, 3, norm=norm)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """(b, c, h, w) → (b, c, h, w)."""
        return x + self.conv2(self.conv1(x))


class DarkStage(nn.Module):
    """A convolution of stride 2, then blocks."""

    def __init__(self, inputs: int, outputs: int, depth: int, norm: Norm) -> None:
        super().__init__()
        self.conv_down = ConvNorm(inputs, outputs, 3, 2, norm=norm)
        self.blocks = nn.Sequential(*(DarkBlock(outputs, norm) for _ in range(depth)))

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d i j"]:
        """(b, inputs, h, w) → (b, outputs, h / 2, w / 2)."""
        return self.blocks(self.conv_down(x))


class Darknet(nn.Module):
    """Maps images to class scores, or to five maps.

    width   factor on all channels, which stay even
    norm    "group" where batches are too small for batch statistics; parameter names do not change
    """

    def __init__(
        self,
        depths: tuple[int, ...],
        *,
        in_channels: int = 3,
        num_classes: int = 1000,
        width: float = 1.0,
        norm: Norm = "batch",
    ) -> None:
        super().__init__()
        self.input_size = (in_channels, 256, 256)
        self.smallest = 2 ** (len(depths) - 1) + 1  # the last strided convolution then reads two pixels
        self.channels = tuple(even(w, width) for w in WIDTHS)
        first = even(32, width)
        self.stem = nn.Sequential()
        self.stem.add_module("conv1", ConvNorm(in_channels, first, 3, norm=norm))
        inputs = (first, *self.channels)
        self.stages = nn.ModuleList(
            DarkStage(i, o, depth, norm) for i, o, depth in zip(inputs, self.channels, depths, strict=False)
        )
        self.head = nn.Sequential()
        self.head.add_module("global_pool", nn.AdaptiveAvgPool2d(1))
        self.head.add_module("flatten", nn.Flatten(1))
        self.head.add_module("fc", nn.Linear(self.channels[-1], num_classes) if num_classes else nn.Identity())

    def features(self, x: Float[Tensor, "b c h w"]) -> list[Float[Tensor, "b _ _ _"]]:
        """Five maps at strides 2, 4, 8, 16, 32 with `self.channels` channels."""
        require_at_least(x, self.input_size[0], self.smallest)
        x, maps = self.stem(x), []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return maps

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b k"]:
        """Class scores (b, num_classes); with num_classes=0 the feature vector (b, channels[-1])."""
        return self.head(self.features(x)[-1])


def even(channels: int, width: float) -> int:
    """Channels at this width: an even number, at least two."""
    return max(int(channels * width) // 2 * 2, 2)


@MODELS.register
def darknet53(**options) -> Darknet:
    """Darknet-53 (Redmon & Farhadi 2018, arXiv:1804.02767, table 1): 41.6 M parameters at (3, 256, 256)."""
    return Darknet(DEPTHS, **options)
