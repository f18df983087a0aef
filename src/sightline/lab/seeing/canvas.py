"""Digits on a canvas larger than they are: the same content at other places and sizes."""

from __future__ import annotations

import torch
from jaxtyping import Int
from torch import Tensor
from torch.nn import functional as F

from sightline.lab.datasets import Labelled, digits


def ink() -> tuple[Labelled, Labelled]:
    """The digits with paper 0 and ink up to 1: 1,297 to train on, 500 to test, (n, 1, 8, 8)."""
    return tuple(Labelled((d.x - d.x.min()) / (d.x.max() - d.x.min()), d.y) for d in digits())  # type: ignore[return-value]


def placed(data: Labelled, side: int, at: Int[Tensor, "n 2"] | tuple[int, int]) -> Labelled:
    """Each image on an empty canvas of `side` pixels with its upper left corner at `at` (row, column)."""
    n, c, h, w = data.x.shape
    where = torch.as_tensor(at).expand(n, 2)
    canvas = data.x.new_zeros(n, c, side, side)
    for i, (top, left) in enumerate(where.tolist()):
        canvas[i, :, top : top + h, left : left + w] = data.x[i]
    return Labelled(canvas, data.y)


def anywhere(data: Labelled, side: int, seed: int, most: int | None = None) -> Labelled:
    """Each image at a place of its own, at most `most` pixels off the middle along each axis; by default anywhere."""
    room = side - data.x.shape[-1]
    reach = room // 2 if most is None else min(most, room // 2)
    draw = torch.Generator().manual_seed(seed)
    return placed(data, side, room // 2 + torch.randint(-reach, reach + 1, (len(data.x), 2), generator=draw))


def shifted(data: Labelled, down: int, right: int) -> Labelled:
    """All images moved by so many pixels; what enters is empty."""
    x = F.pad(data.x, (max(right, 0), max(-right, 0), max(down, 0), max(-down, 0)))
    h, w = data.x.shape[2:]
    top, left = max(-down, 0), max(-right, 0)
    return Labelled(x[..., top : top + h, left : left + w], data.y)
