"""Temperature scaling: one number T that makes probabilities honest without changing an answer.

Guo et al. 2017, "On calibration of modern neural networks" (arXiv:1706.04599): scores are divided by T, which is chosen on
validation images for the lowest log loss. T > 1 softens an overconfident classifier. Rows hold probabilities p; since
softmax(log p / T) is the softmax of the divided scores, they are all that is needed.

The gain is measured on images that T was not chosen on, with a paired bootstrap: the same resamples before and after.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from sightline.evaluation.intervals import weights_in_blocks
from sightline.metrics.calibration import BINS, SMALLEST, confidence_bin

LOWEST, HIGHEST = 0.05, 20.0
RESAMPLES = 400
MOST = 20_000  # validation images that T is chosen on
_GOLDEN = (math.sqrt(5) - 1) / 2

Probabilities = Float[np.ndarray, "n k"]
Classes = Int[np.ndarray, "n"]
Rows = tuple[Int[np.ndarray, "_"], Float[np.ndarray, "_ k"]]  # class and probabilities of as many images as there are


@dataclass(frozen=True)
class Scaled:
    """`temperature` chosen on `chosen_on` images; on `n` others the log loss and the ECE, each before, after, and the 95 %
    interval of after minus before."""

    temperature: float
    chosen_on: int
    n: int
    nll: tuple[float, float]
    nll_change: tuple[float, float]
    ece: tuple[float, float]
    ece_change: tuple[float, float]

    def to_json(self) -> dict[str, Any]:
        return {
            "temperature": self.temperature, "chosen_on": self.chosen_on, "n": self.n,
            "nll": list(self.nll), "nll_change": list(self.nll_change),
            "ece": list(self.ece), "ece_change": list(self.ece_change),
        }  # fmt: skip


def softened(probability: Probabilities, temperature: float) -> Probabilities:
    """softmax(log p / T) of each row."""
    logits = np.log(np.maximum(probability, np.finfo(np.float64).tiny)) / temperature
    logits -= logits.max(1, keepdims=True)
    powers = np.exp(logits)
    return powers / powers.sum(1, keepdims=True)


def fit_temperature(target: Classes, probability: Probabilities) -> float:
    """The T of the lowest mean log loss. log loss is convex in 1 / T (a log-sum-exp minus a linear term), so the golden-section
    search over 1 / T finds the only minimum; at an end of [0.05, 20] the answer is that end."""
    step = max(1, len(target) // MOST)
    target, probability = target[::step], probability[::step]
    logits = np.log(np.maximum(probability, np.finfo(np.float64).tiny))
    logits -= logits.max(1, keepdims=True)
    true = logits[np.arange(len(target)), target]

    def loss(inverse: float) -> float:
        return float((np.log(np.exp(logits * inverse).sum(1)) - true * inverse).mean())

    low, high = 1 / HIGHEST, 1 / LOWEST
    left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
    f_left, f_right = loss(left), loss(right)
    while high - low > 1e-6:
        if f_left <= f_right:
            high, right, f_right = right, left, f_left
            left = high - _GOLDEN * (high - low)
            f_left = loss(left)
        else:
            low, left, f_left = left, right, f_right
            right = low + _GOLDEN * (high - low)
            f_right = loss(right)
    return 2 / (low + high)


def scale(chosen: Rows, measured: Rows, *, seed: int = 0) -> Scaled | None:
    """T by the validation rows `chosen`, and what it does on the rows `measured`; None where either has no labelled image."""
    (target, probability), (own, before) = (_known(*rows) for rows in (chosen, measured))
    if not len(target) or not len(own) or before.shape[1] < 2:
        return None
    temperature = fit_temperature(target, probability)
    after = softened(before, temperature)
    losses = [-np.log(np.maximum(p[np.arange(len(own)), own], SMALLEST)) for p in (before, after)]
    right = (before.argmax(1) == own).astype(float)
    confidences = [p.max(1) for p in (before, after)]
    gaps = [(right - c)[:, None] * np.eye(BINS)[confidence_bin(c)] for c in confidences]  # (n, bins) each
    eces = [float(np.abs(gap.mean(0)).sum()) for gap in gaps]
    loss_changes, ece_changes = [], []
    for weights in weights_in_blocks(len(own), seed, RESAMPLES):
        weights = weights / len(own)
        loss_changes.append(weights @ (losses[1] - losses[0]))
        ece_changes.append(np.abs(weights @ gaps[1]).sum(1) - np.abs(weights @ gaps[0]).sum(1))
    nll_change, ece_change = (_middle(np.concatenate(c)) for c in (loss_changes, ece_changes))
    nll = (float(losses[0].mean()), float(losses[1].mean()))
    return Scaled(temperature, len(target), len(own), nll, nll_change, (eces[0], eces[1]), ece_change)


def _known(target: Classes, probability: Probabilities) -> tuple[Classes, Probabilities]:
    known = target >= 0
    return target[known], probability[known].astype(np.float64)


def _middle(values: Float[np.ndarray, "r"]) -> tuple[float, float]:
    low, high = np.quantile(values, [0.025, 0.975])
    return float(low), float(high)
