"""The Laplacian pyramid: an image as bands of detail, each an octave coarser than the one before.

Burt & Adelson 1983, "The Laplacian pyramid as a compact image code"
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from .upsampling import bilinear

BINOMIAL = (1 / 16, 4 / 16, 6 / 16, 4 / 16, 1 / 16)


def halved(x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c i j"]:
    """Blurred by the binomial kernel, then every second pixel: (b, c, ⌈h/2⌉, ⌈w/2⌉). Borders are replicated."""
    tap = torch.tensor(BINOMIAL, dtype=x.dtype, device=x.device)
    kernel = (tap[:, None] * tap).expand(x.shape[1], 1, 5, 5)
    return F.conv2d(F.pad(x, (2, 2, 2, 2), mode="replicate"), kernel, stride=2, groups=x.shape[1])


def laplacian_pyramid(x: Float[Tensor, "b c h w"], levels: int) -> list[Float[Tensor, "b c _ _"]]:
    """`levels` bands, finest first: what each halving loses, and the last halved image. `collapse` adds them up again."""
    bands = []
    for _ in range(levels - 1):
        coarse = halved(x)
        bands.append(x - bilinear(coarse, (x.shape[2], x.shape[3])))
        x = coarse
    return [*bands, x]


def collapse(bands: list[Float[Tensor, "b c _ _"]]) -> Float[Tensor, "b c h w"]:
    """The image of which these are the bands."""
    x = bands[-1]
    for band in reversed(bands[:-1]):
        x = band + bilinear(x, (band.shape[2], band.shape[3]))
    return x
