"""MobileNetV2: Sandler, Howard, Zhu, Zhmoginov & Chen 2018, arXiv:1801.04381. Inverted residuals with linear bottlenecks.

    operator             input       expansion   channels   blocks   stride
    conv 3x3             224 x 224   -                 32        1        2
    bottleneck           112 x 112   1                 16        1        1
    bottleneck           112 x 112   6                 24        2        2
    bottleneck            56 x 56    6                 32        3        2
    bottleneck            28 x 28    6                 64        4        2
    bottleneck            14 x 14    6                 96        3        1
    bottleneck            14 x 14    6                160        3        2
    bottleneck             7 x 7     6                320        1        1
    conv 1x1, mean, dense  7 x 7     -               1280        1        1

3,504,872 parameters; 300,774,272 multiply-adds (table 4 of the paper: 3.4 M and 300 M). `width` scales the channels of all
layers but the last 1x1, which widens only above 1. Weights as torchvision draws them: He's Gaussian of variance 2 / fan-out,
the head a Gaussian of deviation 0.01. Its files load with strict=True after `as_torchvision`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from jaxtyping import Float
from torch import Tensor, nn

from sightline.errors import UsageError
from sightline.layers.convolution.mbconv import MBConv, convolution, whole_channels
from sightline.layers.dropout import require_share
from sightline.layers.initialise import initialise
from sightline.models.catalogue import MODELS
from sightline.models.sizes import require_at_least

from .efficientnet import Stage

STAGES = (
    Stage(expansion=1, kernel=3, stride=1, channels=16, layers=1),
    Stage(expansion=6, kernel=3, stride=2, channels=24, layers=2),
    Stage(expansion=6, kernel=3, stride=2, channels=32, layers=3),
    Stage(expansion=6, kernel=3, stride=2, channels=64, layers=4),
    Stage(expansion=6, kernel=3, stride=1, channels=96, layers=3),
    Stage(expansion=6, kernel=3, stride=2, channels=160, layers=3),
    Stage(expansion=6, kernel=3, stride=1, channels=320, layers=1),
)
LAST_AT_A_SIZE = (1, 3, 6, 13, 18)  # indices in the trunk of the last block at each size; 0 is the stem


class MobileNetV2(nn.Module):
    """Maps images to class scores, or to maps at strides 2, 4, 8, 16, 32, the last one after the 1x1 convolution.

    width          multiplier of the published channels
    dropout        rate of dropping units before the head
    small_images   for images of about 32 pixels: the first two strides are 1, so maps are at 1, 1, 2, 4, 8
    """

    def __init__(
        self,
        *,
        in_channels: int = 3,
        num_classes: int = 1000,
        width: float = 1.0,
        dropout: float = 0.2,
        small_images: bool = False,
    ) -> None:
        super().__init__()
        if width <= 0:
            raise UsageError(f"width={width} leaves nothing", "use a multiplier above 0, such as 0.5")
        require_share(dropout)
        self.input_size = (in_channels, 32, 32) if small_images else (in_channels, 224, 224)
        self.smallest = 5 if small_images else 17  # the last strided layer then reads two pixels
        first = 1 if small_images else 2
        inputs = whole_channels(32 * width)
        trunk = [convolution(in_channels, inputs, 3, stride=first, activation=nn.ReLU6)]
        for index, stage in enumerate(STAGES):
            outputs = whole_channels(stage.channels * width)
            for block in range(stage.layers):
                stride = (1 if small_images and index == 1 else stage.stride) if block == 0 else 1
                trunk.append(
                    MBConv(inputs, outputs, stride=stride, expansion=stage.expansion, excite=False, activation=nn.ReLU6)
                )
                inputs = outputs
        last = whole_channels(1280 * max(width, 1.0))
        self.trunk = nn.Sequential(*trunk, convolution(inputs, last, 1, activation=nn.ReLU6))
        self.channels = (*(whole_channels(STAGES[i].channels * width) for i in (0, 1, 2, 4)), last)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        initialise(self.trunk, "he_out")
        self.classifier: nn.Module = nn.Identity()
        if num_classes:
            head = nn.Linear(last, num_classes)
            nn.init.normal_(head.weight, std=0.01)
            nn.init.zeros_(head.bias)
            self.classifier = nn.Sequential(nn.Dropout(dropout), head)

    def features(self, x: Float[Tensor, "b c h w"]) -> list[Float[Tensor, "b _ _ _"]]:
        """(b, 16, h/2, w/2), (b, 24, h/4, w/4), (b, 32, h/8, w/8), (b, 96, h/16, w/16), (b, 1280, h/32, w/32) at width 1."""
        require_at_least(x, self.input_size[0], self.smallest)
        maps = []
        for index, block in enumerate(self.trunk):
            x = block(x)
            if index in LAST_AT_A_SIZE:
                maps.append(x)  # (b, 16, h/2, w/2) … (b, 96, h/16, w/16), (b, 1280, h/32, w/32)
        return maps

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b k"]:
        """Class scores (b, num_classes); with num_classes=0 the feature vector (b, channels[-1])."""
        return self.classifier(self.avgpool(self.features(x)[-1]).flatten(1))


def as_torchvision(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """torchvision's state dict under the names used here: there the projection and its norm are not grouped."""
    return {_from_torchvision(key): value for key, value in state.items()}


def _from_torchvision(key: str) -> str:
    if match := re.fullmatch(r"features\.(\d+)\.conv\.(\d+)\.(\w+)", key):  # the projection, or its norm
        block, layer = int(match[1]), int(match[2])
        project = 1 if block == 1 else 2
        return f"trunk.{block}.block.{project}.{layer - project}.{match[3]}"
    return re.sub(r"^features\.(\d+)\.conv\.", r"trunk.\1.block.", key).replace("features.", "trunk.", 1)


# ----------------------------------------------------------------------------------------------------------- variants
@MODELS.register
def mobilenet_v2(**options) -> MobileNetV2:
    """MobileNetV2, Sandler et al. 2018, arXiv:1801.04381, table 2: 3.5 M parameters at (3, 224, 224)."""
    return MobileNetV2(**options)
