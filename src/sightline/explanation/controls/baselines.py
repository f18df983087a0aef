"""Maps that know nothing of the network: what a heat map must beat, or at least differ from.

edges    the magnitude of Sobel's gradient of the luminance    Adebayo et al. 2018, arXiv:1810.03292: a map that
         resembles it may show the image and not the network
centre   a Gaussian in the middle, a quarter of each side wide: photographers put their subject there
random   a number for each pixel, keyed
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from sightline.randomness.keyed import uniform

_SOBEL = ((-1.0, 0.0, 1.0), (-2.0, 0.0, 2.0), (-1.0, 0.0, 1.0))
_LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601


def edges(pixels: Float[Tensor, "b c h w"]) -> Float[Tensor, "b h w"]:
    """Sobel's gradient magnitude, in 0-255 units per pixel step times 8; the border is repeated outwards."""
    weights = torch.tensor(_LUMA if pixels.shape[1] == 3 else [1 / pixels.shape[1]] * pixels.shape[1]).to(pixels)
    grey = (pixels * weights.view(1, -1, 1, 1)).sum(1, keepdim=True)  # (b, 1, h, w)
    kernel = torch.tensor(_SOBEL).to(pixels)
    both = torch.stack([kernel, kernel.T])[:, None]  # (2, 1, 3, 3)
    slopes = F.conv2d(F.pad(grey, (1, 1, 1, 1), mode="replicate"), both)
    return slopes.square().sum(1).sqrt()


def centre(pixels: Float[Tensor, "b c h w"]) -> Float[Tensor, "b h w"]:
    """A Gaussian bump of height 1 in the middle of the frame."""
    height, width = pixels.shape[2:]
    down, across = (
        torch.exp(-0.5 * ((torch.arange(side) - (side - 1) / 2) / (side / 4)) ** 2) for side in (height, width)
    )
    return (down[:, None] * across).to(pixels).expand(len(pixels), height, width)


def noise(pixels: Float[Tensor, "b c h w"], seed: int = 0) -> Float[Tensor, "b h w"]:
    """Uniform in [0, 1): image i's map depends on (seed, i) only."""
    height, width = pixels.shape[2:]
    places = torch.arange(height * width).view(height, width)
    return uniform(seed, "random map", torch.arange(len(pixels))[:, None, None], places).to(pixels)
