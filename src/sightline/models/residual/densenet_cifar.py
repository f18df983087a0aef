"""The DenseNets for 32x32 images: Huang, Liu, van der Maaten & Weinberger 2016, arXiv:1608.06993, section 3 and table
2.

A 3x3 stem, three dense blocks of equal depth at strides 1, 2, 4 with transitions between them, a linear head.

    name               layers of a block      stem          transition     parameters   the paper's   CIFAR-10+
    densenet40_12      12: norm, ReLU, 3x3    16 maps       keeps all      1,019,722    1.0 M         5.24 %
    densenet_bc100_12  16: 1x1, then 3x3      2 · growth    keeps half     769,162      0.8 M         4.51 %

The counts (3 channels, 10 classes) follow from the paper's rules without biases in convolutions; the errors are those
that it reports with flips and shifts. The paper uses dropout 0.2 only without data augmentation; here there is none.
Initialisation is that of `densenet`.
"""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn

from sightline.models.catalogue import MODELS
from sightline.models.sizes import require_at_least

from .densenet import BottleneckLayer, Layer, PlainLayer, Trunk, dense_head
from .resnet import conv3x3


class CifarDenseNet(nn.Module):
    """Three blocks of `depth` layers, each of which adds `growth` maps to the `first` maps of the stem."""

    def __init__(
        self,
        layer: Layer,
        depth: int,
        growth: int,
        first: int,
        compression: float,
        *,
        in_channels: int = 3,
        num_classes: int = 10,
    ) -> None:
        super().__init__()
        self.input_size = (in_channels, 32, 32)
        stem = {"conv0": conv3x3(in_channels, first)}
        self.trunk = Trunk(stem, layer, first=first, depths=(depth,) * 3, growth=growth, compression=compression)
        self.channels = self.trunk.channels
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = dense_head(self.channels[-1], num_classes)

    def features(self, x: Float[Tensor, "b c h w"]) -> list[Float[Tensor, "b _ _ _"]]:
        """Three maps at strides 1, 2, 4; of 40 layers: 160, 304 and 448 channels."""
        require_at_least(x, self.input_size[0], 4)
        return self.trunk(x)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b k"]:
        """Class scores (b, num_classes); with num_classes=0 the feature vector (b, channels[-1])."""
        return self.classifier(self.avgpool(self.features(x)[-1]).flatten(1))


# -------------------------------------------------------------------- variants: the layers and the growth are in the name
@MODELS.register
def densenet40_12(**options) -> CifarDenseNet:
    """DenseNet (40 layers, growth 12), Huang et al. 2016, arXiv:1608.06993, table 2.

    1.0 M parameters at (3, 32, 32).
    """
    return CifarDenseNet(PlainLayer, 12, 12, 16, 1.0, **options)


@MODELS.register
def densenet_bc100_12(**options) -> CifarDenseNet:
    """DenseNet-BC (100 layers, growth 12), Huang et al. 2016, arXiv:1608.06993, table 2.

    769,162 parameters at (3, 32, 32).
    """
    return CifarDenseNet(BottleneckLayer, 16, 12, 24, 0.5, **options)
