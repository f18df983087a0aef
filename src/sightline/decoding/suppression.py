"""Non-maximum suppression: of boxes that overlap too much only the best scored is kept (Dalal & Triggs 2005; greedy in
Felzenszwalb et al. 2010).

Two rules are in use. Strict, torchvision's: a box is dropped if its IoU with a better, kept one is above the threshold.
Inclusive, the textbook's: also if it is equal.

The textbook algorithm is a loop over boxes. Here it is a few vector operations, on any device, with the same answer to
the last index:

    near   only pairs whose centres are close enough are compared. With widths u, v and s = (u + v) / 2 an IoU above t needs
           |x - x'| < s · (1 - t) / (1 + t), and v ≤ u / t: at most u · (1 - t) / 2t
    head   among the best 1,024, all boxes without a better undecided neighbour are kept, their neighbours dropped; repeat
    rest   the kept ones suppress boxes behind the head; the best 1,024 of those left are the next head

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

_HEAD = 1024  # boxes compared among themselves: at most half a million pairs
_PAIRS = 1 << 18  # pairs compared at a time


def nms(
    boxes: Real[Tensor, "n 4"] | Sequence[Sequence[float | int]],
    scores: Real[Tensor, "n"] | Sequence[float | int],
    threshold: float | int,
    *,
    inclusive: bool = False,
) -> Int[Tensor, "k"]:
    """Indices (k,) of the kept boxes (n, 4) xyxy, best first; among equal scores the lower index counts as the better.

    Boxes and scores may be lists. By default torchvision's strict rule applies: a box is dropped when its IoU with a
    better kept one is > `threshold`; with `inclusive`, when it is ≥ `threshold`. UsageError for a threshold outside
    [0, 1], or 0 with `inclusive`.
    """
    if not isinstance(boxes, Tensor):
        boxes = torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4)  # (n, 4), also for an empty list
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
    """As `nms`, but boxes only compete with those of the same `label` (n,): a class, an image, a level or one number for all.

    Labels are compared. The usual trick of adding them to the coordinates costs precision where labels are large.
    """
    if not (0 <= threshold <= 1) or (inclusive and threshold == 0):
        raise UsageError(
            f"boxes cannot be suppressed at an IoU of {threshold}", "use a threshold in (0, 1], such as 0.5"
        )
    order = scores.argsort(descending=True, stable=True)
    candidates = _candidates(boxes[order], label[order], threshold)
    bound = _bound(threshold, inclusive, candidates.edges.dtype)
    left, kept = torch.arange(len(order), device=order.device), []
    while len(left):
        head, left = left[:_HEAD], left[_HEAD:]
        head = head[_survivors(candidates, head, bound)]
        kept.append(head)
        if len(left):
            left = left[~_suppressed_by(candidates, head, left, bound)]
    return order[torch.cat(kept)] if kept else order


class _Candidates(NamedTuple):
    """Boxes in order of score. `place` is the x of the centre, shifted so that the labels follow each other along one line.
    A box whose centre is further away than `reach` along that line, or than `tall` across it, overlaps too little."""

    edges: Float[Tensor, "4 n"]
    area: Float[Tensor, "n"]
    label: Int[Tensor, "n"]
    place: Float[Tensor, "n"]
    reach: Float[Tensor, "n"]
    middle: Float[Tensor, "n"]
    tall: Float[Tensor, "n"]


def _candidates(boxes: Tensor, label: Tensor, threshold: float) -> _Candidates:
    edges = (boxes if boxes.dtype == torch.float64 else boxes.float()).T.contiguous()  # (4, n)
    x1, y1, x2, y2 = edges
    place, reach = _centre_and_reach(x1, x2, threshold)
    middle, tall = _centre_and_reach(y1, y2, threshold)
    if len(place):
        place = place - place.min() + label * (place.max() - place.min() + 2 * reach.max() + 1)
    return _Candidates(edges, (x2 - x1) * (y2 - y1), label, place, reach, middle, tall)


def _centre_and_reach(low: Tensor, high: Tensor, threshold: float) -> tuple[Tensor, Tensor]:
    """The centres of intervals (n,), in float64, and how far away the centre of an interval with enough IoU can be."""
    low, high = low.double(), high.double()
    length = high - low
    least = max(threshold - 1e-4, 0.0)  # slightly lower, so that rounding loses no pair
    reach = (length + length.max() if len(length) else length) / 2 * (1 - least) / (1 + least)
    if least:
        reach = torch.minimum(reach, length * (1 - least) / (2 * least))
    return torch.nan_to_num((low + high) / 2, 0, 0, 0), torch.nan_to_num(reach, 0, 0, 0)


def _bound(threshold: float, inclusive: bool, dtype: torch.dtype) -> float:
    """The number b of `dtype` for which IoU > b is the rule.

    0.7 lies between the float32 numbers 0.69999999 and 0.70000005. An IoU is a float32, so both rules are IoU > 0.69999999.
    0.5 is a float32 itself: the strict rule is IoU > 0.5, the inclusive one IoU > 0.49999997.
    """
    near = torch.tensor(threshold, dtype=dtype)
    exact = near.item()
    below = torch.nextafter(near, near.new_tensor(-math.inf)).item()
    if exact == threshold:
        return below if inclusive else exact
    return below if exact > threshold else exact


def _survivors(candidates: _Candidates, head: Int[Tensor, "m"], bound: float) -> Bool[Tensor, "m"]:
    """Which of the boxes `head`, best first, are kept when they only compete with each other."""
    by_place = head[candidates.place[head].argsort()]
    first = torch.arange(1, len(head) + 1, device=head.device)  # each pair once: with the boxes that follow on the line
    pairs = [torch.stack((a, b)) for a, b in _overlapping_pairs(candidates, by_place, by_place, first, bound)]
    stays = torch.zeros_like(candidates.label, dtype=torch.bool)
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


def _suppressed_by(
    candidates: _Candidates, kept: Int[Tensor, "k"], left: Int[Tensor, "m"], bound: float
) -> Bool[Tensor, "m"]:
    """Which of the boxes `left` overlap a kept one too much."""
    suppressed = torch.zeros_like(candidates.label, dtype=torch.bool)
    left_by_place = left[candidates.place[left].argsort()]
    first = torch.searchsorted(candidates.place[left_by_place], candidates.place[kept] - candidates.reach[kept])
    for _, b in _overlapping_pairs(candidates, kept, left_by_place, first, bound):
        suppressed.index_fill_(0, b, True)
    return suppressed[left]


def _overlapping_pairs(
    candidates: _Candidates, rows: Int[Tensor, "r"], columns: Int[Tensor, "c"], first: Int[Tensor, "r"], bound: float
) -> Iterator[tuple[Int[Tensor, "p"], Int[Tensor, "p"]]]:
    """All pairs of a box of `rows` and a near one of `columns` (ordered by place, from column `first` on) with IoU > bound."""
    last = torch.searchsorted(candidates.place[columns], candidates.place[rows] + candidates.reach[rows], right=True)
    count = (last - first).clamp(min=0)
    total = count.cumsum(0)
    steps = total.new_tensor(range(_PAIRS, int(total[-1]), _PAIRS))
    cuts = [0, *torch.searchsorted(total, steps).tolist(), len(rows)]
    middle = candidates.middle[columns]
    for start, end in itertools.pairwise(cuts):
        part, times = rows[start:end], count[start:end]
        row = part.repeat_interleave(times)  # (pairs,)
        offset = first[start:end] - (times.cumsum(0) - times)
        column = torch.arange(len(row), device=rows.device) + offset.repeat_interleave(times)
        across = middle[column].sub_(candidates.middle[part].repeat_interleave(times)).abs_()
        near = (across <= candidates.tall[part].repeat_interleave(times)).nonzero()[:, 0]
        a, b = row[near], columns[column[near]]
        hit = _iou(candidates, a, b) > bound
        hit &= candidates.label[a] == candidates.label[b]
        yield a[hit], b[hit]


def _iou(candidates: _Candidates, a: Int[Tensor, "p"], b: Int[Tensor, "p"]) -> Float[Tensor, "p"]:
    """IoU of pairs, computed in torchvision's order of operations: equal to the last bit."""
    (ax1, ay1, ax2, ay2), (bx1, by1, bx2, by2) = candidates.edges[:, a], candidates.edges[:, b]
    shared = (torch.minimum(ax2, bx2) - torch.maximum(ax1, bx1)).clamp_(min=0)
    shared *= (torch.minimum(ay2, by2) - torch.maximum(ay1, by1)).clamp_(min=0)
    return shared / (candidates.area[a] + candidates.area[b] - shared)
