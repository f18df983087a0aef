"""Average precision from matched detections, for all images or for any resample of them.

A ranking's AP under a named interpolation is `ranking.area_under`. This file has COCO's (Lin et al. 2014,
arXiv:1405.0312): detections of a class by falling score, each a true positive, a false positive, or neither (it fell on
an ignored region); precision is replaced by the best one at no smaller recall and averaged at 101 recall levels.

Each image has a weight, the number of times it was drawn, so 200 bootstrap resamples cost one pass: only the ranks of
true positives are visited, because recall changes nowhere else and the best precision always occurs at one. That equals
COCO's number for the resample in which each image occurs that often (where an image ties with itself, copies of a true
positive come before copies of the false positive behind it).

COCO's two roundings are kept, or results would differ in the last digit where recall meets a level exactly: levels are
multiples of a rounded 0.01, and 2^-52 is added to the denominator of precision.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Real

from .matching import HIT, IGNORED, ClassMatches, Matches
from .ranking import Interpolation, PrecisionRecall, area_under, at_ranks

LEVELS = np.linspace(0.0, 1.0, 101)


def ranking_ap(
    correct: Real[np.ndarray, "n"] | Bool[np.ndarray, "n"], n_truth: int, interpolation: Interpolation = "coco_101"
) -> float:
    """AP of one ranked list of detections, `correct` by falling score, for `n_truth` objects; NaN without objects.

    PASCAL VOC 2007 uses `eleven_point`, VOC from 2010 `all_point`, COCO `coco_101`; `at_tp` does not interpolate.
    """
    ranks = at_ranks(correct, n_truth)
    if not n_truth:
        return np.nan
    return area_under(ranks.precision, ranks.recall, interpolation)


def average_precisions(
    matches: Matches, weights: Real[np.ndarray, "r n"] | None = None
) -> Float[np.ndarray, "r k thresholds"]:
    """COCO's AP of each class at each IoU threshold, NaN for a class without truth.

    `weights` (r, n): how often each image occurs in each of r resamples; None: once, in a single one.
    """
    if weights is None:
        weights = np.ones((1, matches.n))
    by_class = [_of_class(c, np.asarray(weights, dtype=np.float64)) for c in matches.classes]
    empty = np.zeros((len(weights), 0, len(matches.thresholds)))
    return np.stack(by_class, axis=1) if by_class else empty


def _of_class(c: ClassMatches, weights: Float[np.ndarray, "r n"]) -> Float[np.ndarray, "r thresholds"]:
    support = weights @ c.support  # (r,)
    weight = weights[:, c.image]  # (r, d)
    rank = np.cumsum(weight, axis=1)  # (r, d) weighted number of detections up to each rank
    defined = support > 0
    ap = np.full((len(weights), len(c.outcome)), np.nan)
    for t, outcome in enumerate(c.outcome):
        hits, ignored = np.flatnonzero(outcome == HIT), np.flatnonzero(outcome == IGNORED)
        tp = np.cumsum(weight[:, hits], axis=1)  # (r, h)
        before = np.cumsum(np.pad(weight[:, ignored], ((0, 0), (1, 0))), axis=1)  # (r, 1 + ignored)
        counted = rank[:, hits] - before[:, np.searchsorted(ignored, hits)]  # (r, h) not ignored
        precision = tp / (counted + np.spacing(1))
        best = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
        recall = tp / np.where(defined, support, 1.0)[:, None]
        reached = np.searchsorted(LEVELS, recall, side="right")  # levels at or below each recall
        at = np.diff(reached, axis=1, prepend=0)
        ap[defined, t] = (at * best).sum(1)[defined] / len(LEVELS)
    return ap


class OperatingPoint(NamedTuple):
    """Precision, recall and F1 of the detections with a score of at least `threshold`."""

    threshold: float
    precision: float
    recall: float
    f1: float


def best_point(score: Float[np.ndarray, "d"], right: Bool[np.ndarray, "d"], n_truth: int) -> OperatingPoint | None:
    """The threshold with the largest F1 (the higher one in a tie), for detections by falling `score`; `right` marks true
    positives. None without objects or without a true positive.
    """
    if not n_truth or not right.any():
        return None
    last = np.flatnonzero(np.r_[score[1:] != score[:-1], True])  # a threshold cannot separate equal scores
    tp, detections = np.cumsum(right)[last], last + 1
    f1 = 2 * tp / (detections + n_truth)
    i = int(f1.argmax())
    return OperatingPoint(float(score[last[i]]), float(tp[i] / detections[i]), float(tp[i] / n_truth), float(f1[i]))


def curve(c: ClassMatches, points: int = 200) -> PrecisionRecall | None:
    """Precision and recall of a class at each true positive of its first IoU threshold, thinned to at most `points` with both
    ends kept. None without objects."""
    if not c.support.sum():
        return None
    counted = c.outcome[0] != IGNORED
    right = c.outcome[0][counted] == HIT
    hits = np.flatnonzero(right)
    if len(hits) > points:
        hits = hits[np.linspace(0, len(hits) - 1, points).round().astype(int)]
    tp = np.cumsum(right)[hits]
    return PrecisionRecall(tp / (hits + 1), tp / c.support.sum(), c.score[counted][hits])
