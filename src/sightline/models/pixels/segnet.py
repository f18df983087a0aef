"""SegNet: Badrinarayanan, Kendall & Cipolla 2015, arXiv:1511.00561. A decoder that puts maxima back where they came from.

    segnet          13 convolutions of VGG-16 with batch norm, and their mirror image        29.4 M
    segnet_basic    four 7x7 convolutions of 64 channels down and four up, no ReLU on the way up   1.42 M

Max pooling passes on, instead of a map, only the place of each maximum: the decoder unpools to these places and lets
convolutions fill in the zeros around them. The last decoder stage's second convolution gives the scores in `segnet`; in
`segnet_basic` a 1x1 does. With 11 classes the former has 29,449,355 parameters (the paper: 29.45 M), the latter 1,416,075:
1,414,336 in 7x7 convolutions without bias, 1,024 in norms, 715 in the classifier (the paper: 1.425 M). Images are padded with
zeros to a multiple of all poolings together.
"""

from __future__ import annotations

from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor, nn

from sightline.layers.convolution.upsampling import unpool
from sightline.layers.initialise import initialise
from sightline.models.catalogue import MODELS
from sightline.models.sizes import require_channels

from .backbones import pad_to_multiple, require_classes

VGG16 = (
    (1, 1),
    (2, 2),
    (4, 4, 4),
    (8, 8, 8),
    (8, 8, 8),
)  # channels of each stage's convolutions, in units of the first


def stage(
    inputs: int, widths: Sequence[int], kernel: int = 3, *, bias: bool = True, relu: bool = True
) -> nn.Sequential:
    """Convolutions of these widths, each with a batch norm and, unless `relu` is False, a ReLU."""
    layers: list[nn.Module] = []
    for width in widths:
        layers += [nn.Conv2d(inputs, width, kernel, padding=kernel // 2, bias=bias), nn.BatchNorm2d(width)]
        layers += [nn.ReLU(inplace=True)] if relu else []
        inputs = width
    return nn.Sequential(*layers)


class _Unpooling(nn.Module):
    """What both share: stages with pooling down, unpooling with stages up."""

    down: nn.ModuleList
    up: nn.ModuleList

    def __init__(self, in_channels: int, num_classes: int) -> None:
        super().__init__()
        require_classes(num_classes)
        self.input_size = (in_channels, 360, 480)
        self.pool = nn.MaxPool2d(2, return_indices=True)

    def _climbed(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d i j"]:
        """Down and up again: (b, c, h, w) → (b, d, h, w), both sides filled up to a multiple of the pooling."""
        require_channels(x, self.input_size[0])
        x = pad_to_multiple(x, 2 ** len(self.down))
        places = []
        for stages in self.down:
            x = stages(x)
            size = (x.shape[2], x.shape[3])
            x, where = self.pool(x)  # (b, d, h/2, w/2) each
            places.append((where, size))
        for stages, (where, size) in zip(self.up, reversed(places), strict=True):
            x = stages(unpool(x, where, size))
        return x


class SegNet(_Unpooling):
    """Stages of VGG-16 and their mirror image.

    width    channels of the first stage
    """

    def __init__(self, *, in_channels: int = 3, num_classes: int = 11, width: int = 64) -> None:
        super().__init__(in_channels, num_classes)
        widths = [tuple(width * times for times in stages) for stages in VGG16]
        reads = [in_channels, *(w[-1] for w in widths[:-1])]
        self.down = nn.ModuleList(stage(i, w) for i, w in zip(reads, widths, strict=True))
        ends = [(), *(w[-1:] for w in widths[:-1])]  # what the stage above reads; the finest ends in the scores
        mirrored = [stage(own[-1], (*own[:-1], *end)) for own, end in zip(widths, ends, strict=True)]
        self.up = nn.ModuleList(reversed(mirrored))
        self.head = nn.Conv2d(width, num_classes, 3, padding=1)
        initialise(self, "he")

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b k h w"]:
        """Class scores of every pixel, (b, num_classes, h, w)."""
        return self.head(self._climbed(x))[:, :, : x.shape[2], : x.shape[3]]


class SegNetBasic(_Unpooling):
    """Convolutions of one width down and up.

    width, kernel, depth    channels, side and number of the convolutions
    """

    def __init__(
        self, *, in_channels: int = 3, num_classes: int = 11, width: int = 64, kernel: int = 7, depth: int = 4
    ) -> None:
        super().__init__(in_channels, num_classes)
        reads = [in_channels, *[width] * (depth - 1)]
        self.down = nn.ModuleList(stage(i, (width,), kernel, bias=False) for i in reads)
        self.up = nn.ModuleList(stage(width, (width,), kernel, bias=False, relu=False) for _ in range(depth))
        self.head = nn.Conv2d(width, num_classes, 1)
        initialise(self, "he")

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b k h w"]:
        """Class scores of every pixel, (b, num_classes, h, w)."""
        return self.head(self._climbed(x))[:, :, : x.shape[2], : x.shape[3]]


# ----------------------------------------------------------------------------------------------------------- variants
@MODELS.under("pixel scores")
def segnet(**options) -> SegNet:
    """SegNet, Badrinarayanan et al. 2015, arXiv:1511.00561, figure 2: 29.4 M parameters at (3, 360, 480)."""
    return SegNet(**options)


@MODELS.under("pixel scores")
def segnet_basic(**options) -> SegNetBasic:
    """SegNet-Basic, Badrinarayanan et al. 2015, arXiv:1511.00561, section 3.3: 1.4 M parameters at (3, 360, 480)."""
    return SegNetBasic(**options)
