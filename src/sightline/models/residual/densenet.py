"""DenseNet: Huang, Liu, van der Maaten & Weinberger 2016, arXiv:1608.06993. Each layer reads all earlier maps of its
block and adds `growth` new ones, so gradient from the loss reaches every layer by a short path.

    name   layers of the four blocks   growth
    121    6 12 24 16                  32
    161    6 12 36 24                  48
    169    6 12 32 32                  32
    201    6 12 48 32                  32

These are DenseNet-BC: a 1x1 bottleneck reduces to 4 · growth maps before each 3x3, and a transition halves the maps
(compression). The networks for CIFAR are in `densenet_cifar`.

Parameter names are torchvision's except for the trunk's (`as_torchvision`), so its weights load with strict=True. As
there, the first convolution is followed by its norm and ReLU (the paper's layers are norm, ReLU, convolution
throughout), convolutions are initialised from He's Gaussian of variance 2 / fan-in, norms with 1 and 0, the head as
torch's Linear with bias 0.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sightline.layers.initialise import he
from sightline.models.catalogue import MODELS
from sightline.models.renaming import features_as_trunk
from sightline.models.sizes import require_at_least

from .resnet import conv1x1, conv3x3


class PlainLayer(nn.Module):
    """Norm, ReLU, 3x3: all earlier maps → `growth` new maps."""

    def __init__(self, inputs: int, growth: int) -> None:
        super().__init__()
        self.norm1, self.conv1 = nn.BatchNorm2d(inputs), conv3x3(inputs, growth)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b k h w"]:
        """(b, inputs, h, w) → (b, growth, h, w)."""
        return self.conv1(self.relu(self.norm1(x)))


class BottleneckLayer(nn.Module):
    """Norm, ReLU, 1x1 to 4 · `growth` maps; norm, ReLU, 3x3."""

    def __init__(self, inputs: int, growth: int) -> None:
        super().__init__()
        self.norm1, self.conv1 = nn.BatchNorm2d(inputs), conv1x1(inputs, 4 * growth)
        self.norm2, self.conv2 = nn.BatchNorm2d(4 * growth), conv3x3(4 * growth, growth)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b k h w"]:
        """(b, inputs, h, w) → (b, growth, h, w)."""
        x = self.conv1(self.relu(self.norm1(x)))  # (b, 4 · growth, h, w)
        return self.conv2(self.relu(self.norm2(x)))  # (b, growth, h, w)


Layer = type[PlainLayer] | type[BottleneckLayer]


class DenseBlock(nn.ModuleDict):
    """The input, concatenated with the new maps of each layer: (b, c, h, w) → (b, c + depth · growth, h, w)."""

    def __init__(self, layer: Layer, inputs: int, growth: int, depth: int) -> None:
        super().__init__({f"denselayer{i + 1}": layer(inputs + i * growth, growth) for i in range(depth)})

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d h w"]:
        """(b, inputs, h, w) → (b, inputs + depth · growth, h, w)."""
        for layer in self.values():
            x = torch.cat([x, layer(x)], 1)  # (b, c + growth, h, w)
        return x


class Transition(nn.Module):
    """Norm, ReLU, 1x1, 2x2 average-pooling. Returns the rectified maps, which end the block, and the input of the next one."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.norm, self.relu = nn.BatchNorm2d(inputs), nn.ReLU(inplace=True)
        self.conv, self.pool = conv1x1(inputs, outputs), nn.AvgPool2d(2)

    def forward(self, x: Float[Tensor, "b c h w"]) -> tuple[Float[Tensor, "b c h w"], Float[Tensor, "b d i j"]]:
        """(b, inputs, h, w) → the same map rectified, and (b, outputs, h/2, w/2)."""
        x = self.relu(self.norm(x))  # (b, c, h, w)
        return x, self.pool(self.conv(x))  # (b, outputs, h/2, w/2)


