"""Autoencoders: images to a code and back.

    autoencoder_conv    convolutions to a small map of codes, as latent diffusion needs (Rombach et al. 2021, arXiv:2112.10752).
                        `variational`: a mean and a variance of each code (Kingma & Welling 2013, arXiv:1312.6114)
    autoencoder_dense   one hidden layer, 256 units by default, with dropout on the input, which makes it denoising (Vincent
                        et al. 2008), and on the code

Images and reconstructions are in [-1, 1]. The codes of a map have mean 0 and variance 1 in every image, so that noise of a
diffusion has one strength for all of them, and training needs no measured scale.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Num
from torch import Tensor, nn
from torch.nn import functional as F

from sightline.errors import UsageError
from sightline.models.catalogue import MODELS
from sightline.models.sizes import require_channels, require_signed

RECONSTRUCTIONS = "reconstructions"  # the heading of networks that return their input
_EPS = 1e-6


class Coded(NamedTuple):
    """`image` the reconstruction, `code` the code, of a variational one its mean and log σ²."""

    image: Tensor
    code: Tensor
    log_variance: Tensor | None = None


class Unit(nn.Module):
    """Two 3x3 with group norm and SiLU, added to the input."""

    def __init__(self, channels: int, groups: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for _ in range(2):
            layers += [nn.GroupNorm(groups, channels), nn.SiLU(), nn.Conv2d(channels, channels, 3, padding=1)]
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """Maps (b, c, h, w) of the same shape."""
        return x + self.layers(x)


class Up(nn.Module):
    """A 3x3 whose channels become pixels of 2x2: every output pixel has weights of its own."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, 4 * outputs, 3, padding=1)

    def forward(self, x: Float[Tensor, "b i h w"]) -> Float[Tensor, "b o j k"]:
        """Maps (b, i, h, w) → (b, o, 2 h, 2 w)."""
        return F.pixel_shuffle(self.conv(x), 2)


class Autoencoder(nn.Module):
    """widths        channels at each size, each half the size of the one before
    codes         channels of the code, at the coarsest size
    variational   while it trains, codes are drawn; otherwise they are the means
    """

    def __init__(
        self,
        *,
        in_channels: int = 1,
        num_classes: int = 0,
        widths: tuple[int, ...] = (16, 32, 64),
        codes: int = 4,
        variational: bool = False,
        groups: int = 8,
    ) -> None:
        super().__init__()
        if any(width % groups for width in widths):
            raise UsageError(f"groups={groups} does not divide widths={widths}", "use multiples of groups")
        self.input_size = (in_channels, 28, 28)
        self.factor, self.codes, self.variational = 2 ** (len(widths) - 1), codes, variational
        down: list[nn.Module] = [nn.Conv2d(in_channels, widths[0], 3, padding=1)]
        for fine, coarse in pairwise(widths):
            down += [Unit(fine, groups), nn.Conv2d(fine, coarse, 3, stride=2, padding=1)]
        last = widths[-1]
        self.encoder = nn.Sequential(*down, Unit(last, groups), nn.Conv2d(last, codes * (1 + variational), 1))
        up: list[nn.Module] = [nn.Conv2d(codes, last, 3, padding=1), Unit(last, groups)]
        for coarse, fine in zip(widths[:0:-1], widths[-2::-1], strict=True):
            up += [Up(coarse, fine), Unit(fine, groups)]
        self.decoder = nn.Sequential(*up, nn.Conv2d(widths[0], in_channels, 3, padding=1))

    def forward(self, x: Num[Tensor, "b c h w"]) -> Coded:
        """Images (b, c, h, w) in [-1, 1] → their reconstructions with the codes; if variational, with means and log σ²."""
        mean, log_variance = self._codes(x)
        code = mean
        if log_variance is not None and self.training:
            code = mean + torch.exp(0.5 * log_variance) * torch.randn_like(mean)
        return Coded(self.decode(code), mean, log_variance)

    def encode(self, x: Num[Tensor, "b c h w"]) -> Float[Tensor, "b k i j"]:
        """The code of each image; of a variational one its mean."""
        return self._codes(x)[0]

    def decode(self, code: Float[Tensor, "b k i j"]) -> Float[Tensor, "b c h w"]:
        """Images in [-1, 1] or, where it is not sure of black or white, a little beyond."""
        return self.decoder(code)

    def shape(self, height: int, width: int) -> tuple[int, int, int]:
        """(k, i, j) of the code of an image. UsageError for a size that cannot be halved as often."""
        if height % self.factor or width % self.factor:
            raise UsageError(
                f"images of {height}x{width} cannot be halved to a code", f"use sides that {self.factor} divides"
            )
        return self.codes, height // self.factor, width // self.factor

    def _codes(self, x: Num[Tensor, "b c h w"]) -> tuple[Tensor, Tensor | None]:
        require_signed(x)
        require_channels(x, self.input_size[0])
        mean, *rest = self.encoder(x).float().split(self.codes, dim=1)
        flat = mean.flatten(1)
        spread = flat.var(1, unbiased=False, keepdim=True)
        mean = ((flat - flat.mean(1, keepdim=True)) * (spread + _EPS).rsqrt()).reshape(mean.shape)
        return mean, rest[0].clamp(-20, 10) if rest else None


class DenseAutoencoder(nn.Module):
    """Pixels, one hidden layer of ReLUs, pixels.

    units           of the hidden layer, the code
    dropout         rate at which units of the code are dropped
    input_dropout   rate at which pixels are dropped: black where black is the darkest level
    """

    def __init__(
        self,
        *,
        in_channels: int = 1,
        num_classes: int = 0,
        image_size: tuple[int, int] = (28, 28),
        units: int = 256,
        dropout: float = 0.0,
        input_dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.input_size = (in_channels, *image_size)
        pixels = in_channels * image_size[0] * image_size[1]
        self.corrupt, self.hidden = nn.Dropout(input_dropout), nn.Linear(pixels, units)
        self.drop, self.output = nn.Dropout(dropout), nn.Linear(units, pixels)

    def forward(self, x: Num[Tensor, "b c h w"]) -> Coded:
        """Images (b, c, h, w) in [-1, 1] → their reconstructions and codes (b, units)."""
        require_signed(x)
        code = self.drop(self.encode(self.corrupt(x + 1) - 1))
        return Coded(self.decode(code), code)

    def encode(self, x: Num[Tensor, "b c h w"]) -> Float[Tensor, "b u"]:
        """The activations of the hidden units."""
        require_signed(x)
        require_channels(x, self.input_size[0])
        return F.relu(self.hidden(x.flatten(1)))

    def decode(self, code: Float[Tensor, "b u"]) -> Float[Tensor, "b c h w"]:
        """Images in [-1, 1]."""
        return torch.tanh(self.output(code)).unflatten(1, self.input_size)


@MODELS.under(RECONSTRUCTIONS)
def autoencoder_conv(**options: Any) -> Autoencoder:
    """Our own, for 28 to 32 pixels: codes of a sixteenth of the places; 313,301 parameters at (1, 28, 28)."""
    return Autoencoder(**options)


@MODELS.under(RECONSTRUCTIONS)
def autoencoder_dense(**options: Any) -> DenseAutoencoder:
    """784-256-784 for digits: 402,448 parameters at (1, 28, 28)."""
    return DenseAutoencoder(**options)
