"""The classifier on which YOLO is built: Redmon, Divvala, Girshick & Farhadi 2016, "You only look once" (arXiv:1506.02640).

Twenty convolutions in five stages, each leaky (slope 0.1) and without a norm, with max pooling between the stages; then
average pooling and a dense layer, for 224x224 pixels (section 2.2). The paper gives it no name; its authors' program
calls it Extraction. The detector keeps the convolutions and sees 448x448 pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

from jaxtyping import Float
from torch import Tensor, nn

from sightline.errors import UsageError
from sightline.models.catalogue import MODELS
from sightline.models.residual.resnet import norm2d
from sightline.models.sizes import require_at_least

Norm = Literal["none", "batch", "group"]
SLOPE = 0.1  # of the leaky rectifiers, equation 2 of the paper


class Convolution(NamedTuple):
    """A square convolution: the side of its kernel, its channels at width 1, its stride."""

    kernel: int
    channels: int
    stride: int = 1


_PAIR_3 = (Convolution(1, 256), Convolution(3, 512))
_PAIR_4 = (Convolution(1, 512), Convolution(3, 1024))
STAGES = (
    (Convolution(7, 64, 2),),
    (Convolution(3, 192),),
    (Convolution(1, 128), Convolution(3, 256), *_PAIR_3),
    (*_PAIR_3 * 4, *_PAIR_4),
    _PAIR_4 * 2,
)


def scaled(channels: int, width: float) -> int:
    """Channels at this width. UsageError where none remain."""
    if int(channels * width) < 1:
        raise UsageError(f"width={width} leaves {channels} channels none", "use a factor such as 0.25")
    return int(channels * width)


def convolutions(inputs: int, layers: Sequence[Convolution], *, width: float, norm: Norm) -> nn.Sequential:
    """Convolutions with a leaky rectifier each, padded so that only strides make maps smaller."""
    steps: list[nn.Module] = []
    for layer in layers:
        outputs = scaled(layer.channels, width)
        plain = norm == "none"
        steps.append(nn.Conv2d(inputs, outputs, layer.kernel, layer.stride, layer.kernel // 2, bias=plain))
        if norm != "none":
            steps.append(norm2d(norm, outputs))
        steps.append(nn.LeakyReLU(SLOPE, inplace=True))
        inputs = outputs
    return nn.Sequential(*steps)


def initialise_leaky(network: nn.Module) -> None:
    """He's Gaussian for the slope of the leaky rectifiers, so that signals keep their size through 24 layers without norms."""
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(layer.weight, a=SLOPE)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


class Extraction(nn.Module):
    """Maps images to class scores, or to a map for each stage.

    width   factor on the channels of all convolutions
    norm    "batch" or "group" behind every convolution, for training from scratch; the paper has none
    stages  the convolutions of each stage; a max pooling by 2 lies between two stages
    """

    def __init__(
        self,
        stages: Sequence[Sequence[Convolution]] = STAGES,
        *,
        in_channels: int = 3,
        num_classes: int = 1000,
        width: float = 1.0,
        norm: Norm = "none",
    ) -> None:
        super().__init__()
        self.input_size = (in_channels, 224, 224)
        self.channels = tuple(scaled(stage[-1].channels, width) for stage in stages)
        strided = 2 if stages[0][0].stride == 2 else 1
        self.smallest = strided * 2 ** (len(stages) - 1) - strided + 1  # the last map then has one pixel
        inputs = (in_channels, *self.channels)
        self.stages = nn.ModuleList(
            convolutions(i, stage, width=width, norm=norm) for i, stage in zip(inputs, stages, strict=False)
        )
        self.pool = nn.MaxPool2d(2)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(self.channels[-1], num_classes) if num_classes else nn.Identity()
        initialise_leaky(self)

    def features(self, x: Float[Tensor, "b c h w"]) -> list[Float[Tensor, "b _ _ _"]]:
        """The last map of each stage, at strides 2, 4, 8, 16, 32 with `self.channels` channels."""
        require_at_least(x, self.input_size[0], self.smallest)
        maps: list[Tensor] = []
        for stage in self.stages:
            maps.append(stage(self.pool(maps[-1]) if maps else x))
        return maps

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b k"]:
        """Class scores (b, num_classes); with num_classes=0 the feature vector (b, channels[-1])."""
        return self.fc(self.avgpool(self.features(x)[-1]).flatten(1))


@MODELS.register
def extraction(**options) -> Extraction:
    """The classifier under YOLO, Redmon et al. 2016, arXiv:1506.02640, section 2.2: 23.4 M parameters at (3, 224, 224)."""
    return Extraction(STAGES, **options)
