"""Regions of pictures in other pictures: how they are joined, and a loss for a network that joins them."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional as F

Picture = Float[Tensor, "b c h w"]
Region = Bool[Tensor, "b h w"]


def eroded(region: Region, pixels: int) -> Region:
    """Without the pixels that are nearer than so many to what lies outside; the edge of the picture counts as outside."""
    outside = F.pad((~region).float()[:, None], (1,) * 4, value=1.0)
    for _ in range(pixels):
        outside = F.max_pool2d(outside, 3, stride=1, padding=1)
    return outside[:, 0, 1:-1, 1:-1] < 0.5


def dilated(region: Region, pixels: int) -> Region:
    """With the pixels that are at most so many away."""
    inside = region.float()[:, None]
    for _ in range(pixels):
        inside = F.max_pool2d(inside, 3, stride=1, padding=1)
    return inside[:, 0] > 0.5


def joined(inside: Picture, outside: Picture, region: Region) -> Picture:
    """`inside` in the region, `outside` elsewhere."""
    return torch.where(region[:, None], inside, outside)


def poisson_loss(made: Picture, source: Picture, region: Region) -> Float[Tensor, ""]:
    """Mean squared difference of gradients between neighbours of which one at least is in the region: the objective that
    Poisson blending minimises (Pérez et al. 2003, equation 3), where `made` is the target outside of the region. In units of
    the pictures; 0 without such neighbours."""
    total, count = made.new_zeros(()), made.new_zeros(())
    for axis in (2, 3):
        n = made.shape[axis]
        step, aim = (x.narrow(axis, 1, n - 1) - x.narrow(axis, 0, n - 1) for x in (made, source))
        near = region.narrow(axis - 1, 1, n - 1) | region.narrow(axis - 1, 0, n - 1)
        total = total + ((step - aim).square().mean(1) * near).sum()
        count = count + near.sum()
    return total / count.clamp(min=1)
