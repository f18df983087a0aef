"""Which true box each anchor is trained on, and which anchors enter the loss.

    match    Ren et al. 2015, arXiv:1506.01497, section 3.1.2: by IoU, two thresholds, optionally each box's best anchors
    sample   ibid.: a bounded number of anchors, a bounded share of them positive

Pure functions: `sample` draws by the hash of (seed, integers, anchor) rather than from a generator whose state
advances, so any step can be repeated.
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
BETWEEN = -2  # neither object nor background: excluded from the loss


def match(
    iou: Float[Tensor, "g n"], *, high: float | int, low: float | int, allow_low_quality: bool = False
) -> Int[Tensor, "n"]:
    """For each of n anchors the row of its true box, BACKGROUND (-1) or BETWEEN (-2), from the IoU (g, n) with true boxes.

    An anchor takes the true box with the largest IoU if that is ≥ `high`; below `low` it is background. With
    `allow_low_quality`, the anchors that overlap a true box most also become positive, however small the overlap (and keep
    *their* best box). This is torchvision's rule except in one case: a true box that no anchor touches gets none here,
    whereas torchvision turns every anchor of IoU 0 positive.

        >>> match(torch.tensor([[0.8, 0.4, 0.1]]), high=0.7, low=0.3)
        tensor([ 0, -2, -1])
    """
    if low > high:
        raise UsageError(f"thresholds low={low} and high={high} overlap", "set low ≤ high")
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
    """`matched` with BETWEEN for background anchors of which more than `share` lies in one of `regions`: crowds and difficult
    objects are neither object nor background. Matched anchors stay matched."""
    if not len(regions):
        return matched
    covered = (coverage(anchors, regions) > share).any(1)
    return torch.where(covered & (matched == BACKGROUND), BETWEEN, matched)


class Sampled(NamedTuple):
    """Sorted indices of the anchors in the loss: `positive` (p,) have a true box, `negative` (q,) are background."""

    positive: Int[Tensor, "p"]
    negative: Int[Tensor, "q"]


def sample(
    matched: Int[Tensor, "n"], *, count: int, positive_share: float | int, seed: int, key: tuple[int, ...]
) -> Sampled:
    """At most `count` anchors, at most `positive_share` of them positive; background fills the rest.

    A pure function: `key` holds the integers that distinguish this draw from others (step, image, stage).
    """
    positive = _draw(matched >= 0, int(count * positive_share), seed, "positive regions", key)
    negative = _draw(matched == BACKGROUND, count - len(positive), seed, "negative regions", key)
    return Sampled(positive, negative)


def _draw(candidate: Bool[Tensor, "n"], most: int, seed: int, purpose: str, key: tuple[int, ...]) -> Int[Tensor, "k"]:
    """At most `most` indices of candidates, those with the smallest hashes."""
    index = candidate.nonzero()[:, 0]
    if len(index) <= most:
        return index
    chosen = keys(seed, purpose, *key, index).topk(most, largest=False, sorted=False).indices
    return index[chosen].sort().values
