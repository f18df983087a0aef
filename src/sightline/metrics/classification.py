"""The metrics of a classifier: pure functions of true classes and probabilities, for validation, test and slices alike.

`prepare` computes once what depends on the samples alone (arg-max, losses, bins, sorted ranks); `measure_weighted` then
counts each sample as often as its weight says. Metrics are the case of weights 1, the bootstrap that of a thousand sets
of weights, so a value and its interval share one definition.

    loss               mean log loss (natural logarithm)
    accuracy           of the arg-max; the lowest index among tied classes
    balanced_accuracy  mean recall of the classes that occur
    macro_f1           mean F1 of the classes that occur or are predicted
    mcc                R_K; undefined when only one class occurs, or only one is predicted
    auc                two classes: of class 1; more: one against the rest, averaged over the classes that occur
    ece                15 equal bins of the largest probability, see `calibration`
    top5_accuracy      the true class is among the five most likely; only with more than five classes
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from sightline.errors import DivergedError

from .arrays import Classes, Probabilities, probability_rows
from .calibration import BINS, confidence_bin, log_losses
from .counts import (
    Counts,
    WeightedMetrics,
    accuracy,
    averaged,
    balanced_accuracy,
    counts_from_sums,
    matthews,
    mean_defined,
    or_none,
)
from .ranking import auc_of_sums, code_length, rank_code, true_rank


@dataclass(frozen=True)
class PreparedRows:
    """What the metrics need of n samples of known class; `codes` holds the rank code of each class in the AUC."""

    classes: int
    target: Int[np.ndarray, "n"]
    predicted: Int[np.ndarray, "n"]
    correct: Bool[np.ndarray, "n"]
    loss: Float[np.ndarray, "n"]
    confidence: Float[np.ndarray, "n"]
    bin: Int[np.ndarray, "n"]
    top5: Bool[np.ndarray, "n"] | None
    codes: tuple[Int[np.ndarray, "n"], ...]

    def __len__(self) -> int:
        return len(self.target)


class Measurement(NamedTuple):
    """Metrics by name, NaN where undefined, and the counts (k,) of each class against the rest."""

    metrics: dict[str, float]
    counts: Counts


def prepare(target: Classes, probability: Probabilities, *, ranks: bool = True) -> PreparedRows:
    """Everything that does not depend on the weights of samples. Samples with target -1 are left out.

    `ranks=False` skips the AUC, whose cost grows with n · k. DivergedError where a probability is not finite, because no
    metric of such rows is meaningful.
    """
    target, probability = probability_rows(target, probability)
    k = probability.shape[1]
    known = target >= 0
    target, probability = target[known].astype(np.int64), probability[known].astype(np.float64)
    if len(target) and target.max() >= k:
        raise ValueError(f"class {target.max()} among {k} classes, 0 to {k - 1}")
    broken = int((~np.isfinite(probability)).any(1).sum())
    if broken:
        raise DivergedError(
            f"the network gives probabilities that are not finite for {broken} of {len(target)} images",
            "lower optim.lr, or set fit.clip=1",
        )
    predicted = probability.argmax(1) if len(target) else np.zeros(0, dtype=np.int64)
    confidence = probability[np.arange(len(target)), predicted]
    # an absent class has no AUC under any weights; of two classes, class 1 has the AUC of both
    ranked = [1] if k == 2 else list(np.unique(target)) if k > 2 else []
    return PreparedRows(
        classes=k,
        target=target,
        predicted=predicted,
        correct=predicted == target,
        loss=log_losses(target, probability),
        confidence=confidence,
        bin=confidence_bin(confidence),
        top5=true_rank(target, probability) < 5 if k > 5 else None,
        codes=tuple(rank_code(target == c, probability[:, c]) for c in ranked) if ranks else (),
    )


def measure(prepared: PreparedRows) -> Measurement:
    """Metrics of the samples, each counted once; NaN without samples."""
    metrics, counts = measure_weighted(prepared, np.ones((1, len(prepared))))
    return Measurement({name: float(value[0]) for name, value in metrics.items()}, Counts(*(x[0] for x in counts)))


def measure_weighted(prepared: PreparedRows, weights: Float[np.ndarray, "r n"]) -> WeightedMetrics:
    """Metrics under r sets of weights: weight 2 counts a sample twice, 0 leaves it out.

    Sums are numpy's own, not those of a matrix product, so the number of threads does not change them.
    """
    p = prepared
    counts = counts_from_sums(
        _histograms(p.target, weights * p.correct, p.classes),
        support=_histograms(p.target, weights, p.classes),
        predicted=_histograms(p.predicted, weights, p.classes),
    )
    total = weights.sum(-1)
    total = np.where(total > 0, total, np.nan)
    gap = _histograms(p.bin, weights * (p.correct - p.confidence), BINS)  # (r, bins)
    areas = [_areas(code, weights) for code in p.codes]  # (r,) each
    metrics = {
        "loss": (weights * p.loss).sum(-1) / total,
        "accuracy": accuracy(counts),
        "balanced_accuracy": balanced_accuracy(counts),
        "macro_f1": averaged("f_beta", counts, "macro"),
        "mcc": matthews(counts),
        "auc": mean_defined(np.stack(areas, -1)) if areas else np.full(len(weights), np.nan),
        "ece": np.abs(gap).sum(-1) / total,
    }
    if p.top5 is not None:
        metrics["top5_accuracy"] = (weights * p.top5).sum(-1) / total
    return WeightedMetrics(metrics, counts)


def classification_metrics(target: Classes, probability: Probabilities) -> dict[str, float | None]:
    """The metrics by name, None where undefined (all of them without samples of known class).

    Samples of unknown class (target -1) are left out. 10,000 samples of 10 classes take about 15 ms.
    """
    return {name: or_none(value) for name, value in measure(prepare(target, probability)).metrics.items()}


def _histograms(
    code: Int[np.ndarray, "n"], weights: Float[np.ndarray, "r n"], length: int
) -> Float[np.ndarray, "r length"]:
    """The total weight of each code, for each set of weights."""
    rows = np.arange(len(weights))[:, None] * length
    flat = np.bincount((rows + code).ravel(), weights.ravel(), len(weights) * length)  # (r * length,)
    # without samples numpy returns integers
    return flat.astype(np.float64).reshape(len(weights), length)  # (r * length,) → (r, length)


def _areas(code: Int[np.ndarray, "n"], weights: Float[np.ndarray, "r n"]) -> Float[np.ndarray, "r"]:
    return auc_of_sums(_histograms(code, weights, code_length(code)))
