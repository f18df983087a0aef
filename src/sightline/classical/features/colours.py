"""Colour histograms: what is in an image, without where it is (Swain & Ballard 1991, IJCV 7)."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from sightline.classical.pipeline import Encoder


def shares(values: Float[Tensor, "..."], bins: int) -> Float[Tensor, "... bins"]:
    """Each value of 0-1 shared by the two bins whose centres are nearest, by nearness."""
    place = values.clamp(0, 1)[..., None] * (bins - 1)
    return (1 - (place - torch.arange(bins, device=values.device)).abs()).clamp(min=0)


def histogram(x: Float[Tensor, "b c h w"], bins: int) -> Float[Tensor, "b bins_c"]:
    """The joint histogram of all channels, bins ** channels entries, which sum to 1. Permuting the pixels changes nothing."""
    pixels = shares(x.flatten(2), bins)  # (b, c, p, bins)
    joint = pixels[:, 0]
    for channel in range(1, x.shape[1]):
        joint = (joint[..., None] * pixels[:, channel, :, None]).flatten(2)
    return joint.mean(1)


class ColourHistogram(Encoder):
    """The square roots of the joint histogram, so that a linear learner compares them by Hellinger's distance."""

    def __init__(self, channels: int, *, bins: int) -> None:
        super().__init__()
        self.bins = bins
        self.size = bins**channels

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b size"]:
        return (histogram(x, self.bins) + 1e-6).sqrt()
