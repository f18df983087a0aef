"""A network for CIFAR-10 in the fewest operations: Jordan 2024, "94% on CIFAR-10 in 3.29 seconds on a single GPU",
arXiv:2404.00498, after Page's and Balsam's (hlb-CIFAR10).

    32 → whitening 24@2x2 → 31 → [conv 64@3x3, maximum 2x2, conv 64@3x3] → 15 → the same with 256 → 7 → the same with 256 → 3
    → maximum 3x3 → 1 → dense (without bias), scores divided by 9

Batch normalisation and GELU follow each convolution, after the maximum where there is one.

* The first layer is fixed: its filters are the eigenvectors of the 2x2 patches of training images, each divided by the
  deviation of the patches along it, and their negatives (`start_from`). Only its bias learns.
* The other convolutions start as identities: the first filters copy the maps that come in (a Dirac delta), the rest are random.

The published training has parts that are not of the network: alternating flips, larger rates for biases, averaged weights, and
judging by several crops.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sightline.layers.initialise import initialise
from sightline.models.catalogue import MODELS
from sightline.models.sizes import require_at_least

PATCH = 2
_EPSILON = 5e-4  # added to the eigenvalues, as published: directions in which patches hardly differ are not blown up


class Whitening(nn.Conv2d):
    """A fixed convolution to uncorrelated maps of variance 1, and a bias that learns."""

    def __init__(self, in_channels: int) -> None:
        super().__init__(in_channels, 2 * in_channels * PATCH * PATCH, PATCH)
        fixed = self.weight.detach()
        del self.weight
        self.register_buffer("weight", fixed)

    @torch.no_grad()
    def start_from(self, images: Float[Tensor, "n c h w"]) -> None:
        """The filters for the patches of these images, in float64: the same on any processor to the last bits of float32."""
        c = images.shape[1]
        patches = images.unfold(2, PATCH, 1).unfold(3, PATCH, 1)  # (n, c, h - 1, w - 1, p, p)
        flat = patches.permute(0, 2, 3, 1, 4, 5).reshape(-1, c * PATCH * PATCH).double()
        values, vectors = torch.linalg.eigh(flat.T @ flat / len(flat))
        signs = torch.where(vectors[vectors.abs().argmax(0), torch.arange(len(values))] < 0, -1.0, 1.0)
        filters = (vectors * signs / (values + _EPSILON).sqrt()).T.flip(0).reshape(-1, c, PATCH, PATCH)
        self.weight.copy_(torch.cat([filters, -filters]))


class Group(nn.Module):
    """conv 3x3, maximum 2x2, normalisation, GELU, conv 3x3, normalisation, GELU."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(channels, width, 3, padding=1, bias=False), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width)
        self.pool, self.gelu = nn.MaxPool2d(2), nn.GELU()

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b o _ _"]:
        """Maps of half the size."""
        x = self.gelu(self.bn1(self.pool(self.conv1(x))))
        return self.gelu(self.bn2(self.conv2(x)))


class Airbench(nn.Module):
    """The layer table above.

    widths     channels of the three groups
    identity   whether the 3x3 convolutions start as identities
    scaling    what the feature vector, and so the scores, are multiplied by
    """

    def __init__(
        self,
        *,
        in_channels: int = 3,
        num_classes: int = 10,
        widths: tuple[int, int, int] = (64, 256, 256),
        identity: bool = True,
        scaling: float = 1 / 9,
    ) -> None:
        super().__init__()
        self.input_size = (in_channels, 32, 32)
        self.channels = (*widths, widths[-1])
        self.scaling = scaling
        self.whitening, self.gelu = Whitening(in_channels), nn.GELU()
        first = 2 * in_channels * PATCH * PATCH
        groups = [Group(a, b) for a, b in zip((first, *widths[:-1]), widths, strict=True)]
        self.groups = nn.ModuleList(groups)
        self.fc = nn.Linear(widths[-1], num_classes, bias=False) if num_classes else nn.Identity()
        initialise(self, "he")
        if identity:
            for group in groups:
                for conv in (group.conv1, group.conv2):
                    nn.init.dirac_(conv.weight.data[: conv.in_channels])

    def start_from(self, images: Float[Tensor, "n c h w"]) -> None:
        """Whitens the first layer for these standardised training images."""
        self.whitening.start_from(images)

    def features(self, x: Float[Tensor, "b c h w"]) -> list[Float[Tensor, "b _ _ _"]]:
        """The map after each group: (b, 64, 15, 15), (b, 256, 7, 7), (b, 256, 3, 3) for 32x32 pixels; and the scaled largest
        value of each map of the last."""
        require_at_least(x, self.input_size[0], 17)
        x, maps = self.gelu(self.whitening(x)), []
        for group in self.groups:
            x = group(x)
            maps.append(x)
        return [*maps, x.amax((2, 3), keepdim=True) * self.scaling]

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b k"]:
        """Class scores (b, num_classes); with num_classes=0 the feature vector (b, channels[-1])."""
        return self.fc(self.features(x)[-1].flatten(1))


@MODELS.register
def airbench94(**options) -> Airbench:
    """The network of airbench94 (arXiv:2404.00498) in 3x3 convolutions from a whitened start:
    1,972,504 parameters at (3, 32, 32) beside 288 fixed ones."""
    return Airbench(**options)
