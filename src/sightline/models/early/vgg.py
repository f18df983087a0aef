"""VGG: Simonyan & Zisserman 2014, arXiv:1409.1556. Only 3x3s: two have the field of a 5x5, three that of a 7x7.

    stage         A    B    C            D    E     each ends in 2x2 max-pooling
    64            1    2    2            2    2
    128           1    2    2            2    2
    256           2    2    2 and a 1x1  3    4
    512           2    2    2 and a 1x1  3    4
    512           2    2    2 and a 1x1  3    4
    name          11   13   16c          16   19    weight layers, including three dense ones: 4096, 4096, classes

Parameter names are torchvision's except for the trunk's (`as_torchvision`), so its weights load with strict=True. As
there, the `_bn` variants normalise after each convolution (Ioffe & Szegedy 2015; the paper does not), a last map of
another size is average-pooled to 7x7 (the paper turns dense layers into convolutions: `fcn`), and weights are
initialised from He's Gaussian of variance 2 / fan-out, dense layers from deviation 0.01 (the paper initialises deep
nets from A's weights). `vgg11_lrn` is the paper's A-LRN: AlexNet's response normalisation after the first ReLU, which
did not help.
"""

from __future__ import annotations

from itertools import pairwise

from jaxtyping import Float
from torch import Tensor, nn

from sightline.layers.dropout import require_share
from sightline.layers.initialise import initialise
from sightline.layers.normalisation import LocalResponseNorm
from sightline.models.catalogue import MODELS
from sightline.models.renaming import features_as_trunk
from sightline.models.sizes import require_at_least

# kernel sizes of the convolutions, stage by stage
Configuration = tuple[tuple[int, ...], ...]
A: Configuration = ((3,), (3,), (3, 3), (3, 3), (3, 3))
B: Configuration = ((3, 3),) * 5
C: Configuration = ((3, 3), (3, 3), (3, 3, 1), (3, 3, 1), (3, 3, 1))
D: Configuration = ((3, 3), (3, 3), (3, 3, 3), (3, 3, 3), (3, 3, 3))
E: Configuration = ((3, 3), (3, 3), (3, 3, 3, 3), (3, 3, 3, 3), (3, 3, 3, 3))
CHANNELS = (64, 128, 256, 512, 512)


class Pyramid(nn.Sequential):
    """All layers in sequence, as torchvision numbers them; returns the maps after the five poolings."""

    def forward(self, x: Float[Tensor, "b c h w"]) -> list[Float[Tensor, "b _ _ _"]]:
        """Maps after the five poolings: (b, 64, h/2, w/2) … (b, 512, h/32, w/32)."""
        maps = []
        for layer in self:
            x = layer(x)
            if isinstance(layer, nn.MaxPool2d):
                maps.append(x)
        return maps


