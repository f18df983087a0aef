"""How close one picture is to another, each image for itself: PSNR, SSIM and the mean difference of levels."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

WINDOW, _K1, _K2 = 7, 0.01, 0.03  # of SSIM
_LEAST = 1e-4  # squared levels: equal pictures have 88 dB, not infinitely many
_WHITE = 255.0
Levels = Float[Tensor, "b c h w"]


def psnr(one: Float[Tensor, "b *shape"], other: Float[Tensor, "b *shape"]) -> Float[Tensor, "b"]:
    """Peak signal-to-noise ratio of each image in decibels, of levels 0-255."""
    error = (one - other).square().flatten(1).mean(1)
    return 10 * torch.log10(_WHITE**2 / error.clamp(min=_LEAST))


def mean_difference(one: Float[Tensor, "b *shape"], other: Float[Tensor, "b *shape"]) -> Float[Tensor, "b"]:
    """Mean absolute difference of each image, in levels."""
    return (one - other).abs().flatten(1).mean(1)


def ssim(one: Levels, other: Levels) -> Float[Tensor, "b"]:
    """Structural similarity of each image (Wang et al. 2004, equation 13): the mean over channels and over windows of 7 x 7,
    or of the shorter side where that is less, which lie inside the image; of levels 0-255, with the sample covariance."""
    x, y = one.double(), other.double()
    window = min(WINDOW, *x.shape[2:])
    share = window**2 / max(window**2 - 1, 1)

    def mean(z: Tensor) -> Tensor:
        return F.avg_pool2d(z, window, stride=1)

    mean_x, mean_y = mean(x), mean(y)
    var_x, var_y = (share * (mean(z * z) - m * m) for z, m in ((x, mean_x), (y, mean_y)))
    both = share * (mean(x * y) - mean_x * mean_y)
    c1, c2 = (_K1 * _WHITE) ** 2, (_K2 * _WHITE) ** 2
    index = (2 * mean_x * mean_y + c1) * (2 * both + c2) / ((mean_x**2 + mean_y**2 + c1) * (var_x + var_y + c2))
    return index.flatten(1).mean(1).float()
