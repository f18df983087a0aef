"""The evaluation of a segmentation, as a pure function of its rows.

Intervals are bootstrapped over images (`intervals`), not pixels, because pixels of one image are not independent.
Metrics are computed from counts summed over images; the mean IoU of one image only ranks the images. There is no interval
if all resamples agree, as with one image, or if too many of them lack a class that the mean is taken over.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from sightline.metrics.counts import Counts, mean_defined, one_vs_rest, or_none, rate
from sightline.metrics.segmentation import dice, intersection_over_union, measure_weighted
from sightline.structures.rows.segments import SegmentRows

from .intervals import RESAMPLES, Estimate, Interval, estimate, resample_weights
from .json_form import intervals_of, judgement_json, reasons_of

WORST = 50  # images
_BLOCK = 1 << 17  # weights at a time
_RATES = {
    "iou": intersection_over_union,
    "dice": dice,
    "precision": lambda counts: rate("precision", counts),
    "recall": lambda counts: rate("recall", counts),
}
_MEANS = {"mean_iou": _RATES["iou"], "mean_dice": _RATES["dice"], "mean_class_accuracy": _RATES["recall"]}


@dataclass(frozen=True)
class WorstSegments:
    """An image and its mean IoU, over the classes that are true or predicted in it."""

    id: int
    mean_iou: float


@dataclass(frozen=True)
class SegmentJudgement:
    """n                images
    metrics, intervals  by name (`metrics.segmentation`), None where undefined; intervals hold 95 %; `reasons` why one has none
    per_class       a dictionary a class, in order: class, support (true pixels), predicted (pixels), iou, dice, precision,
                    recall, intervals of these four, reasons
    confusion       (k, k) pixels of all images, row true class, column predicted
    worst           the 50 images with the lowest mean IoU of their own, lowest first; images without a known pixel are
                    left out
    """

    n: int
    classes: tuple[str, ...]
    metrics: dict[str, float | None]
    intervals: dict[str, Interval]
    reasons: dict[str, str]
    per_class: tuple[dict[str, Any], ...]
    confusion: Int[np.ndarray, "k k"]
    worst: tuple[WorstSegments, ...]

    def to_json(self) -> dict[str, Any]:
        """The JSON of `evaluate --json`: n, metrics, intervals, per_class by class name."""
        return judgement_json(self.n, self.metrics, self.intervals, self.reasons, self.per_class)


def judge_segments(rows: SegmentRows, classes: Sequence[str], *, seed: int = 0) -> SegmentJudgement:
    """Evaluate a segmentation from its rows; the same rows and seed give the same judgement.

    `classes` are the names of the k classes; they must differ.
    """
    k = rows.confusion.shape[1]
    if len(classes) != k or len(set(classes)) != k:
        raise ValueError(f"{len(set(classes))} different class names for {k} classes")
    value = measure_weighted(rows, np.ones((1, len(rows))))
    metrics = {name: or_none(x[0]) for name, x in value.metrics.items()}
    drawn, counts = _resample(rows, seed)
    own = Counts(*(x[0] for x in value.counts))
    for name, formula in _MEANS.items():  # a mean over the remaining classes is another quantity
        missing = np.isnan(formula(counts))[:, ~np.isnan(formula(own))].any(1)  # (r,)
        drawn[name] = np.where(missing, np.nan, drawn[name])
    estimates = {name: _estimate(float(value.metrics[name][0]), x, name in _MEANS) for name, x in drawn.items()}
    confusion = rows.confusion.astype(np.int64).sum(0)
    return SegmentJudgement(
        n=len(rows),
        classes=tuple(classes),
        metrics=metrics,
        intervals=intervals_of(estimates),
        reasons=reasons_of(estimates),
        per_class=_per_class(classes, own, counts),
        confusion=confusion,
        worst=_worst(rows),
    )


def _resample(rows: SegmentRows, seed: int) -> tuple[dict[str, np.ndarray], Counts]:
    """Metrics (r,) by name and counts (r, k) of each resample of the images; r = 0 without images."""
    n = len(rows)
    block = max(1, _BLOCK // max(n, 1))
    blocks = [range(r, min(r + block, RESAMPLES)) for r in range(0, RESAMPLES if n else 0, block)]
    drawn = [measure_weighted(rows, resample_weights(n, seed, b)) for b in blocks]
    drawn = drawn or [measure_weighted(rows, np.zeros((0, n)))]
    metrics = {name: np.concatenate([d.metrics[name] for d in drawn]) for name in drawn[0].metrics}
    return metrics, Counts(*(np.concatenate([d.counts[i] for d in drawn]) for i in range(4)))


def _per_class(classes: Sequence[str], counts: Counts, resampled: Counts) -> tuple[dict[str, Any], ...]:
    values = {name: formula(counts) for name, formula in _RATES.items()}  # (k,) each
    drawn = {name: formula(resampled) for name, formula in _RATES.items()}  # (r, k) each
    rows = []
    for c, name in enumerate(classes):
        own = {column: _estimate(float(values[column][c]), x[:, c], False) for column, x in drawn.items()}
        row = {
            "class": name,
            "support": int(counts.tp[c] + counts.fn[c]),
            "predicted": int(counts.tp[c] + counts.fp[c]),
        }
        row |= {column: or_none(float(x[c])) for column, x in values.items()}
        rows.append(row | {"intervals": intervals_of(own), "reasons": reasons_of(own)})
    return tuple(rows)


def _estimate(value: float, drawn: Float[np.ndarray, "r"], mean: bool) -> Estimate:
    if np.isnan(value):
        return Estimate(None, "undefined: no pixel counts for it")
    return estimate(value, drawn, lacking="a class is missing" if mean else "no pixel counts for it")


def _worst(rows: SegmentRows) -> tuple[WorstSegments, ...]:
    own = mean_defined(intersection_over_union(one_vs_rest(rows.confusion)))  # (n,)
    known = np.flatnonzero(~np.isnan(own))
    order = known[np.lexsort((rows.id[known], own[known]))][:WORST]  # lowest first, then by id
    return tuple(WorstSegments(int(rows.id[i]), float(own[i])) for i in order)
