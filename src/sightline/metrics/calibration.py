"""Calibration: log loss, Brier score, reliability curve, expected calibration error.

ECE is that of Naeini, Cooper & Hauskrecht (2015) with the bins of Guo et al. (2017, arXiv:1706.04599): the confidence
is the largest probability, in 15 bins of equal width, open below and closed above, so a confidence of exactly 1 falls
into the last bin (torchmetrics closes them below and gives 1.0 a 16th). The Brier score is Brier's original (1950), the
squared distance summed over classes, from 0 to 2. Log loss clips the probability of the true class at the float64
epsilon (2.2e-16, so a sample costs at most 36.04), as scikit-learn does. Without samples all are NaN.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from .arrays import Classes, Flags, Probabilities, Scores, probability_rows, ranking_arrays

BINS = 15
SMALLEST = float(np.finfo(np.float64).eps)


class Reliability(NamedTuple):
    """Bins of confidence: edges (lower, upper], number of samples, mean confidence and accuracy (NaN in an empty bin)."""

    lower: Float[np.ndarray, "bins"]
    upper: Float[np.ndarray, "bins"]
    samples: Int[np.ndarray, "bins"]
    confidence: Float[np.ndarray, "bins"]
    accuracy: Float[np.ndarray, "bins"]


def log_losses(target: Classes, probability: Probabilities) -> Float[np.ndarray, "n"]:
    """Minus the logarithm of the true class's probability, for each sample."""
    target, probability = probability_rows(target, probability)
    true = probability[np.arange(len(target)), target].astype(np.float64)
    return -np.log(np.maximum(true, SMALLEST))


def log_loss(target: Classes, probability: Probabilities) -> float:
    """Mean log loss (cross-entropy in nats)."""
    return float(log_losses(target, probability).mean()) if len(target) else np.nan


def brier_score(target: Classes, probability: Probabilities) -> float:
    """Mean squared distance between the probabilities and the one-hot truth, summed over the classes."""
    target, probability = probability_rows(target, probability)
    if not len(target):
        return np.nan
    distance = probability.astype(np.float64)  # a copy (n, k)
    distance[np.arange(len(target)), target] -= 1.0
    return float((distance**2).sum(1).mean())


def confidence_bin(confidence: Float[np.ndarray, "n"], bins: int = BINS) -> Int[np.ndarray, "n"]:
    """The bin of each confidence: i where i / bins < confidence <= (i + 1) / bins."""
    return np.searchsorted(np.arange(1, bins) / bins, confidence, side="left")


def reliability(confidence: Scores, correct: Flags, bins: int = BINS) -> Reliability:
    """Mean confidence and accuracy, bin by bin."""
    correct, confidence = ranking_arrays(correct, confidence)
    bin_of = confidence_bin(confidence, bins)
    count = np.bincount(bin_of, minlength=bins)
    filled = np.where(count, count, 1)
    mean = [np.where(count, np.bincount(bin_of, x, bins) / filled, np.nan) for x in (confidence, correct)]
    edges = np.arange(bins + 1) / bins
    return Reliability(edges[:-1], edges[1:], count, *mean)


def expected_calibration_error(confidence: Scores, correct: Flags, bins: int = BINS) -> float:
    """|accuracy - confidence| of each bin, weighted by the bin's share of the samples; NaN without samples."""
    correct, confidence = ranking_arrays(correct, confidence)
    if not len(confidence):
        return np.nan
    gap = np.bincount(confidence_bin(confidence, bins), correct - confidence, bins)
    return float(np.abs(gap).sum() / len(confidence))
