"""Metrics that depend only on the order of scores: top-k accuracy, ROC curve, AUC, precision-recall curve, average
precision.

Curves come from scikit-learn. AUC is the rank statistic of Mann & Whitney (1947): the probability that a positive
outranks a negative, a tie counting half (Hanley & McNeil 1982). It has its own code, because the bootstrap evaluates it
a thousand times under sample weights: `rank_code` sorts once, then each AUC is one histogram.

"Area under the precision-recall curve" does not say how the points are joined, so average precision names it:

    at_tp         mean precision at the positives = steps, nothing interpolated; scikit-learn's average_precision_score
    all_point     PASCAL VOC from 2010: each precision replaced by the best one at no smaller recall, then steps
    eleven_point  PASCAL VOC 2007: mean of the best precision at recall >= 0, 0.1 ... 1
    coco_101      COCO: the same at 0, 0.01 ... 1 (levels are exactly i / 100; COCO's own are rounded sums)
"""

from __future__ import annotations

from typing import Literal, NamedTuple, get_args

import numpy as np
from jaxtyping import Bool, Float, Int, Real

from sightline.errors import UsageError
from sightline.registry import suggestion

from .arrays import Classes, Flags, Probabilities, Scores, probability_rows, ranking_arrays

Interpolation = Literal["at_tp", "all_point", "eleven_point", "coco_101"]
_INTERPOLATIONS = get_args(Interpolation)
_LEVELS = {"eleven_point": np.arange(11) / 10, "coco_101": np.arange(101) / 100}


class RocCurve(NamedTuple):
    """Points by falling threshold ("positive where score >= threshold"), the first with an infinite one: (0, 0)."""

    fpr: Float[np.ndarray, "p"]
    tpr: Float[np.ndarray, "p"]
    threshold: Float[np.ndarray, "p"]


class PrecisionRecall(NamedTuple):
    """Points by falling threshold, one for each distinct score."""

    precision: Float[np.ndarray, "p"]
    recall: Float[np.ndarray, "p"]
    threshold: Float[np.ndarray, "p"]


class Ranks(NamedTuple):
    """Counts, precision and recall after each rank of a sorted list of detections."""

    tp: Int[np.ndarray, "n"]
    fp: Int[np.ndarray, "n"]
    fn: Int[np.ndarray, "n"]
    precision: Float[np.ndarray, "n"]
    recall: Float[np.ndarray, "n"]


def true_rank(target: Int[np.ndarray, "n"], probability: Float[np.ndarray, "n k"]) -> Int[np.ndarray, "n"]:
    """The number of classes ranked before the true one: those more probable, and equally probable ones of lower index."""
    true = probability[np.arange(len(target)), target][:, None]  # (n, 1)
    earlier = np.arange(probability.shape[1])[None] < target[:, None]  # (n, k)
    return ((probability > true) | ((probability == true) & earlier)).sum(1)


def top_k_accuracy(target: Classes, probability: Probabilities, k: int) -> float:
    """Share of samples whose true class is among the k most probable; NaN without samples.

    Among tied classes the lowest index comes first, as in arg-max, so top-1 equals the accuracy.
    """
    target, probability = probability_rows(target, probability)
    return float((true_rank(target, probability) < k).mean()) if len(target) else np.nan


def roc_curve(positive: Flags, score: Scores) -> RocCurve | None:
    """All points of the ROC curve; None where positives or negatives are missing."""
    import sklearn.metrics  # half a second that importing this package should not cost

    positive, score = ranking_arrays(positive, score)
    if positive.all() or not positive.any():
        return None
    return RocCurve(*sklearn.metrics.roc_curve(positive, score, drop_intermediate=False))


def rank_code(positive: Bool[np.ndarray, "n"], score: Float[np.ndarray, "n"]) -> Int[np.ndarray, "n"]:
    """All that the AUC needs from the scores: for each sample 2 · run + positive.

    Runs are numbered by rising score. A run is a set of tied scores, or of neighbouring scores that are all positive or all
    negative (their order among themselves changes no AUC), so a good ranking has few.

        >>> rank_code(np.array([False, False, True, False, True]), np.array([0.1, 0.2, 0.3, 0.4, 0.4]))
        array([0, 0, 3, 4, 5])
    """
    if not len(score):
        return np.zeros(0, dtype=np.int64)
    order = np.argsort(score, kind="stable")
    sign, ordered = positive[order], score[order]
    start = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])  # of each set of ties
    size = np.diff(np.r_[start, len(score)])
    share = np.add.reduceat(sign, start, dtype=np.int64)  # positives among them
    kind = np.where(share == 0, 0, np.where(share == size, 1, 2))  # negatives, positives, both
    run = np.cumsum(np.r_[False, (kind[1:] != kind[:-1]) | (kind[1:] == 2)])
    code = np.empty(len(score), dtype=np.int64)
    code[order] = 2 * np.repeat(run, size) + sign
    return code


