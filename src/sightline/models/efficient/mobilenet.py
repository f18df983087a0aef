"""MobileNet v1: Howard et al. 2017, arXiv:1704.04861. A 3x3, then thirteen separable convolutions, a mean, a linear
head.

    stride   channels      separable convolutions
    2        32 → 64       1, behind the first 3x3
    4        128           2
    8        256           2
    16       512           6
    32       1024          2

28 layers, counting depthwise and 1x1 separately. `width` scales the channels of every layer; the paper's second
multiplier, of the resolution, is a smaller image. With norms, in millions of parameters and of multiply-adds at
224x224:

    width    1             0.75          0.5           0.25
             4.23, 568.7   2.59, 325.4   1.33, 149.5   0.47, 41.0

The paper's table prints stride 2 at the last depthwise convolution, but the size in its next row implies 1. Its text
uses ReLU, the default here; the code that its authors published, and timm, use ReLU6 (`activation`). Padding is one
zero on each side, as in timm. The paper gives no initialisation: convolutions use He's Gaussian of variance 2 / fan-in,
norms 1 and 0, the head torch's default.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Literal

from jaxtyping import Float
from torch import Tensor, nn

from sightline.errors import UsageError
from sightline.layers.convolution.separable import Separable
from sightline.layers.initialise import he
from sightline.models.catalogue import MODELS
from sightline.models.residual.resnet import conv3x3
from sightline.models.sizes import require_at_least

DEPTHS = (1, 2, 2, 6, 2)
CHANNELS = (64, 128, 256, 512, 1024)


class MobileNet(nn.Module):
    """Maps images to class scores, or to maps at strides 2, 4, 8, 16, 32.

    width          multiplier of the published channels; no layer has fewer than 8
    activation     relu as in the paper's text, or relu6 as in its authors' code and timm
    small_images   for images of about 32 pixels: the first two strides are 1, so maps are at 1, 1, 2, 4, 8
    """

    def __init__(
        self,
        *,
        in_channels: int = 3,
        num_classes: int = 1000,
        width: float = 1.0,
        activation: Literal["relu", "relu6"] = "relu",
        small_images: bool = False,
    ) -> None:
        super().__init__()
        if width <= 0:
            raise UsageError(f"width={width} leaves nothing", "use a multiplier above 0, such as 0.5")
        self.input_size = (in_channels, 32, 32) if small_images else (in_channels, 224, 224)
        self.smallest = 5 if small_images else 17  # the last strided layer then reads two pixels
        first, *channels = (max(round(width * c), 8) for c in (32, *CHANNELS))
        self.channels = tuple(channels)
        self.conv1, self.bn1 = conv3x3(in_channels, first, 1 if small_images else 2), nn.BatchNorm2d(first)
        rectifier = nn.ReLU if activation == "relu" else nn.ReLU6
        self.relu = rectifier(inplace=True)
        separable = partial(Separable, activation=rectifier)

        def stage(inputs: int, outputs: int, depth: int, stride: int) -> nn.Sequential:
            rest = (separable(outputs, outputs) for _ in range(depth - 1))
            return nn.Sequential(separable(inputs, outputs, stride=stride), *rest)

        c1, c2, c3, c4, c5 = self.channels
        self.layer1 = stage(first, c1, DEPTHS[0], stride=1)
        self.layer2 = stage(c1, c2, DEPTHS[1], stride=1 if small_images else 2)
        self.layer3 = stage(c2, c3, DEPTHS[2], stride=2)
        self.layer4 = stage(c3, c4, DEPTHS[3], stride=2)
        self.layer5 = stage(c4, c5, DEPTHS[4], stride=2)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(c5, num_classes) if num_classes else nn.Identity()
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                he(layer.weight)

    def features(self, x: Float[Tensor, "b c h w"]) -> list[Float[Tensor, "b _ _ _"]]:
        """(b, 64, h/2, w/2), (b, 128, h/4, w/4), (b, 256, h/8, w/8), (b, 512, h/16, w/16), (b, 1024, h/32, w/32) at width 1."""
        require_at_least(x, self.input_size[0], self.smallest)
        x = self.relu(self.bn1(self.conv1(x)))  # (b, 32, h/2, w/2)
        c1 = self.layer1(x)  # (b, 64, h/2, w/2)
        c2 = self.layer2(c1)  # (b, 128, h/4, w/4)
        c3 = self.layer3(c2)  # (b, 256, h/8, w/8)
        c4 = self.layer4(c3)  # (b, 512, h/16, w/16)
        c5 = self.layer5(c4)  # (b, 1024, h/32, w/32)
        return [c1, c2, c3, c4, c5]

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b k"]:
        """Class scores (b, num_classes); with num_classes=0 the feature vector (b, channels[-1])."""
        return self.fc(self.avgpool(self.features(x)[-1]).flatten(1))


_TIMM = {"conv_stem": "conv1", "conv_dw": "depthwise", "conv_pw": "pointwise", "classifier": "fc"} | {
    f"blocks.{i}": f"layer{i + 1}" for i in range(5)
}


def as_timm(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """timm's state dict of a `mobilenetv1_…` under the names used here."""
    renamed = {}
    for key, value in state.items():
        for theirs, ours in _TIMM.items():
            key = key.replace(theirs, ours)
        renamed[key] = value
    return renamed


def unlike_timm(network: MobileNet) -> str:
    """The note for timm's weights in this network."""
    if isinstance(network.relu, nn.ReLU6):
        return ""
    return "they were trained with ReLU6; set activation=relu6 to get timm's outputs"


# ----------------------------------------------------------------------------------------------------------- variants
@MODELS.register
def mobilenet_v1(**options) -> MobileNet:
    """MobileNet, Howard et al. 2017, arXiv:1704.04861, table 1: 4.2 M parameters at (3, 224, 224)."""
    return MobileNet(**options)


@MODELS.register
def mobilenet_v1_075(**options) -> MobileNet:
    """MobileNet with width multiplier 0.75, Howard et al. 2017, arXiv:1704.04861, table 6.

    2.6 M parameters at (3, 224, 224).
    """
    return MobileNet(width=0.75, **options)


@MODELS.register
def mobilenet_v1_050(**options) -> MobileNet:
    """MobileNet with width multiplier 0.5, Howard et al. 2017, arXiv:1704.04861, table 6.

    1.3 M parameters at (3, 224, 224).
    """
    return MobileNet(width=0.5, **options)


@MODELS.register
def mobilenet_v1_025(**options) -> MobileNet:
    """MobileNet with width multiplier 0.25, Howard et al. 2017, arXiv:1704.04861, table 6.

    470,072 parameters at (3, 224, 224).
    """
    return MobileNet(width=0.25, **options)
