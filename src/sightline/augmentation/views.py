"""Several views of one image at test time, whose answers are averaged.

ten_crop    the four corners and the centre, each also mirrored: Krizhevsky, Sutskever & Hinton 2012, section 4.1
two_flips   the image and its mirror image
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from sightline.errors import UsageError


def ten_crop(x: Shaped[Tensor, "b c h w"], side: int, width: int | None = None) -> Shaped[Tensor, "b 10 c s t"]:
    """Crops of `side` pixels, or `side` high and `width` wide: upper left, upper right, lower left, lower right, centre, then
    their mirror images in the same order. UsageError where the image is smaller."""
    h, w = x.shape[2:]
    across = side if width is None else width
    if not (0 < side <= h and 0 < across <= w):
        raise UsageError(f"an image of {h}x{w} has no crops of {side}x{across} pixels", f"use 1 to {min(h, w)}")
    down, right = h - side, w - across
    corners = [(0, 0), (0, right), (down, 0), (down, right), (round(down / 2), round(right / 2))]
    crops = torch.stack([x[:, :, top : top + side, left : left + across] for top, left in corners], 1)
    return torch.cat([crops, crops.flip(4)], 1)


def two_flips(x: Shaped[Tensor, "b c h w"]) -> Shaped[Tensor, "b 2 c h w"]:
    """The images and their mirror images, left to right."""
    return torch.stack([x, x.flip(3)], 1)


def mean_probability(network: Callable[[Tensor], Tensor], views: Float[Tensor, "b v c h w"]) -> Float[Tensor, "b k"]:
    """The softmax of the scores of every view, averaged over the views."""
    scores = network(views.flatten(0, 1))  # (b · v, k)
    return scores.softmax(1).unflatten(0, views.shape[:2]).mean(1)
