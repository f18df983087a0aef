"""Places of a detector without anchors, and boxes relative to them (Ge et al. 2021, arXiv:2107.08430).

A box (x, y, w, h) at the place in column i, row j of a map with stride s is predicted as four numbers:

    x = (a + i) s      y = (b + j) s      w = exp(c) s      h = exp(d) s

For i = 3, j = 0, s = 8 the numbers (0.5, 0.5, 0, ln 2) mean a box of 8 x 16 pixels around (28, 4).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor


def places(
    maps: Sequence[tuple[int, int]], strides: Sequence[int], device: torch.device | str = "cpu"
) -> tuple[Float[Tensor, "n 2"], Float[Tensor, "n"]]:
    """Column and row (n, 2) and stride (n,) of every place of maps (height, width), map by map and row by row."""
    cells, steps = [], []
    for (height, width), stride in zip(maps, strides, strict=True):
        y, x = torch.meshgrid(
            torch.arange(height, dtype=torch.float32, device=device),
            torch.arange(width, dtype=torch.float32, device=device),
            indexing="ij",
        )
        cells.append(torch.stack((x, y), -1).flatten(0, 1))  # (h, w, 2) → (h·w, 2)
        steps.append(torch.full((height * width,), float(stride), device=device))
    return torch.cat(cells), torch.cat(steps)


def decode_places(
    shift: Float[Tensor, "*b n 4"], cell: Float[Tensor, "n 2"], stride: Float[Tensor, "n"]
) -> Float[Tensor, "*b n 4"]:
    """Boxes xyxy in pixels, in float32."""
    shift, scale = shift.float(), stride[:, None]
    centre, half = (shift[..., :2] + cell) * scale, shift[..., 2:].exp() * (scale / 2)
    return torch.cat((centre - half, centre + half), -1)


def encode_places(
    boxes: Float[Tensor, "p 4"], cell: Float[Tensor, "p 2"], stride: Float[Tensor, "p"]
) -> Float[Tensor, "p 4"]:
    """The four numbers of boxes xyxy at their places: the inverse of `decode_places`. Sides are at least 1e-8 strides."""
    low, high = boxes[:, :2] / stride[:, None], boxes[:, 2:] / stride[:, None]
    return torch.cat(((low + high) / 2 - cell, (high - low).clamp(min=1e-8).log()), -1)
