"""Several views of one image at test time, whose answers are averaged.

ten_crop    the four corners and the centre, each also mirrored: Krizhevsky, Sutskever & Hinton 2012, section 4.1
two_flips   the image and its mirror image
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from sightline.errors import UsageError


def ten_crop(x: Float[Tensor, "b c h w"], side: int) -> Float[Tensor, "b 10 c s s"]:
    """Crops of `side` pixels: upper left, upper right, lower left, lower right, centre, then their mirror images in the same
    order. UsageError where the image is smaller."""
    h, w = x.shape[2:]
    if not 0 < side <= min(h, w):
        raise UsageError(f"an image of {h}x{w} has no crops of {side} pixels", f"use 1 to {min(h, w)}")
    middle = round((h - side) / 2), round((w - side) / 2)
    corners = [(0, 0), (0, w - side), (h - side, 0), (h - side, w - side), middle]
    crops = torch.stack([x[:, :, top : top + side, left : left + side] for top, left in corners], 1)
    return torch.cat([crops, crops.flip(4)], 1)


def two_flips(x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b 2 c h w"]:
    """The images and their mirror images, left to right."""
    return torch.stack([x, x.flip(3)], 1)


def mean_probability(network: Callable[[Tensor], Tensor], views: Float[Tensor, "b v c h w"]) -> Float[Tensor, "b k"]:
    """The softmax of the scores of every view, averaged over the views."""
    scores = network(views.flatten(0, 1))  # (b · v, k)
    return scores.softmax(1).unflatten(0, views.shape[:2]).mean(1)
