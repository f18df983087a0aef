"""EfficientNet: Tan & Le 2019, arXiv:1905.11946. B0, found by architecture search, and B0 scaled in depth, width and
resolution.

    stage   operator                     input       channels   layers
    1       conv 3x3, stride 2           224 x 224         32        1
    2       MBConv1 3x3                  112 x 112         16        1
    3       MBConv6 3x3, stride 2        112 x 112         24        2
    4       MBConv6 5x5, stride 2         56 x 56          40        2
    5       MBConv6 3x3, stride 2         28 x 28          80        3
    6       MBConv6 5x5                   14 x 14         112        3
    7       MBConv6 5x5, stride 2         14 x 14         192        4
    8       MBConv6 3x3                    7 x 7          320        1
    9       conv 1x1, mean, dense          7 x 7         1280        1

16 MBConv; 5,288,548 parameters; 385,814,752 multiply-adds, of which 627,200 are the dense layers of squeeze and excite.

Published coefficients, and the nearest φ of `compound_scaling` (the paper prints none):

    variant      B0    B1    B2    B3    B4    B5    B6    B7
    width       1.0   1.0   1.1   1.2   1.4   1.6   1.8   2.0
    depth       1.0   1.1   1.2   1.4   1.8   2.2   2.6   3.1
    resolution  224   240   260   300   380   456   528   600
    φ             0    ½     1     2    3.5    5     6     7

Widths and resolutions are within 5 % of the formula; depths are lower, from B5 on by 12 to 14 %.

Parameter names are torchvision's except for the trunk's (`as_torchvision`), so its weights load with strict=True. As
there, strided layers pad both sides equally, B0 to B4 have torch's batch-norm constants (the authors', ε = 1e-3 and
momentum 0.01, are B5's to B7's), and weights are initialised from He's Gaussian of variance 2 / fan-out, the head
uniformly between ±1 / √classes.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from functools import partial
from typing import Literal, NamedTuple

from jaxtyping import Float
from torch import Tensor, nn

from sightline.errors import UsageError
from sightline.layers.convolution.mbconv import MBConv, convolution, whole_channels
from sightline.layers.dropout import require_share
from sightline.layers.initialise import initialise, uniform
from sightline.models.catalogue import MODELS
from sightline.models.renaming import features_as_trunk
from sightline.models.sizes import require_at_least


class Scaling(NamedTuple):
    """Factors on the number of layers, the channels, the side of the image, and the multiply-adds that follow."""

    depth: float
    width: float
    resolution: float
    flops: float


def compound_scaling(phi: float, alpha: float = 1.2, beta: float = 1.1, gamma: float = 1.15) -> Scaling:
    """Compound scaling: depth α^φ, width β^φ, resolution γ^φ, hence (α β² γ²)^φ ≈ 2^φ times the multiply-adds.

    UsageError for a factor below 1, which would shrink one dimension while the others grow.
    """
    if min(alpha, beta, gamma) < 1:
        raise UsageError(f"alpha={alpha}, beta={beta}, gamma={gamma} do not all scale up", "use factors of at least 1")
    return Scaling(alpha**phi, beta**phi, gamma**phi, (alpha * beta**2 * gamma**2) ** phi)


class Stage(NamedTuple):
    """A row of the table: `layers` blocks, the first of them strided."""

    expansion: int
    kernel: int
    stride: int
    channels: int
    layers: int

    def scaled(self, width: float, depth: float) -> Stage:
        """The scaled stage: channels to the nearest multiple of 8, never below 90 % of the product; layers rounded up."""
        return self._replace(channels=whole_channels(self.channels * width), layers=math.ceil(self.layers * depth))


STEM = 32
STAGES = (
    Stage(expansion=1, kernel=3, stride=1, channels=16, layers=1),
    Stage(expansion=6, kernel=3, stride=2, channels=24, layers=2),
    Stage(expansion=6, kernel=5, stride=2, channels=40, layers=2),
    Stage(expansion=6, kernel=3, stride=2, channels=80, layers=3),
    Stage(expansion=6, kernel=5, stride=1, channels=112, layers=3),
    Stage(expansion=6, kernel=5, stride=2, channels=192, layers=4),
    Stage(expansion=6, kernel=3, stride=1, channels=320, layers=1),
)
LAST_AT_A_SIZE = (1, 2, 3, 5, 8)  # indices in the trunk of the last stage at each size; 0 is the stem


class Published(NamedTuple):
    """A variant: three scaling coefficients, and torchvision's training constants. `lite` has no squeeze and excite, ReLU6
    for SiLU, and TensorFlow's padding."""

    width: float
    depth: float
    resolution: int
    dropout: float
    eps: float = 1e-5
    momentum: float = 0.1
    lite: bool = False


