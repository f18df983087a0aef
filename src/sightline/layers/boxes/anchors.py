"""Anchors: boxes of a few sizes and shapes at every place of a map, and the deltas that move them onto objects.

    Ren et al. 2015, Faster R-CNN, arXiv:1506.01497, eq. 2: t = ((x - x_a) / w_a, (y - y_a) / h_a, log(w / w_a), log(h / h_a))

Identical to torchvision's, including its rounding of the anchors' corners to whole pixels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

_Weights = tuple[float | int, float | int, float | int, float | int]

LARGEST = math.log(
    1000 / 16
)  # clamp log scales so that exp stays finite: a box is at most 62.5 times as wide as its anchor


def anchors(
    sizes: Sequence[Sequence[float | int]],
    ratios: Sequence[Sequence[float | int]],
    strides: Sequence[tuple[int, int]],
    maps: Sequence[tuple[int, int]],
    device: torch.device | str = "cpu",
) -> list[Float[Tensor, "_n 4"]]:
    """One tensor (h · w · shapes, 4) xyxy for each level: places in reading order, at each place ratio by ratio, size by size.

    Each level has its `sizes` (side of a square of the same area), its `ratios` (height / width), its stride and the size
    of its map, both (height, width). Anchors are centred on multiples of the stride, not on the middle of the cells.

        >>> anchors([[4]], [[1.0]], [(8, 8)], [(1, 2)])  # one shape, a map of 1 x 2
        [tensor([[-2., -2.,  2.,  2.],
                [ 6., -2., 10.,  2.]])]
    """
    return [
        (_grid(stride, size, device)[:, None] + shapes(sides, forms, device)).flatten(0, 1)  # (h * w * shapes, 4)
        for sides, forms, stride, size in zip(sizes, ratios, strides, maps, strict=True)
    ]


def shapes(
    sizes: Sequence[float | int], ratios: Sequence[float | int], device: torch.device | str = "cpu"
) -> Float[Tensor, "a 4"]:
    """Anchors (ratios · sizes, 4) around the origin, corners rounded to whole pixels."""
    side = torch.tensor([float(s) for s in sizes], device=device)
    tall = torch.tensor([float(r) for r in ratios], device=device).sqrt()
    height, width = (tall[:, None] * side).flatten(), ((1 / tall)[:, None] * side).flatten()  # (ratios * sizes,)
    return (torch.stack((-width, -height, width, height), 1) / 2).round()


def encode(
    boxes: Float[Tensor, "*n 4"],
    anchors: Float[Tensor, "*n 4"],
    weights: _Weights = (1.0, 1.0, 1.0, 1.0),
) -> Float[Tensor, "*n 4"]:
    """The deltas (*n, 4) that move each anchor onto its box, times `weights`, which bring them to about equal scale.

    anchor (0, 0, 10, 10), box (5, 0, 15, 20)  →  (0.5, 0.5, log 1, log 2)
    """
    low, high = anchors[..., :2], anchors[..., 2:]
    extent, size = high - low, boxes[..., 2:] - boxes[..., :2]
    shift = (boxes[..., :2] + 0.5 * size - (low + 0.5 * extent)) / extent
    return torch.cat((shift, torch.log(size / extent)), -1) * boxes.new_tensor(weights)


def decode(
    deltas: Float[Tensor, "*n 4"],
    anchors: Float[Tensor, "*m 4"],
    weights: _Weights = (1.0, 1.0, 1.0, 1.0),
) -> Float[Tensor, "*n 4"]:
    """The boxes (*n, 4) that result from moving anchors by deltas; anchors (n, 1, 4) broadcast over deltas (n, classes, 4)."""
    deltas = deltas / deltas.new_tensor(weights)
    extent = anchors[..., 2:] - anchors[..., :2]
    centre = deltas[..., :2] * extent + (anchors[..., :2] + 0.5 * extent)
    half = 0.5 * deltas[..., 2:].clamp(max=LARGEST).exp() * extent
    return torch.cat((centre - half, centre + half), -1)


def _grid(stride: tuple[int, int], size: tuple[int, int], device: torch.device | str) -> Float[Tensor, "p 4"]:
    """(h * w, 4): x, y, x, y of every place, in reading order."""
    y, x = (torch.arange(n, dtype=torch.float32, device=device) * s for n, s in zip(size, stride, strict=True))
    places = torch.stack((x.expand(size[0], -1), y[:, None].expand(-1, size[1])), 2)  # (h, w, 2)
    return places.flatten(0, 1).repeat(1, 2)  # (h * w, 4)
