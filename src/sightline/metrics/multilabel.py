"""Metrics of several labels for each image: average precision of each label, F1 at one threshold for all of them.

An entry without a known label counts nowhere. mAP is the mean of the average precisions (`ranking.average_precision`, at_tp)
of the labels that occur; macro F1 the mean F1 of those that occur or are predicted; micro F1 that of the counts summed over
all labels. All are functions of weights for the images, (r, n), so that a bootstrap is one call.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float

from .counts import Counts, averaged, mean_defined, or_none

_BLOCK = 1 << 20  # weights at a time


def label_counts(
    target: Float[np.ndarray, "n k"],
    probability: Float[np.ndarray, "n k"],
    threshold: float,
    weight: Float[np.ndarray, "r n"] | None = None,
) -> Counts:
    """True and false positives and negatives of each label, (r, k), under r sets of weights for the images; (1, k) without."""
    weight = np.ones((1, len(target))) if weight is None else weight
    predicted, present, absent = probability >= threshold, target == 1, target == 0  # NaN is neither
    kinds = (predicted & present, predicted & absent, ~predicted & present, ~predicted & absent)
    return Counts(*(weight @ kind.astype(np.float64) for kind in kinds))


def average_precisions_of_labels(
    target: Float[np.ndarray, "n k"],
    probability: Float[np.ndarray, "n k"],
    weight: Float[np.ndarray, "r n"] | None = None,
) -> Float[np.ndarray, "r k"]:
    """The average precision of each label under r sets of weights; NaN where a label does not occur.

    Scores 0.9, 0.6, 0.6 of a present, a present and an absent label give precision 1 at recall 1/2 and 2/3 at recall 1, where
    the tie counts as one point: 1/2 · 1 + 1/2 · 2/3 = 5/6.
    """
    weight = np.ones((1, len(target))) if weight is None else weight
    found = np.full((len(weight), target.shape[1]), np.nan)
    for c in range(target.shape[1]):
        known = ~np.isnan(target[:, c])
        if known.any():
            found[:, c] = _average_precision(target[known, c] == 1, probability[known, c], weight[:, known])
    return found


def _average_precision(
    positive: Bool[np.ndarray, "n"], score: Float[np.ndarray, "n"], weight: Float[np.ndarray, "r n"]
) -> Float[np.ndarray, "r"]:
    order = np.argsort(-score, kind="stable")
    positive, ordered = positive[order], score[order]
    last = np.flatnonzero(np.r_[ordered[1:] != ordered[:-1], True])  # of each set of ties
    found = np.full(len(weight), np.nan)
    step = max(1, _BLOCK // len(score))
    for start in range(0, len(weight), step):
        part = weight[start : start + step][:, order]  # (s, n)
        all_, hits = part.cumsum(1)[:, last], (part * positive).cumsum(1)[:, last]  # (s, points)
        precision = np.divide(hits, all_, out=np.zeros_like(hits), where=all_ > 0)
        total = hits[:, -1]
        area = (np.diff(hits, axis=1, prepend=0.0) * precision).sum(1)
        found[start : start + step] = np.where(total > 0, area / np.where(total > 0, total, 1.0), np.nan)
    return found


def best_threshold(target: Float[np.ndarray, "n k"], probability: Float[np.ndarray, "n k"]) -> float:
    """The threshold with the highest micro F1 over the known entries, halfway to the next lower probability; 0.5 where no
    label occurs. Of equally good thresholds it is the highest.

    >>> best_threshold(np.array([[1.0, 0.0], [1.0, 0.0]]), np.array([[0.9, 0.2], [0.6, 0.4]]))
    0.5
    """
    known = ~np.isnan(target)
    positive, score = target[known] == 1, probability[known].astype(np.float64)
    if not positive.any():
        return 0.5
    order = np.argsort(-score, kind="stable")
    positive, score = positive[order], score[order]
    last = np.flatnonzero(np.r_[score[1:] != score[:-1], True])
    f1 = 2 * positive.cumsum()[last] / (last + 1 + positive.sum())
    best = int(last[f1.argmax()])
    return float((score[best] + score[best + 1]) / 2) if best + 1 < len(score) else float(score[best])


def label_metrics(
    target: Float[np.ndarray, "n k"],
    probability: Float[np.ndarray, "n k"],
    threshold: float = 0.5,
) -> dict[str, float | None]:
    """map, micro_f1, macro_f1 and loss (binary cross-entropy in nats, over the known entries). None: undefined."""
    counts = label_counts(target, probability, threshold)
    precisions = average_precisions_of_labels(target, probability)
    return {
        "map": or_none(float(mean_defined(precisions)[0])),
        "micro_f1": or_none(float(averaged("f_beta", counts, "micro")[0])),
        "macro_f1": or_none(float(averaged("f_beta", counts, "macro")[0])),
        "loss": or_none(binary_log_loss(target, probability)),
    }


def log_losses_of_labels(
    target: Float[np.ndarray, "n k"], probability: Float[np.ndarray, "n k"]
) -> Float[np.ndarray, "n k"]:
    """The binary cross-entropy of each entry in nats, 0 where it is unknown. A probability is kept away from 0 and 1 by the
    resolution of 32 bits, in which networks answer: no entry costs more than 16 nats."""
    own = np.where(target == 1, probability, 1 - probability)
    return np.where(np.isnan(target), 0.0, -np.log(np.maximum(own, np.finfo(np.float32).eps)))


def binary_log_loss(target: Float[np.ndarray, "n k"], probability: Float[np.ndarray, "n k"]) -> float:
    """The mean binary cross-entropy of the known entries in nats; NaN without any."""
    known = int((~np.isnan(target)).sum())
    return float(log_losses_of_labels(target, probability).sum() / known) if known else float("nan")
