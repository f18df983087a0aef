"""Non-maximum suppression: of boxes that overlap too much, the best scored stays (Dalal & Triggs 2005; greedy in
Felzenszwalb et al. 2010).

Two rules are in use and named apart. Strict, torchvision's: a box goes when its IoU with a better, kept one is above the
threshold. Inclusive, as lectures write it: also when it is equal.

Greedy suppression reads as a loop over boxes. Here it is a few vector operations, on any device, and the same answer to
the last index:

    near   only pairs whose centres lie near enough are looked at. With widths u, v and s = (u + v) / 2 an IoU above t needs
           |x - x'| < s · (1 - t) / (1 + t), and v ≤ u / t: at most u · (1 - t) / 2t
    head   among the best 1,024, all boxes without a better undecided neighbour stay at once, their neighbours go; repeat
    rest   those that stay strike out what lies behind the head; what is left is the next head

There is no (n, n) matrix; the largest temporary is one block of pairs.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int, Real
from torch import Tensor

from sightline.errors import UsageError

_HEAD = 1024  # boxes settled among themselves: at most half a million pairs
_PAIRS = 1 << 18  # pairs looked at in one go


def nms(
    boxes: Real[Tensor, "n 4"] | Sequence[Sequence[float | int]],
    scores: Real[Tensor, "n"] | Sequence[float | int],
    threshold: float | int,
    *,
    inclusive: bool = False,
) -> Int[Tensor, "k"]:
    """Indices (k,) of the boxes (n, 4) xyxy that stay, best first; among equal scores the lower index is the better one.

    Boxes and scores may be lists. By default torchvision's strict rule applies: a box is dropped when its IoU with a
    better kept one is > `threshold`; with `inclusive`, when it is ≥ `threshold`. UsageError for a threshold outside
    [0, 1], or 0 with `inclusive`.
    """
    if not isinstance(boxes, Tensor):
        boxes = torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4)  # (n, 4), also of an empty list
    if not isinstance(scores, Tensor):
        scores = torch.tensor(scores, dtype=torch.float32)
    return nms_by_label(boxes, scores, torch.zeros_like(scores, dtype=torch.long), threshold, inclusive=inclusive)


def nms_by_label(
    boxes: Real[Tensor, "n 4"],
    scores: Real[Tensor, "n"],
    label: Int[Tensor, "n"],
    threshold: float | int,
    *,
    inclusive: bool = False,
) -> Int[Tensor, "k"]:
    """As `nms`, where boxes only compete with those of their own `label` (n,): class, image, level, or a number for all.

    Labels are compared, not added to coordinates, so large labels cost no precision.
    """
    if not (0 <= threshold <= 1) or (inclusive and threshold == 0):
        raise UsageError(f"boxes cannot be suppressed at an IoU of {threshold}", "use one in (0, 1], such as 0.5")
    order = scores.argsort(descending=True, stable=True)
    field = _field(boxes[order], label[order], threshold)
    bound = _bound(threshold, inclusive, field.edges.dtype)
    left, kept = torch.arange(len(order), device=order.device), []
    while len(left):
        head, left = left[:_HEAD], left[_HEAD:]
        head = head[_settle(field, head, bound)]
        kept.append(head)
        if len(left):
            left = left[~_struck(field, head, left, bound)]
    return order[torch.cat(kept)] if kept else order


class _Field(NamedTuple):
    """Boxes in order of score. `place` is the centre on a line on which the labels follow each other; no box overlaps enough
    one whose centre is further than `reach` along that line or than `tall` across it."""

    edges: Float[Tensor, "4 n"]
    area: Float[Tensor, "n"]
    label: Int[Tensor, "n"]
    place: Float[Tensor, "n"]
    reach: Float[Tensor, "n"]
    middle: Float[Tensor, "n"]
    tall: Float[Tensor, "n"]


def _field(boxes: Tensor, label: Tensor, threshold: float) -> _Field:
    edges = (boxes if boxes.dtype == torch.float64 else boxes.float()).T.contiguous()  # (4, n)
    x1, y1, x2, y2 = edges
    place, reach = _centre_and_reach(x1, x2, threshold)
    middle, tall = _centre_and_reach(y1, y2, threshold)
    if len(place):
        place = place - place.min() + label * (place.max() - place.min() + 2 * reach.max() + 1)
    return _Field(edges, (x2 - x1) * (y2 - y1), label, place, reach, middle, tall)


def _centre_and_reach(low: Tensor, high: Tensor, threshold: float) -> tuple[Tensor, Tensor]:
    """The centres of intervals (n,), in float64, and how far from each that of one with enough IoU can lie."""
    low, high = low.double(), high.double()
    length = high - low
    least = max(threshold - 1e-4, 0.0)  # a little less than asked: rounding must not lose a pair
    reach = (length + length.max() if len(length) else length) / 2 * (1 - least) / (1 + least)
    if least:
        reach = torch.minimum(reach, length * (1 - least) / (2 * least))
    return torch.nan_to_num((low + high) / 2, 0, 0, 0), torch.nan_to_num(reach, 0, 0, 0)


def _bound(threshold: float, inclusive: bool, dtype: torch.dtype) -> float:
    """The number b of `dtype` for which IoU > b is the rule: thresholds such as 0.7 lie between two floats."""
    near = torch.tensor(threshold, dtype=dtype)
    exact = near.item()
    below = torch.nextafter(near, near.new_tensor(-math.inf)).item()
    if exact == threshold:
        return below if inclusive else exact
    return below if exact > threshold else exact


def _settle(field: _Field, head: Int[Tensor, "m"], bound: float) -> Bool[Tensor, "m"]:
    """Which of the boxes `head`, best first, stay when only they are looked at."""
    by_place = head[field.place[head].argsort()]
    first = torch.arange(1, len(head) + 1, device=head.device)  # each pair once: with what follows on the line
    pairs = [torch.stack((a, b)) for a, b in _over(field, by_place, by_place, first, bound)]
    stays = torch.zeros_like(field.label, dtype=torch.bool)
    undecided = stays.index_fill(0, head, True)
    a, b = torch.cat(pairs, 1) if pairs else head.new_zeros(2, 0)
    better, worse = torch.minimum(a, b), torch.maximum(a, b)
    while len(better):
        blocked = torch.zeros_like(stays).index_fill_(0, worse, True)
        best = undecided & ~blocked
        gone = torch.zeros_like(stays).index_fill_(0, worse[best[better]], True)
        stays |= best
        undecided &= ~(best | gone)
        still = undecided[better] & undecided[worse]
        better, worse = better[still], worse[still]
    return (stays | undecided)[head]


def _struck(field: _Field, kept: Int[Tensor, "k"], left: Int[Tensor, "m"], bound: float) -> Bool[Tensor, "m"]:
    """Which of the boxes `left` overlap a kept one too much."""
    struck = torch.zeros_like(field.label, dtype=torch.bool)
    left_by_place = left[field.place[left].argsort()]
    first = torch.searchsorted(field.place[left_by_place], field.place[kept] - field.reach[kept])
    for _, b in _over(field, kept, left_by_place, first, bound):
        struck.index_fill_(0, b, True)
    return struck[left]


def _over(
    field: _Field, rows: Int[Tensor, "r"], columns: Int[Tensor, "c"], first: Int[Tensor, "r"], bound: float
) -> Iterator[tuple[Int[Tensor, "p"], Int[Tensor, "p"]]]:
    """All pairs of a box of `rows` and a near one of `columns` (ordered by place, from column `first` on) with IoU > bound."""
    last = torch.searchsorted(field.place[columns], field.place[rows] + field.reach[rows], right=True)
    count = (last - first).clamp(min=0)
    total = count.cumsum(0)
    steps = total.new_tensor(range(_PAIRS, int(total[-1]), _PAIRS))
    cuts = [0, *torch.searchsorted(total, steps).tolist(), len(rows)]
    middle = field.middle[columns]
    for start, end in itertools.pairwise(cuts):
        part, times = rows[start:end], count[start:end]
        row = part.repeat_interleave(times)  # (pairs,)
        offset = first[start:end] - (times.cumsum(0) - times)
        column = torch.arange(len(row), device=rows.device) + offset.repeat_interleave(times)
        across = middle[column].sub_(field.middle[part].repeat_interleave(times)).abs_()
        near = (across <= field.tall[part].repeat_interleave(times)).nonzero()[:, 0]
        a, b = row[near], columns[column[near]]
        hit = _iou(field, a, b) > bound
        hit &= field.label[a] == field.label[b]
        yield a[hit], b[hit]


def _iou(field: _Field, a: Int[Tensor, "p"], b: Int[Tensor, "p"]) -> Float[Tensor, "p"]:
    """IoU of pairs in the order of operations that torchvision has: equal to the last bit."""
    (ax1, ay1, ax2, ay2), (bx1, by1, bx2, by2) = field.edges[:, a], field.edges[:, b]
    shared = (torch.minimum(ax2, bx2) - torch.maximum(ax1, bx1)).clamp_(min=0)
    shared *= (torch.minimum(ay2, by2) - torch.maximum(ay1, by1)).clamp_(min=0)
    return shared / (field.area[a] + field.area[b] - shared)