class Trunk(nn.ModuleDict):
    """A stem, dense blocks with transitions between them, a last norm. Returns the rectified maps of each block.

    compression   share of the maps that a transition keeps
    channels      of the returned maps
    """

    def __init__(
        self,
        stem: Mapping[str, nn.Module],
        layer: Layer,
        *,
        first: int,
        depths: tuple[int, ...],
        growth: int,
        compression: float = 0.5,
    ) -> None:
        super().__init__(stem)
        channels, outputs = first, []
        for i, depth in enumerate(depths, start=1):
            self[f"denseblock{i}"] = DenseBlock(layer, channels, growth, depth)
            outputs.append(channels + depth * growth)
            channels = int(outputs[-1] * compression)
            if i < len(depths):
                self[f"transition{i}"] = Transition(outputs[-1], channels)
        self[f"norm{len(depths) + 1}"] = nn.BatchNorm2d(outputs[-1])
        self[f"relu{len(depths) + 1}"] = nn.ReLU(inplace=True)
        self.channels = tuple(outputs)
        for convolution in self.modules():
            if isinstance(convolution, nn.Conv2d):
                he(convolution.weight)

    def forward(self, x: Float[Tensor, "b c h w"]) -> list[Float[Tensor, "b _ _ _"]]:
        """Images → the rectified map of each block, fine to coarse."""
        maps = []
        for layer in self.values():
            if isinstance(layer, Transition):
                block_end, x = layer(x)
                maps.append(block_end)
            else:
                x = layer(x)
        return [*maps, x]


def dense_head(channels: int, num_classes: int) -> nn.Module:
    """Linear with bias 0; the identity for num_classes=0."""
    if not num_classes:
        return nn.Identity()
    head = nn.Linear(channels, num_classes)
    nn.init.zeros_(head.bias)
    return head


class DenseNet(nn.Module):
    """Maps images to class scores, or to maps at strides 4, 8, 16, 32.

    growth         new maps of each layer; the first convolution makes twice as many
    small_images   a 3x3 stem without stride and pooling, for images of about 32 pixels: strides 1, 2, 4, 8
    """

    def __init__(
        self,
        depths: tuple[int, int, int, int],
        *,
        in_channels: int = 3,
        num_classes: int = 1000,
        growth: int = 32,
        small_images: bool = False,
    ) -> None:
        super().__init__()
        self.input_size = (in_channels, 32, 32) if small_images else (in_channels, 224, 224)
        self.smallest = 8 if small_images else 29  # each of three transitions halves the size, rounding down
        first = 2 * growth
        large = nn.Conv2d(in_channels, first, 7, stride=2, padding=3, bias=False)
        stem = {
            "conv0": conv3x3(in_channels, first) if small_images else large,
            "norm0": nn.BatchNorm2d(first),
            "relu0": nn.ReLU(inplace=True),
            "pool0": nn.Identity() if small_images else nn.MaxPool2d(3, stride=2, padding=1),
        }
        self.trunk = Trunk(stem, BottleneckLayer, first=first, depths=depths, growth=growth)
        self.channels = self.trunk.channels
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = dense_head(self.channels[-1], num_classes)

    def features(self, x: Float[Tensor, "b c h w"]) -> list[Float[Tensor, "b _ _ _"]]:
        """One map for each block; of DenseNet-121 from (b, 256, h/4, w/4) to (b, 1024, h/32, w/32)."""
        require_at_least(x, self.input_size[0], self.smallest)
        return self.trunk(x)  # of 121: (b, 256, h/4, w/4), (b, 512, h/8, w/8), two of (b, 1024, …)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b k"]:
        """Class scores (b, num_classes); with num_classes=0 the feature vector (b, channels[-1])."""
        return self.classifier(self.avgpool(self.features(x)[-1]).flatten(1))


as_torchvision = features_as_trunk


# ----------------------------------------------------------------------------------------------------------- variants
@MODELS.register
def densenet121(**options) -> DenseNet:
    """DenseNet-121 (growth 32), Huang et al. 2016, arXiv:1608.06993, table 1: 8.0 M parameters at (3, 224, 224)."""
    return DenseNet((6, 12, 24, 16), **options)


@MODELS.register
def densenet161(**options) -> DenseNet:
    """DenseNet-161 (growth 48), Huang et al. 2016, arXiv:1608.06993.

    28.7 M parameters at (3, 224, 224).
    """
    return DenseNet((6, 12, 36, 24), growth=48, **options)


@MODELS.register
def densenet169(**options) -> DenseNet:
    """DenseNet-169 (growth 32), Huang et al. 2016, arXiv:1608.06993, table 1: 14.1 M parameters at (3, 224, 224)."""
    return DenseNet((6, 12, 32, 32), **options)


@MODELS.register
def densenet201(**options) -> DenseNet:
    """DenseNet-201 (growth 32), Huang et al. 2016, arXiv:1608.06993, table 1: 20.0 M parameters at (3, 224, 224)."""
    return DenseNet((6, 12, 48, 32), **options)