PUBLISHED = (
    Published(1.0, 1.0, 224, 0.2),
    Published(1.0, 1.1, 240, 0.2),
    Published(1.1, 1.2, 260, 0.3),
    Published(1.2, 1.4, 300, 0.3),
    Published(1.4, 1.8, 380, 0.4),
    Published(1.6, 2.2, 456, 0.4, eps=1e-3, momentum=0.01),
    Published(1.8, 2.6, 528, 0.5, eps=1e-3, momentum=0.01),
    Published(2.0, 3.1, 600, 0.5, eps=1e-3, momentum=0.01),
)


class EfficientNet(nn.Module):
    """Maps images to class scores, or to maps at strides 2, 4, 8, 16, 32, the last one after the 1x1 convolution.

    dropout            rate of dropping units before the head; "published": the variant's
    stochastic_depth   limit of the rate of skipping a block, which rises linearly from 0 at the first block
    small_images       for images of about 32 pixels: stem and stage 3 without stride, so maps are at 1, 1, 2, 4, 8
    """

    def __init__(
        self,
        published: Published,
        *,
        in_channels: int = 3,
        num_classes: int = 1000,
        dropout: float | Literal["published"] = "published",
        stochastic_depth: float = 0.2,
        small_images: bool = False,
    ) -> None:
        super().__init__()
        share = published.dropout if dropout == "published" else dropout
        for rate in (share, stochastic_depth):
            require_share(rate)
        side = 32 if small_images else published.resolution
        self.input_size = (in_channels, side, side)
        self.smallest = 5 if small_images else 17  # the last strided layer then reads two pixels
        norm = partial(nn.BatchNorm2d, eps=published.eps, momentum=published.momentum)
        stages = [stage.scaled(published.width, published.depth) for stage in STAGES]
        if small_images:
            stages[1] = stages[1]._replace(stride=1)

        blocks = sum(stage.layers for stage in stages)
        inputs, index = whole_channels(STEM * published.width), 0
        layer = partial(convolution, norm=norm, activation=nn.ReLU6 if published.lite else nn.SiLU, same=published.lite)
        mbconv = partial(MBConv, excite=not published.lite, **layer.keywords)
        trunk = [layer(in_channels, inputs, 3, stride=1 if small_images else 2)]
        for stage in stages:
            make = partial(mbconv, kernel=stage.kernel, expansion=stage.expansion)
            row = nn.Sequential()
            for _ in range(stage.layers):
                stride, drop = 1 if row else stage.stride, stochastic_depth * index / blocks
                row.append(make(inputs, stage.channels, stride=stride, drop=drop))
                inputs, index = stage.channels, index + 1
            trunk.append(row)
        width = 4 * inputs
        self.trunk = nn.Sequential(*trunk, layer(inputs, width, 1))
        self.channels = (*(stages[index - 1].channels for index in LAST_AT_A_SIZE[:-1]), width)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        initialise(self.trunk, "he_out")
        self.classifier: nn.Module = nn.Identity()
        if num_classes:
            head = nn.Linear(width, num_classes)
            uniform(head.weight, 1 / math.sqrt(num_classes))
            nn.init.zeros_(head.bias)
            self.classifier = nn.Sequential(nn.Dropout(share), head)

    def features(self, x: Float[Tensor, "b c h w"]) -> list[Float[Tensor, "b _ _ _"]]:
        """The last map at each stride 2, 4, 8, 16, 32; of B0 from (b, 16, h/2, w/2) to (b, 1280, h/32, w/32)."""
        require_at_least(x, self.input_size[0], self.smallest)
        maps = []
        for index, stage in enumerate(self.trunk):
            x = stage(x)
            if index in LAST_AT_A_SIZE:
                maps.append(x)  # (b, 16, h/2, w/2) … (b, 112, h/16, w/16), (b, 1280, h/32, w/32)
        return maps

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b k"]:
        """Class scores (b, num_classes); with num_classes=0 the feature vector (b, channels[-1])."""
        return self.classifier(self.avgpool(self.features(x)[-1]).flatten(1))


