"""ResNet: a stem, four stages of residual blocks y = relu(f(x) + x), a linear head.

    He, Zhang, Ren & Sun 2015, arXiv:1512.03385. Other families change one idea of it: wider or grouped blocks in `resnext`,
    f(x) scaled by attention in `resnet_attention`, norms before weights in `preact_resnet`

Parameter names are torchvision's, so its weights load with strict=True. A bottleneck has its stride at the 3x3 (the
"v1.5" of torchvision and NVIDIA); the paper's, at the first 1x1, are the `_v1` variants. Initialisation is
torchvision's: convolutions from He's Gaussian of variance 2 / fan-out (arXiv:1502.01852), norms with 1 and 0, the head
as torch's Linear.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Literal

from jaxtyping import Float
from torch import Tensor, nn

from sightline.errors import UsageError
from sightline.layers.initialise import he_out
from sightline.models.catalogue import MODELS
from sightline.models.sizes import require_at_least


def conv1x1(inputs: int, outputs: int, stride: int = 1) -> nn.Conv2d:
    """1x1 convolution without bias: (b, inputs, h, w) → (b, outputs, h/stride, w/stride)."""
    return nn.Conv2d(inputs, outputs, 1, stride, bias=False)


def conv3x3(inputs: int, outputs: int, stride: int = 1, groups: int = 1, dilation: int = 1) -> nn.Conv2d:
    """3x3 convolution without bias, padded by its dilation: (b, inputs, h, w) → (b, outputs, h/stride, w/stride)."""
    return nn.Conv2d(inputs, outputs, 3, stride, padding=dilation, dilation=dilation, groups=groups, bias=False)


Norm = Literal["batch", "group"]
Stride = Literal["3x3", "1x1"]
Attention = Callable[[int], nn.Module]


def norm2d(norm: Norm, channels: int) -> nn.Module:
    """Batch norm, or group norm with 32 groups (or the largest common divisor of 32 and the channels)."""
    return nn.BatchNorm2d(channels) if norm == "batch" else nn.GroupNorm(math.gcd(32, channels), channels)


def shortcut(inputs: int, outputs: int, stride: int, norm: Norm = "batch") -> nn.Module | None:
    """A projection where the shape changes (the paper's option B), else None."""
    if stride == 1 and inputs == outputs:
        return None
    return nn.Sequential(conv1x1(inputs, outputs, stride), norm2d(norm, outputs))


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut."""

    expansion = 1

    def __init__(
        self,
        inputs: int,
        planes: int,
        stride: int,
        *,
        dilation: int = 1,
        groups: int = 1,
        base_width: int = 64,
        stride_on: Stride = "3x3",
        norm: Norm = "batch",
        attention: Attention | None = None,
    ) -> None:
        super().__init__()
        if groups != 1 or base_width != 64 or stride_on != "3x3":
            raise UsageError(
                "groups, base_width and stride_on change a bottleneck; this network has none", "use resnet50 or deeper"
            )
        self.conv1, self.bn1 = conv3x3(inputs, planes, stride, dilation=dilation), norm2d(norm, planes)
        self.conv2, self.bn2 = conv3x3(planes, planes, dilation=dilation), norm2d(norm, planes)
        self.attention = attention(planes) if attention else None
        self.downsample = shortcut(inputs, planes, stride, norm)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d i j"]:
        """(b, inputs, h, w) → (b, planes, h/stride, w/stride)."""
        y = self.relu(self.bn1(self.conv1(x)))  # (b, planes, h/s, w/s)
        y = self.bn2(self.conv2(y))  # (b, planes, h/s, w/s)
        if self.attention is not None:
            y = self.attention(y)
        return self.relu(y.add_(x if self.downsample is None else self.downsample(x)))


class Bottleneck(nn.Module):
    """1x1 down, 3x3, 1x1 up, and a shortcut. `base_width` widens the 3x3, `groups` splits it."""

    expansion = 4

    def __init__(
        self,
        inputs: int,
        planes: int,
        stride: int,
        *,
        dilation: int = 1,
        groups: int = 1,
        base_width: int = 64,
        stride_on: Stride = "3x3",
        norm: Norm = "batch",
        attention: Attention | None = None,
    ) -> None:
        super().__init__()
        width, outputs = planes * base_width // 64 * groups, planes * self.expansion
        if width < 1:
            raise UsageError(
                f"base_width={base_width} leaves {planes} planes no channels", "use a larger base_width or widen"
            )
        early, late = (stride, 1) if stride_on == "1x1" else (1, stride)
        self.conv1, self.bn1 = conv1x1(inputs, width, early), norm2d(norm, width)
        self.conv2, self.bn2 = conv3x3(width, width, late, groups, dilation), norm2d(norm, width)
        self.conv3, self.bn3 = conv1x1(width, outputs), norm2d(norm, outputs)
        self.attention = attention(outputs) if attention else None
        self.downsample = shortcut(inputs, outputs, stride, norm)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d i j"]:
        """(b, inputs, h, w) → (b, 4 · planes, h/stride, w/stride)."""
        y = self.relu(self.bn1(self.conv1(x)))  # (b, width, h, w); h/s, w/s where the stride is here
        y = self.relu(self.bn2(self.conv2(y)))  # (b, width, h/s, w/s)
        y = self.bn3(self.conv3(y))  # (b, outputs, h/s, w/s)
        if self.attention is not None:
            y = self.attention(y)
        return self.relu(y.add_(x if self.downsample is None else self.downsample(x)))


class ResNet(nn.Module):
    """Maps images to class scores, or to a pyramid of maps.

    groups, base_width    of a bottleneck's 3x3: number of groups (ResNeXt), and width of each at 64 planes (Wide)
    widen                 factor on the channels of all stages; the stem keeps its 64 (Wide ResNet of basic blocks)
    stride_on             the convolution of a bottleneck that has the stride
    attention             a function from channels to a layer that scales f(x) before the sum (SE, CBAM)
    small_images          a 3x3 stem without stride and pooling, for images of about 32 pixels
    norm                  "group" where batches are too small for batch statistics; parameter names do not change
    output_stride         of the last map: at 16 or 8 the last one or two stages dilate instead of striding (Chen et al.
                          2014, arXiv:1412.7062; torchvision's replace_stride_with_dilation). Small images: a quarter of it
    """

    def __init__(
        self,
        block: type[BasicBlock] | type[Bottleneck],
        depths: tuple[int, int, int, int],
        *,
        in_channels: int = 3,
        num_classes: int = 1000,
        groups: int = 1,
        base_width: int = 64,
        widen: float = 1.0,
        stride_on: Stride = "3x3",
        attention: Attention | None = None,
        small_images: bool = False,
        norm: Norm = "batch",
        output_stride: int = 32,
    ) -> None:
        super().__init__()
        if output_stride not in (8, 16, 32):
            raise UsageError(f"output_stride={output_stride} cannot be built", "use 8, 16 or 32")
        if int(64 * widen) < 1:
            raise UsageError(f"widen={widen} leaves no channels", "use a factor such as 1.5")
        self.input_size = (in_channels, 32, 32) if small_images else (in_channels, 224, 224)
        stride = output_stride // 4 if small_images else output_stride
        self.smallest = stride // 2 + 1  # the last strided layer then reads two pixels
        planes = tuple(int(widen * planes) for planes in (64, 128, 256, 512))
        self.channels = tuple(block.expansion * p for p in planes)
        stem = nn.Conv2d(in_channels, 64, 7, stride=2, padding=3, bias=False)
        self.conv1 = conv3x3(in_channels, 64) if small_images else stem
        self.maxpool = nn.Identity() if small_images else nn.MaxPool2d(3, stride=2, padding=1)
        self.bn1 = norm2d(norm, 64)
        self.relu = nn.ReLU(inplace=True)

        make = partial(block, groups=groups, base_width=base_width, stride_on=stride_on, norm=norm, attention=attention)

        def stage(inputs: int, planes: int, depth: int, stride: int, dilation: int = 1) -> nn.Sequential:
            """`depth` blocks; the first keeps the dilation of the stage before, as in torchvision."""
            first = make(inputs, planes, stride, dilation=max(dilation // 2, 1))
            rest = (make(planes * block.expansion, planes, 1, dilation=dilation) for _ in range(depth - 1))
            return nn.Sequential(first, *rest)

        c2, c3, c4, c5 = self.channels
        d4, d5 = max(16 // output_stride, 1), max(32 // output_stride, 1)
        self.layer1 = stage(64, planes[0], depths[0], stride=1)
        self.layer2 = stage(c2, planes[1], depths[1], stride=2)
        self.layer3 = stage(c3, planes[2], depths[2], stride=2 if d4 == 1 else 1, dilation=d4)
        self.layer4 = stage(c4, planes[3], depths[3], stride=2 if d5 == 1 else 1, dilation=d5)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(c5, num_classes) if num_classes else nn.Identity()
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                he_out(layer.weight)

    def features(self, x: Float[Tensor, "b c h w"]) -> list[Float[Tensor, "b _ _ _"]]:
        """Four maps at strides 4, 8, 16, 32 (small images: 1, 2, 4, 8; none above `output_stride`) with `self.channels`."""
        require_at_least(x, self.input_size[0], self.smallest)
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))  # (b, 64, h/4, w/4)
        c2 = self.layer1(x)  # (b, 256, h/4, w/4); channels of a bottleneck, a quarter for BasicBlock
        c3 = self.layer2(c2)  # (b, 512, h/8, w/8)
        c4 = self.layer3(c3)  # (b, 1024, h/16, w/16)
        c5 = self.layer4(c4)  # (b, 2048, h/32, w/32)
        return [c2, c3, c4, c5]

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b k"]:
        """Class scores (b, num_classes); with num_classes=0 the feature vector (b, channels[-1])."""
        return self.fc(self.avgpool(self.features(x)[-1]).flatten(1))


# ----------------------------------------------------------------------------------------------------------- variants
@MODELS.register
def resnet18(**options) -> ResNet:
    """ResNet-18, He et al. 2015, arXiv:1512.03385, table 1: 11.7 M parameters at (3, 224, 224)."""
    return ResNet(BasicBlock, (2, 2, 2, 2), **options)


@MODELS.register
def resnet34(**options) -> ResNet:
    """ResNet-34, He et al. 2015, arXiv:1512.03385, table 1: 21.8 M parameters at (3, 224, 224)."""
    return ResNet(BasicBlock, (3, 4, 6, 3), **options)


@MODELS.register
def resnet50(**options) -> ResNet:
    """ResNet-50, He et al. 2015, arXiv:1512.03385, table 1: 25.6 M parameters at (3, 224, 224)."""
    return ResNet(Bottleneck, (3, 4, 6, 3), **options)


@MODELS.register
def resnet101(**options) -> ResNet:
    """ResNet-101, He et al. 2015, arXiv:1512.03385, table 1: 44.5 M parameters at (3, 224, 224)."""
    return ResNet(Bottleneck, (3, 4, 23, 3), **options)


@MODELS.register
def resnet152(**options) -> ResNet:
    """ResNet-152, He et al. 2015, arXiv:1512.03385, table 1: 60.2 M parameters at (3, 224, 224)."""
    return ResNet(Bottleneck, (3, 8, 36, 3), **options)


@MODELS.register
def resnet200(**options) -> ResNet:
    """ResNet-200 with post-activation blocks; depths of He et al. 2016, arXiv:1603.05027.

    64.7 M parameters at (3, 224, 224).
    """
    return ResNet(Bottleneck, (3, 24, 36, 3), **options)


# strides at the first 1x1, as in the paper
@MODELS.register
def resnet50_v1(**options) -> ResNet:
    """ResNet-50 as published, stride at the first 1x1, He et al. 2015, arXiv:1512.03385, table 1.

    25.6 M parameters at (3, 224, 224).
    """
    return resnet50(stride_on="1x1", **options)


@MODELS.register
def resnet101_v1(**options) -> ResNet:
    """ResNet-101 as published, stride at the first 1x1, He et al. 2015, arXiv:1512.03385, table 1.

    44.5 M parameters at (3, 224, 224).
    """
    return resnet101(stride_on="1x1", **options)


@MODELS.register
def resnet152_v1(**options) -> ResNet:
    """ResNet-152 as published, stride at the first 1x1, He et al. 2015, arXiv:1512.03385, table 1.

    60.2 M parameters at (3, 224, 224).
    """
    return resnet152(stride_on="1x1", **options)