def stages(configuration: Configuration, in_channels: int, batch_norm: bool, lrn: bool = False) -> Pyramid:
    """The five convolutional stages of a configuration, initialised from He's Gaussian of variance 2 / fan-out."""
    layers: list[nn.Module] = []
    for kernels, outputs in zip(configuration, CHANNELS, strict=True):
        for kernel in kernels:
            layers.append(nn.Conv2d(in_channels, outputs, kernel, padding=kernel // 2))
            layers += [nn.BatchNorm2d(outputs)] if batch_norm else []
            layers.append(nn.ReLU(inplace=True))
            in_channels = outputs
        layers += [LocalResponseNorm()] if lrn and outputs == CHANNELS[0] else []
        layers.append(nn.MaxPool2d(2))
    pyramid = Pyramid(*layers)
    initialise(pyramid, "he_out")
    return pyramid


def paper_names(trunk: Pyramid, classifier: nn.Sequential) -> dict[str, str]:
    """Module name → the authors' name of the layer in their Caffe models, which the literature uses: trunk.0 → conv1_1."""
    names, stage, number = {}, 1, 0
    for index, layer in enumerate(trunk):
        if isinstance(layer, nn.Conv2d):
            number += 1
            names[f"trunk.{index}"] = f"conv{stage}_{number}"
        elif isinstance(layer, nn.MaxPool2d):
            names[f"trunk.{index}"] = f"pool{stage}"
            stage, number = stage + 1, 0
    dense = [index for index, layer in enumerate(classifier) if isinstance(layer, nn.Linear)]
    return names | {f"classifier.{index}": f"fc{stage + i}" for i, index in enumerate(dense)}


class VGG(nn.Module):
    """Maps images to class scores, or to maps at strides 2, 4, 8, 16, 32 and the vector of the dense layers.

    batch_norm     after each convolution
    lrn            local response normalisation at the end of the first stage
    dense          widths of the dense layers before the head; without any the head reads the last map's mean
    dropout        rate of dropping units of the dense layers
    small_images   for images of about 32 pixels: the first dense layer reads the last map's mean instead of 7x7 places
    """

    def __init__(
        self,
        configuration: Configuration,
        *,
        in_channels: int = 3,
        num_classes: int = 1000,
        batch_norm: bool = False,
        lrn: bool = False,
        dense: tuple[int, ...] = (4096, 4096),
        dropout: float = 0.5,
        small_images: bool = False,
    ) -> None:
        super().__init__()
        require_share(dropout)
        self.input_size = (in_channels, 32, 32) if small_images else (in_channels, 224, 224)
        self.channels = CHANNELS + dense[-1:]
        self.trunk = stages(configuration, in_channels, batch_norm, lrn)
        cells = 1 if small_images or not dense else 7
        self.avgpool = nn.AdaptiveAvgPool2d(cells)
        widths = (CHANNELS[-1] * cells**2, *dense)
        layers: list[nn.Module] = []
        for inputs, outputs in pairwise(widths):
            layers += [nn.Linear(inputs, outputs), nn.ReLU(inplace=True), nn.Dropout(dropout)]
        self.classifier = nn.Sequential(*layers, nn.Linear(widths[-1], num_classes) if num_classes else nn.Identity())
        initialise(self.classifier, "normal")
        self.paper_names = paper_names(self.trunk, self.classifier)

    def features(self, x: Float[Tensor, "b c h w"]) -> list[Float[Tensor, "b _ _ _"]]:
        """Maps after the five poolings, (b, 64, h/2, w/2) … (b, 512, h/32, w/32), and the vector (b, 4096, 1, 1)."""
        require_at_least(x, self.input_size[0], 32)
        maps = self.trunk(x)  # (b, 64, h/2, w/2) … (b, 512, h/32, w/32)
        if len(self.classifier) > 1:
            vector = self.avgpool(maps[-1]).flatten(1)  # (b, 512 · 7 · 7)
            for layer in self.classifier[:-1]:
                vector = layer(vector)  # (b, 4096)
            maps.append(vector[:, :, None, None])
        return maps

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b k"]:
        """Class scores (b, num_classes); with num_classes=0 the feature vector (b, channels[-1])."""
        return self.classifier[-1](self.features(x)[-1].mean((2, 3)))


as_torchvision = features_as_trunk


# ----------------------------------------------------------------------------------------------------------- variants
@MODELS.register
def vgg11(**options) -> VGG:
    """VGG-11, Simonyan & Zisserman 2014, arXiv:1409.1556, table 1, column A: 132.9 M parameters at (3, 224, 224)."""
    return VGG(A, **options)


@MODELS.register
def vgg11_lrn(**options) -> VGG:
    """VGG-11 with local response normalisation, Simonyan & Zisserman 2014, arXiv:1409.1556, table 1, column A-LRN.

    132.9 M parameters at (3, 224, 224).
    """
    return VGG(A, lrn=True, **options)


@MODELS.register
def vgg11_bn(**options) -> VGG:
    """VGG-11 with batch norm, torchvision's form of Simonyan & Zisserman 2014, arXiv:1409.1556, table 1, column A.

    132.9 M parameters at (3, 224, 224).
    """
    return VGG(A, batch_norm=True, **options)


@MODELS.register
def vgg13(**options) -> VGG:
    """VGG-13, Simonyan & Zisserman 2014, arXiv:1409.1556, table 1, column B: 133.0 M parameters at (3, 224, 224)."""
    return VGG(B, **options)


@MODELS.register
def vgg13_bn(**options) -> VGG:
    """VGG-13 with batch norm, torchvision's form of Simonyan & Zisserman 2014, arXiv:1409.1556, table 1, column B.

    133.1 M parameters at (3, 224, 224).
    """
    return VGG(B, batch_norm=True, **options)


@MODELS.register
def vgg16c(**options) -> VGG:
    """VGG-16 with 1x1 convolutions, Simonyan & Zisserman 2014, arXiv:1409.1556, table 1, column C.

    133.6 M parameters at (3, 224, 224).
    """
    return VGG(C, **options)


@MODELS.register
def vgg16(**options) -> VGG:
    """VGG-16, Simonyan & Zisserman 2014, arXiv:1409.1556, table 1, column D: 138.4 M parameters at (3, 224, 224)."""
    return VGG(D, **options)


@MODELS.register
def vgg16_bn(**options) -> VGG:
    """VGG-16 with batch norm, torchvision's form of Simonyan & Zisserman 2014, arXiv:1409.1556, table 1, column D.

    138.4 M parameters at (3, 224, 224).
    """
    return VGG(D, batch_norm=True, **options)


@MODELS.register
def vgg19(**options) -> VGG:
    """VGG-19, Simonyan & Zisserman 2014, arXiv:1409.1556, table 1, column E: 143.7 M parameters at (3, 224, 224)."""
    return VGG(E, **options)


@MODELS.register
def vgg19_bn(**options) -> VGG:
    """VGG-19 with batch norm, torchvision's form of Simonyan & Zisserman 2014, arXiv:1409.1556, table 1, column E.

    143.7 M parameters at (3, 224, 224).
    """
    return VGG(E, batch_norm=True, **options)