def code_length(code: Int[np.ndarray, "n"]) -> int:
    """The number of possible codes: two for each run."""
    return 2 * (int(code.max()) // 2 + 1) if len(code) else 0


def auc_of_sums(sums: Float[np.ndarray, "... codes"]) -> Float[np.ndarray, "..."]:
    """AUC from the number (or weight) of samples with each rank code; NaN without positives or without negatives."""
    negative, positive = sums[..., 0::2], sums[..., 1::2]
    pairs = np.asarray(negative.sum(-1) * positive.sum(-1))
    below = np.cumsum(negative, -1) - negative
    won = (positive * (below + negative / 2)).sum(-1)
    return np.where(pairs > 0, won / np.where(pairs > 0, pairs, 1.0), np.nan)


def auc(positive: Flags, score: Scores) -> float:
    """Area under the ROC curve; NaN where positives or negatives are missing.

    >>> auc([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])  # 3 of 4 pairs are ordered correctly
    0.75
    """
    positive, score = ranking_arrays(positive, score)
    code = rank_code(positive, score)
    return float(auc_of_sums(np.bincount(code, minlength=code_length(code)).astype(np.float64)))


def one_vs_rest_auc(target: Classes, probability: Probabilities) -> Float[np.ndarray, "k"]:
    """AUC of each class's probability against the rest; NaN for a class that is absent, or the only one present."""
    target, probability = probability_rows(target, probability)
    areas = np.full(probability.shape[1], np.nan)
    for c in np.unique(target[target >= 0]):  # sorting the scores of ten thousand absent classes says nothing
        areas[c] = auc(target == c, probability[:, c])
    return areas


def precision_recall_curve(positive: Flags, score: Scores) -> PrecisionRecall | None:
    """All points of the precision-recall curve; None without a positive, which leaves recall undefined."""
    import sklearn.metrics  # as in `roc_curve`

    positive, score = ranking_arrays(positive, score)
    if not positive.any():
        return None
    precision, recall, threshold = sklearn.metrics.precision_recall_curve(positive, score)
    # scikit-learn sorts by rising threshold and appends the point (1, 0), which no threshold produces
    return PrecisionRecall(precision[-2::-1], recall[-2::-1], threshold[::-1])


def at_ranks(correct: Real[np.ndarray, "n"] | Bool[np.ndarray, "n"], n_truth: int) -> Ranks:
    """Counts, precision and recall after each rank, for `correct` by falling score and `n_truth` true objects.

    Recall is NaN without true objects. ValueError for more correct detections than objects.
    """
    hit = np.asarray(correct, dtype=bool)
    if hit.sum() > n_truth:
        raise ValueError(f"{hit.sum()} correct detections for {n_truth} objects: count each object once")
    tp, rank = np.cumsum(hit), np.arange(1, len(hit) + 1)
    recall = tp / n_truth if n_truth else np.full(len(tp), np.nan)
    return Ranks(tp, rank - tp, n_truth - tp, tp / rank, recall)


def area_under(
    precision: Float[np.ndarray, "p"], recall: Float[np.ndarray, "p"], interpolation: Interpolation = "at_tp"
) -> float:
    """Average precision from points by falling threshold (rising recall); 0 without points, NaN where recall is undefined.

    UsageError for an unknown interpolation.
    """
    if interpolation not in _INTERPOLATIONS:
        raise UsageError(
            f"unknown interpolation {interpolation!r}",
            suggestion(interpolation, dict.fromkeys(_INTERPOLATIONS), {"coco": "coco_101"}),
        )
    if np.isnan(recall).any():
        return np.nan
    if interpolation == "at_tp":
        return float((np.diff(recall, prepend=0.0) * precision).sum())
    best = np.maximum.accumulate(precision[::-1])[::-1]  # the best precision at this recall or a larger one
    if interpolation == "all_point":
        return float((np.diff(recall, prepend=0.0) * best).sum())
    # i / 100 and tp / n are each the nearest float, so equal fractions are equal floats and >= is exact.
    first = np.searchsorted(recall, _LEVELS[interpolation], side="left")
    return float(np.r_[best, 0.0][first].mean())


def average_precision(positive: Flags, score: Scores, interpolation: Interpolation = "at_tp") -> float:
    """Average precision of a score; tied scores form one point. NaN without a positive."""
    curve = precision_recall_curve(positive, score)
    return np.nan if curve is None else area_under(curve.precision, curve.recall, interpolation)
