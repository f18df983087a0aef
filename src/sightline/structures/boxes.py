"""Areas, overlaps and clipping of boxes.

    iou     Jaccard 1912: intersection over union
    giou    Rezatofighi et al. 2019, arXiv:1902.09630: IoU lowered by the empty part of the hull, in (-1, 1]

Edges are half-open pixel coordinates, xyxy: a box is x2 - x1 wide, without the + 1 of older code. An inverted box has
area 0. Boxes that share nothing have IoU 0, also two boxes without area (a plain division gives NaN).
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor


def area(boxes: Float[Tensor, "*n 4"]) -> Float[Tensor, "*n"]:
    """Square pixels of each box (*n, 4); at least float32, because 256 · 256 overflows float16."""
    low, high = _corners(boxes)
    return (high - low).clamp(min=0).prod(-1)


def intersection(a: Float[Tensor, "n 4"], b: Float[Tensor, "m 4"]) -> Float[Tensor, "n m"]:
    """Square pixels that each box of `a` (n, 4) shares with each box of `b` (m, 4)."""
    return _shared(a[:, None], b[None])


def iou(a: Float[Tensor, "n 4"], b: Float[Tensor, "m 4"]) -> Float[Tensor, "n m"]:
    """Intersection over union of every pair, in [0, 1]."""
    return _ratios(a[:, None], b[None])[0]


def giou(a: Float[Tensor, "n 4"], b: Float[Tensor, "m 4"]) -> Float[Tensor, "n m"]:
    """Generalised IoU of every pair. Unlike IoU it also depends on the distance of boxes that share nothing."""
    return _generalised(a[:, None], b[None])


def paired_iou(a: Float[Tensor, "n 4"], b: Float[Tensor, "n 4"]) -> Float[Tensor, "n"]:
    """IoU of row i of `a` with row i of `b`."""
    return _ratios(a, b)[0]


def paired_giou(a: Float[Tensor, "n 4"], b: Float[Tensor, "n 4"]) -> Float[Tensor, "n"]:
    """Generalised IoU of row i of `a` with row i of `b`; 1 - this is a loss with a gradient where nothing overlaps."""
    return _generalised(a, b)


def coverage(a: Float[Tensor, "n 4"], b: Float[Tensor, "m 4"]) -> Float[Tensor, "n m"]:
    """The share of each box of `a` that lies inside each of `b`, in [0, 1] (COCO's overlap with a crowd region)."""
    return _over(intersection(a, b), area(a)[:, None])


def clip(boxes: Float[Tensor, "n 4"], size: tuple[int, int] | Int[Tensor, "n 2"]) -> Float[Tensor, "n 4"]:
    """Boxes clipped to their image; `size` is (height, width), one for all or one per box (n, 2)."""
    if isinstance(size, Tensor):
        edges = size.to(boxes.dtype).flip(-1).repeat(1, 2)  # (n, 4): w, h, w, h
        return boxes.clamp(min=0).minimum(edges)
    height, width = size
    x, y = boxes[:, 0::2].clamp(0, width), boxes[:, 1::2].clamp(0, height)  # (n, 2) each
    return torch.stack((x[:, 0], y[:, 0], x[:, 1], y[:, 1]), 1)  # (n, 4)


def _corners(boxes: Tensor) -> tuple[Tensor, Tensor]:
    """(..., 2) x and y of the upper left and the lower right corners."""
    boxes = boxes if boxes.dtype == torch.float64 else boxes.float()
    return boxes[..., :2], boxes[..., 2:]


def _shared(a: Tensor, b: Tensor) -> Tensor:
    (a_low, a_high), (b_low, b_high) = _corners(a), _corners(b)
    return (torch.minimum(a_high, b_high) - torch.maximum(a_low, b_low)).clamp(min=0).prod(-1)


def _ratios(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """IoU and union."""
    shared = _shared(a, b)
    union = area(a) + area(b) - shared
    return _over(shared, union), union


def _generalised(a: Tensor, b: Tensor) -> Tensor:
    (a_low, a_high), (b_low, b_high) = _corners(a), _corners(b)
    ratio, union = _ratios(a, b)
    hull = (torch.maximum(a_high, b_high) - torch.minimum(a_low, b_low)).clamp(min=0).prod(-1)
    return ratio - _over(hull - union, hull)


def _over(part: Tensor, whole: Tensor) -> Tensor:
    """part / whole, 0 where whole is 0. Masking before the division keeps the gradients finite as well: a `where` after it
    multiplies the infinite gradient of 0 / 0 by 0, which is NaN."""
    return torch.where(whole > 0, part, 0) / torch.where(whole > 0, whole, 1)