as_torchvision = features_as_trunk

_TIMM = {
    "conv_stem": "trunk.0.0",
    "bn1": "trunk.0.1",
    "conv_head": "trunk.8.0",
    "bn2": "trunk.8.1",
    "classifier": "classifier.1",
}
_TIMM_EXCITE = {"se.conv_reduce": "fc1", "se.conv_expand": "fc2"}
_TIMM_BLOCKS = {  # layers of a block in the first stage, which does not expand, and in the others
    True: {"conv_dw": "0.0", "bn1": "0.1", "conv_pw": "2.0", "bn2": "2.1"}
    | {k: f"1.{v}" for k, v in _TIMM_EXCITE.items()},
    False: {"conv_pw": "0.0", "bn1": "0.1", "conv_dw": "1.0", "bn2": "1.1", "conv_pwl": "3.0", "bn3": "3.1"}
    | {k: f"2.{v}" for k, v in _TIMM_EXCITE.items()},
}


def as_timm(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """timm's state dict of an `efficientnet_b…` under the names used here."""
    return {_from_timm(key): value for key, value in state.items()}


def _from_timm(key: str) -> str:
    if block := re.fullmatch(r"blocks\.(\d+)\.(\d+)\.(.+)\.(\w+)", key):
        layer = _TIMM_BLOCKS[block[1] == "0"][block[3]]
        return f"trunk.{int(block[1]) + 1}.{block[2]}.block.{layer}.{block[4]}"
    layer, _, parameter = key.rpartition(".")
    return f"{_TIMM[layer]}.{parameter}"


def unlike_timm(network: EfficientNet) -> str:
    """The note for timm's weights in this network."""
    eps = next(module.eps for module in network.modules() if isinstance(module, nn.BatchNorm2d))
    note = "these are timm's weights: its efficientnet_… give the same outputs"
    if eps != 1e-5:
        note += f" except for the ε of their norms, 1e-5, which is {eps:g} here"
    return f"{note}; its tf_… do not, as they pad one side more than the other"


# ----------------------------------------------------------------------------------------------------------- variants
@MODELS.register
def efficientnet_b0(**options) -> EfficientNet:
    """EfficientNet-B0, Tan & Le 2019, arXiv:1905.11946, table 2: 5.3 M parameters at (3, 224, 224)."""
    return EfficientNet(PUBLISHED[0], **options)


@MODELS.register
def efficientnet_b1(**options) -> EfficientNet:
    """EfficientNet-B1, Tan & Le 2019, arXiv:1905.11946, table 2: 7.8 M parameters at (3, 240, 240)."""
    return EfficientNet(PUBLISHED[1], **options)


@MODELS.register
def efficientnet_b2(**options) -> EfficientNet:
    """EfficientNet-B2, Tan & Le 2019, arXiv:1905.11946, table 2: 9.1 M parameters at (3, 260, 260)."""
    return EfficientNet(PUBLISHED[2], **options)


@MODELS.register
def efficientnet_b3(**options) -> EfficientNet:
    """EfficientNet-B3, Tan & Le 2019, arXiv:1905.11946, table 2: 12.2 M parameters at (3, 300, 300)."""
    return EfficientNet(PUBLISHED[3], **options)


@MODELS.register
def efficientnet_b4(**options) -> EfficientNet:
    """EfficientNet-B4, Tan & Le 2019, arXiv:1905.11946, table 2: 19.3 M parameters at (3, 380, 380)."""
    return EfficientNet(PUBLISHED[4], **options)


@MODELS.register
def efficientnet_b5(**options) -> EfficientNet:
    """EfficientNet-B5, Tan & Le 2019, arXiv:1905.11946, table 2: 30.4 M parameters at (3, 456, 456)."""
    return EfficientNet(PUBLISHED[5], **options)


@MODELS.register
def efficientnet_b6(**options) -> EfficientNet:
    """EfficientNet-B6, Tan & Le 2019, arXiv:1905.11946, table 2: 43.0 M parameters at (3, 528, 528)."""
    return EfficientNet(PUBLISHED[6], **options)


@MODELS.register
def efficientnet_b7(**options) -> EfficientNet:
    """EfficientNet-B7, Tan & Le 2019, arXiv:1905.11946, table 2: 66.3 M parameters at (3, 600, 600)."""
    return EfficientNet(PUBLISHED[7], **options)
