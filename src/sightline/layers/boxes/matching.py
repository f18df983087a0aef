"""Which anchor answers for which true box, and which anchors a loss looks at.

    match    Ren et al. 2015, arXiv:1506.01497, section 3.1.2: by IoU, two thresholds and, if asked for, the best anchor of each
    sample   the same section: a bounded number of anchors, a share of them positive

Pure functions: `sample` draws by the hash of (seed, integers, anchor), so nothing is advanced and a step can be repeated.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from sightline.errors import UsageError
from sightline.randomness.keyed import keys
from sightline.structures.boxes import coverage

BACKGROUND = -1
BETWEEN = -2  # neither: no loss is computed there


def match(
    iou: Float[Tensor, "g n"], *, high: float | int, low: float | int, allow_low_quality: bool = False
) -> Int[Tensor, "n"]:
    """For each of n anchors the row of its true box, BACKGROUND (-1) or BETWEEN (-2), from IoU (g, n) with true boxes.

    The best true box counts from IoU ≥ `high`; < `low` is background. With `allow_low_quality` each true box also gets the
    anchors that overlap it most, however little (these keep *their* best box). torchvision's rule but for one case: a true
    box that no anchor touches gets none here; there it turns every such background anchor positive.
    """
    if low > high:
        raise UsageError(f"anchors cannot be background below {low} and objects from {high}", "set low ≤ high")
    if not iou.shape[0]:
        return torch.full((iou.shape[1],), BACKGROUND, device=iou.device)
    best, row = iou.max(0)
    matched = torch.where(best < low, BACKGROUND, torch.where(best < high, BETWEEN, row))
    if allow_low_quality and iou.shape[1]:
        top = iou.amax(1, keepdim=True)  # (g, 1)
        chosen = ((iou == top) & (top > 0)).any(0)
        matched = torch.where(chosen, row, matched)
    return matched


def set_aside(
    matched: Int[Tensor, "n"], anchors: Float[Tensor, "n 4"], regions: Float[Tensor, "r 4"], *, share: float | int = 0.5
) -> Int[Tensor, "n"]:
    """`matched` with BETWEEN for background anchors of which more than `share` lies in one of `regions` (crowds, difficult
    objects: neither object nor background). Matched anchors stay matched."""
    if not len(regions):
        return matched
    covered = (coverage(anchors, regions) > share).any(1)
    return torch.where(covered & (matched == BACKGROUND), BETWEEN, matched)


class Sampled(NamedTuple):
    """Indices of the anchors that count, ascending: `positive` (p,) have a true box, `negative` (q,) are background."""

    positive: Int[Tensor, "p"]
    negative: Int[Tensor, "q"]


def sample(
    matched: Int[Tensor, "n"], *, count: int, positive_share: float | int, seed: int, key: tuple[int, ...]
) -> Sampled:
    """At most `count` anchors, at most `positive_share` of them positive; background fills what is left.

    A pure function: `key` holds the integers that tell this draw from others (step, image, stage).
    """
    positive = _drawn(matched >= 0, int(count * positive_share), seed, "positive regions", key)
    negative = _drawn(matched == BACKGROUND, count - len(positive), seed, "negative regions", key)
    return Sampled(positive, negative)


def _drawn(candidate: Bool[Tensor, "n"], most: int, seed: int, purpose: str, key: tuple[int, ...]) -> Int[Tensor, "k"]:
    """At most `most` of the candidates' indices, those with the smallest hashes."""
    index = candidate.nonzero()[:, 0]
    if len(index) <= most:
        return index
    chosen = keys(seed, purpose, *key, index).topk(most, largest=False, sorted=False).indices
    return index[chosen].sort().values
