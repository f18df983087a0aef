"""Network in Network: Lin, Chen & Yan 2013, arXiv:1312.4400. A small network slides over the image in place of a
filter.

    mlpconv    a convolution and two 1x1s on top of it, each rectified: a perceptron at every place
    head       the last 1x1 has one map for each class, and a score is the mean of its map: no dense layers to overfit

    nin             192-160-96 at 5x5, 192-192-192 at 5x5, 192-192-classes at 3x3           966,986 for CIFAR-10
    nin_imagenet    96-96-96 at 11x11/4, 256 at 5x5, 384 at 3x3, 1024-1024-classes at 3x3   7,595,176 parameters

Blocks are separated by 3x3 max-pooling at stride 2, whose last window may overlap the edge: 32 → 16 → 8 pixels. Dropout
follows both poolings of `nin` and the last one of `nin_imagenet`. Widths and initialisation are those of the authors'
files for cuda-convnet and Caffe: a Gaussian of deviation 0.05, in `nin_imagenet` 0.01 for conv1, conv3 and the head.

Where we differ: there the class maps are rectified before the mean, so a map that is negative everywhere gets no
gradient. Here they are not; the mean of a 1x1's map then equals the 1x1 of the mean, and the head is one dense layer on
the last block's mean. Copies of their files use average-pooling for the second pooling of `nin`; the paper uses
max-pooling, as here.
"""

from __future__ import annotations

from collections import OrderedDict
from itertools import pairwise
from typing import NamedTuple, TypeVar

from jaxtyping import Float
from torch import Tensor, nn

from sightline.layers.dropout import require_share
from sightline.layers.initialise import normal
from sightline.models.catalogue import MODELS
from sightline.models.sizes import require_at_least

Layer = TypeVar("Layer", nn.Conv2d, nn.Linear)


class Mlpconv(NamedTuple):
    """A block: widths of its convolution and 1x1s, without the head; `std` initialises its convolution."""

    widths: tuple[int, ...]
    kernel: int
    stride: int = 1
    padding: int = 0
    std: float = 0.05
    dropout: bool = False


class NINConfig(NamedTuple):
    """A network: its blocks, the side of its images, and the deviation that initialises its head."""

    blocks: tuple[Mlpconv, ...]
    side: int
    std: float


CIFAR = NINConfig(
    (
        Mlpconv((192, 160, 96), 5, padding=2),
        Mlpconv((192, 192, 192), 5, padding=2, dropout=True),
        Mlpconv((192, 192), 3, padding=1, dropout=True),
    ),
    side=32,
    std=0.05,
)
IMAGENET = NINConfig(
    (
        Mlpconv((96, 96, 96), 11, stride=4, std=0.01),
        Mlpconv((256, 256, 256), 5, padding=2),
        Mlpconv((384, 384, 384), 3, padding=1, std=0.01),
        Mlpconv((1024, 1024), 3, padding=1, dropout=True),
    ),
    side=224,
    std=0.01,
)


def block(inputs: int, mlpconv: Mlpconv, pooled: bool, dropout: float) -> nn.Sequential:
    """Pooling and dropout where the block has them, then the perceptron. The authors name the 1x1s cccp."""
    layers: dict[str, nn.Module] = {"pool": nn.MaxPool2d(3, stride=2, ceil_mode=True)} if pooled else {}
    if mlpconv.dropout:
        layers["drop"] = nn.Dropout(dropout)
    conv = nn.Conv2d(inputs, mlpconv.widths[0], mlpconv.kernel, mlpconv.stride, mlpconv.padding)
    layers["conv"] = gaussian_start(conv, mlpconv.std)
    layers["relu"] = nn.ReLU(inplace=True)
    for i, (width, outputs) in enumerate(pairwise(mlpconv.widths), 1):
        layers[f"cccp{i}"] = gaussian_start(nn.Conv2d(width, outputs, 1), 0.05)
        layers[f"relu{i}"] = nn.ReLU(inplace=True)
    return nn.Sequential(OrderedDict(layers))


def gaussian_start(layer: Layer, std: float) -> Layer:
    """The layer, initialised with Gaussian weights and biases of 0."""
    normal(layer.weight, std)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


class NIN(nn.Module):
    """Maps images to class scores, or to maps behind the blocks: at strides 1, 2, 4, of nin_imagenet 4, 8, 16, 32.

    dropout    rate of dropping values of the maps
    """

    def __init__(self, config: NINConfig, *, in_channels: int = 3, num_classes: int = 10, dropout: float = 0.5) -> None:
        super().__init__()
        require_share(dropout)
        self.input_size = (in_channels, config.side, config.side)
        self.channels = tuple(mlpconv.widths[-1] for mlpconv in config.blocks)
        first, places = config.blocks[0], 2 ** (len(config.blocks) - 1)  # each pooling needs two pixels
        self.smallest = first.stride * (places - 1) + first.kernel - 2 * first.padding
        inputs = (in_channels, *self.channels)
        blocks = (block(inputs[i], mlpconv, i > 0, dropout) for i, mlpconv in enumerate(config.blocks))
        self.blocks = nn.ModuleList(blocks)
        self.head = gaussian_start(nn.Linear(inputs[-1], num_classes), config.std) if num_classes else nn.Identity()

    def features(self, x: Float[Tensor, "b c h w"]) -> list[Float[Tensor, "b _ _ _"]]:
        """The map after each block: of `nin` (b, 96, h, w), (b, 192, h/2, w/2), (b, 192, h/4, w/4)."""
        require_at_least(x, self.input_size[0], self.smallest)
        maps = []
        for mlpconv in self.blocks:
            x = mlpconv(x)  # (b, 96, h, w), (b, 192, h/2, w/2), (b, 192, h/4, w/4)
            maps.append(x)
        return maps

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b k"]:
        """Class scores (b, num_classes); with num_classes=0 the feature vector (b, channels[-1])."""
        return self.head(self.features(x)[-1].mean((2, 3)))


class NINForImageNet(NIN):
    """The four blocks for ImageNet.

    small_images    for images of about 32 pixels: the first convolution is 5x5 without stride; maps are at 1, 2, 4, 8
    """

    def __init__(
        self, *, in_channels: int = 3, num_classes: int = 1000, dropout: float = 0.5, small_images: bool = False
    ) -> None:
        config = IMAGENET
        if small_images:
            first, *others = config.blocks
            config = config._replace(blocks=(first._replace(kernel=5, stride=1, padding=2), *others), side=32)
        super().__init__(config, in_channels=in_channels, num_classes=num_classes, dropout=dropout)


# ----------------------------------------------------------------------------------------------------------- variants
@MODELS.register
def nin(**options) -> NIN:
    """Network in Network for CIFAR, Lin, Chen & Yan 2013, arXiv:1312.4400: 966,986 parameters at (3, 32, 32)."""
    return NIN(CIFAR, **options)


@MODELS.register
def nin_imagenet(**options) -> NINForImageNet:
    """Network in Network for ImageNet, the authors' Caffe model of Lin, Chen & Yan 2013, arXiv:1312.4400.

    7.6 M parameters at (3, 224, 224).
    """
    return NINForImageNet(**options)
