"""The evaluation of a classifier, as a pure function of its rows.

Metrics with intervals, metrics by class, the confusion matrix, ROC and precision-recall curves, calibration, the most
confident mistakes, and the pairs of classes that are confused most often. Rows of unknown class are left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from sightline.metrics.calibration import Reliability, brier_score, reliability
from sightline.metrics.classification import Measurement, PreparedRows, measure, prepare
from sightline.metrics.counts import confusion_matrix, or_none, rate
from sightline.metrics.ranking import (
    PrecisionRecall,
    RocCurve,
    average_precision,
    one_vs_rest_auc,
    precision_recall_curve,
    roc_curve,
)
from sightline.structures.predictions import ClassRows

from .intervals import LARGEST_RANKED, Estimate, Interval, Intervals, bootstrap
from .json_form import intervals_of, judgement_json, reasons_of

MISTAKES = 50
CONFUSED = 20  # pairs of classes
CURVES = 20  # classes
POINTS = 200  # of a curve


@dataclass(frozen=True)
class Mistake:
    """A misclassified image; `margin` is the probability of the predicted class minus that of the true one."""

    id: int
    target: int
    predicted: int
    margin: float


@dataclass(frozen=True)
class ConfusedPair:
    """The number of images of class `target` that were classified as `predicted`."""

    target: int
    predicted: int
    count: int


@dataclass(frozen=True)
class ClassCurves:
    """The one-vs-rest curves of a class, at most 200 points each."""

    index: int
    roc: RocCurve
    precision_recall: PrecisionRecall


@dataclass(frozen=True)
class Judgement:
    """n               labelled samples, the only ones that count; `unlabelled` the others
    metrics, intervals  by name, None where undefined; intervals hold 95 %; `reasons` why a metric has none
    per_class       a dictionary a class, in order: class, support, predicted (how often), precision, recall, f1, auc,
                    ap (at_tp), intervals {precision, recall, f1}, reasons
    confusion       (k, k) row true, column predicted
    curves          of every class that has both positives and negatives; of more than 20 such classes, the 20 with the
                    lowest F1
    reliability     15 bins of confidence; `brier` the Brier score, 0 to 2
    mistakes        the 50 most confident ones, most confident first
    confused        the 20 most frequent ordered pairs of classes
    """

    n: int
    unlabelled: int
    classes: tuple[str, ...]
    metrics: dict[str, float | None]
    intervals: dict[str, Interval]
    reasons: dict[str, str]
    per_class: tuple[dict[str, Any], ...]
    confusion: Int[np.ndarray, "k k"]
    curves: tuple[ClassCurves, ...]
    reliability: Reliability
    brier: float | None
    mistakes: tuple[Mistake, ...]
    confused: tuple[ConfusedPair, ...]

    def to_json(self) -> dict[str, Any]:
        """The JSON of `evaluate --json`: n, metrics, intervals, per_class by class name."""
        return judgement_json(self.n, self.metrics, self.intervals, self.reasons, self.per_class)


def judge(rows: ClassRows, classes: Sequence[str], *, seed: int = 0) -> Judgement:
    """Evaluate a classifier from its rows; the same rows and seed give the same judgement.

    `classes` are the names of the k classes; they must differ.
    """
    k = rows.probability.shape[1]
    if len(classes) != k or len(set(classes)) != k:
        raise ValueError(f"{len(set(classes))} different class names for {k} classes")
    known = rows.take(rows.target >= 0)
    prepared = prepare(known.target, known.probability)
    value = measure(prepared)
    ranked = len(known) * k <= LARGEST_RANKED
    for_bootstrap = prepared if ranked else prepare(known.target, known.probability, ranks=False)
    intervals = bootstrap(for_bootstrap, seed=seed)
    if not ranked:
        limit = f"{LARGEST_RANKED:,} probabilities (images times classes)"
        intervals.metrics["auc"] = Estimate(None, f"it is not resampled beyond {limit}")
    confusion = confusion_matrix(prepared.target, prepared.predicted, k).astype(np.int64)
    return Judgement(
        n=len(known),
        unlabelled=len(rows) - len(known),
        classes=tuple(classes),
        metrics={name: or_none(x) for name, x in value.metrics.items()},
        intervals=intervals_of(intervals.metrics),
        reasons=reasons_of(intervals.metrics),
        per_class=_per_class(known, classes, value, intervals),
        confusion=confusion,
        curves=_curves(known, value),
        reliability=reliability(prepared.confidence, prepared.correct),
        brier=or_none(brier_score(known.target, known.probability)),
        mistakes=_mistakes(known, prepared),
        confused=_confused_pairs(confusion),
    )


def _per_class(
    rows: ClassRows, classes: Sequence[str], value: Measurement, intervals: Intervals
) -> tuple[dict[str, Any], ...]:
    counts = value.counts
    columns = {name: rate(name, counts) for name in ("precision", "recall")}
    columns["f1"] = rate("f_beta", counts)
    columns["auc"] = one_vs_rest_auc(rows.target, rows.probability)
    columns["ap"] = np.array([average_precision(rows.target == c, rows.probability[:, c]) for c in range(len(classes))])
    return tuple(
        {
            "class": name,
            "support": int(counts.tp[c] + counts.fn[c]),
            "predicted": int(counts.tp[c] + counts.fp[c]),
            **{column: or_none(float(values[c])) for column, values in columns.items()},
            "intervals": intervals_of(own := {column: row[c] for column, row in intervals.per_class.items()}),
            "reasons": reasons_of(own),
        }
        for c, name in enumerate(classes)
    )


def _curves(rows: ClassRows, value: Measurement) -> tuple[ClassCurves, ...]:
    support = value.counts.tp + value.counts.fn
    two_sided = np.flatnonzero((support > 0) & (support < len(rows)))
    f1 = rate("f_beta", value.counts)
    weakest = sorted(two_sided, key=lambda c: f1[c])[:CURVES]
    curves = []
    for c in sorted(weakest):
        positive, score = rows.target == c, rows.probability[:, c]
        roc, points = roc_curve(positive, score), precision_recall_curve(positive, score)
        if roc is not None and points is not None:
            roc = RocCurve(*(x[_thin(roc.fpr, roc.tpr)] for x in roc))
            points = PrecisionRecall(*(x[_thin(points.recall, points.precision)] for x in points))
            curves.append(ClassCurves(int(c), roc, points))
    return tuple(curves)


def _thin(x: Float[np.ndarray, "p"], y: Float[np.ndarray, "p"]) -> Int[np.ndarray, "q"]:
    """Indices of at most 200 points, evenly spaced along the curve by |dx| + |dy|, both ends among them."""
    if len(x) <= POINTS:
        return np.arange(len(x))
    length = np.r_[0.0, np.cumsum(np.abs(np.diff(x)) + np.abs(np.diff(y)))]
    places = np.searchsorted(length, np.linspace(0, length[-1], POINTS)[:-1])
    return np.unique(np.r_[places, len(x) - 1])


def _mistakes(rows: ClassRows, prepared: PreparedRows) -> tuple[Mistake, ...]:
    wrong = np.flatnonzero(~prepared.correct)
    true = rows.probability[wrong, prepared.target[wrong]]
    margin = prepared.confidence[wrong] - true
    order = np.lexsort((rows.id[wrong], -margin))[:MISTAKES]  # most confident first, then by id
    return tuple(
        Mistake(
            id=int(rows.id[wrong[i]]),
            target=int(prepared.target[wrong[i]]),
            predicted=int(prepared.predicted[wrong[i]]),
            margin=float(margin[i]),
        )
        for i in order
    )


def _confused_pairs(confusion: Int[np.ndarray, "k k"]) -> tuple[ConfusedPair, ...]:
    true, predicted = np.nonzero(confusion)  # row by row; few of ten thousand times ten thousand cells
    wrong = true != predicted
    true, predicted = true[wrong], predicted[wrong]
    count = confusion[true, predicted]
    order = np.argsort(-count, kind="stable")[:CONFUSED]
    return tuple(ConfusedPair(int(true[i]), int(predicted[i]), int(count[i])) for i in order)
