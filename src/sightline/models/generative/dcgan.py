"""DCGAN (Radford, Metz & Chintala 2016, arXiv:1511.06434): transposed convolutions against strided ones.

The paper's network makes 64 x 64 pixels from a map of 4 x 4; here the smallest map is as often doubled as the side of the image
is even, so that 28 x 28 starts from 7 x 7. The critic has no batch norm where its slope is held down: a norm over the batch
makes the score of an image depend on its neighbours, which the gradient penalty does not allow, and undoes a spectral norm.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from sightline.errors import UsageError

from .conditions import Beside, ClassNorm, Label, Plane, Way, labels_for

SMALLEST = 7  # a side up to this is not halved any more
STD = 0.02  # of all weights, as in the paper


def sides(size: int, width: int) -> tuple[int, int, int]:
    """(height, width) of the smallest map, and how often it is doubled. UsageError for a side that cannot be halved."""
    times, height, across = 0, size, width
    while min(height, across) > SMALLEST and not height % 2 and not across % 2:
        times, height, across = times + 1, height // 2, across // 2
    if not times or min(height, across) > 2 * SMALLEST:
        raise UsageError(f"dcgan cannot make images of {size}x{width}", "set input.size to 28, 32 or 64")
    return height, across, times


class Generator(nn.Module):
    """Noise (b, latent) and classes (b,) → images (b, c, h, w) in [-1, 1]."""

    def __init__(
        self, shape: tuple[int, int, int], *, latent: int = 100, base: int = 32, classes: int = 0, way: Way = "none"
    ) -> None:
        """`base` channels of the largest map before the image; each smaller map has twice as many as the next."""
        super().__init__()
        channels, height, width = shape
        self.small = (height, width, times) = sides(height, width)
        self.beside = Beside(classes) if way == "concat" else None
        self.plane = Plane(classes, height, width) if way == "channel" else None
        wide = base * 2 ** (times - 1)
        self.first = nn.Linear(latent + (classes if self.beside else 0), wide * height * width)
        self.norms, self.ups = nn.ModuleList(), nn.ModuleList()
        for level in range(times):
            into = channels if level == times - 1 else wide // 2
            self.norms.append(ClassNorm(wide, classes) if way == "projection" else nn.BatchNorm2d(wide))
            more = 1 if self.plane is not None and level == 0 else 0
            self.ups.append(nn.ConvTranspose2d(wide + more, into, 4, stride=2, padding=1))
            wide //= 2
        for module in [self.first, *self.norms, *self.ups]:
            _initialise(module)

    def forward(self, z: Float[Tensor, "b d"], label: Label = None) -> Float[Tensor, "b c h w"]:
        """Images (b, c, h, w) in [-1, 1]; without `label` of the first class."""
        x = self.first(self.beside(z, label) if self.beside is not None else z)
        x = x.unflatten(1, (-1, *self.small[:2]))  # (b, c·h·w) → (b, c, h, w)
        for level, (norm, up) in enumerate(zip(self.norms, self.ups, strict=True)):
            x = (norm(x, label) if isinstance(norm, ClassNorm) else norm(x)).relu()
            x = up(self.plane(x, label) if self.plane is not None and level == 0 else x)
        return x.tanh()


class Critic(nn.Module):
    """Images (b, c, h, w) in [-1, 1] and classes (b,) → logits of "real" (b,)."""

    def __init__(
        self,
        shape: tuple[int, int, int],
        *,
        base: int = 32,
        classes: int = 0,
        way: Way = "none",
        spectral: bool = False,
        batch_norm: bool = False,
    ) -> None:
        """`base` channels after the first convolution. `spectral`: every layer is divided by its largest singular value."""
        super().__init__()
        channels, height, width = shape
        small_height, small_width, times = sides(height, width)
        held: Callable[..., nn.Module] = spectral_norm if spectral else _as_it_is
        self.beside = Beside(classes) if way == "concat" else None
        self.plane = Plane(classes, height, width) if way == "channel" else None
        wide, layers = base, nn.Sequential()
        seen = channels + (classes if self.beside else 0) + (1 if self.plane else 0)
        for level in range(times):
            norm = batch_norm and level > 0  # as in the paper, not after the image itself
            layers.append(held(_initialised(nn.Conv2d(seen, wide, 4, stride=2, padding=1, bias=not norm))))
            if norm:
                layers.append(_initialised(nn.BatchNorm2d(wide)))
            layers.append(nn.LeakyReLU(0.2))
            seen, wide = wide, wide * 2
        self.layers = layers
        vector = seen * small_height * small_width
        self.last = held(_initialised(nn.Linear(vector, 1)))
        self.of_class = held(_initialised(nn.Embedding(classes, vector))) if way == "projection" else None

    def forward(self, x: Float[Tensor, "b c h w"], label: Label = None) -> Float[Tensor, "b"]:
        """A logit an image (b,): positive for "real"."""
        if self.beside is not None:
            x = self.beside(x, label)
        if self.plane is not None:
            x = self.plane(x, label)
        vector = self.layers(x).flatten(1)  # (b, c, h, w) → (b, c·h·w)
        score = self.last(vector)[:, 0]
        if self.of_class is not None:
            score = score + (self.of_class(labels_for(x, label)) * vector).sum(1)
        return score


def _as_it_is(layer: nn.Module) -> nn.Module:
    return layer


@torch.no_grad()
def _initialise(module: nn.Module) -> None:
    """Weights N(0, 0.02), scales of norms N(1, 0.02), as in the paper's section 4."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear | nn.Embedding):
        nn.init.normal_(module.weight, 0.0, STD)
    if isinstance(module, nn.BatchNorm2d) and module.affine:
        nn.init.normal_(module.weight, 1.0, STD)


def _initialised(module: nn.Module) -> nn.Module:
    _initialise(module)
    return module
