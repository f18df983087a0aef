"""The evaluation of several labels for each image, as a pure function of its rows.

Intervals are bootstrapped over images (`intervals`): average precision, mAP and F1 are no proportions of independent things,
because an image has several labels. There is no interval where too many resamples lack a label.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from sightline.metrics.counts import Counts, averaged, mean_defined, or_none, rate
from sightline.metrics.multilabel import average_precisions_of_labels, label_counts, label_metrics, log_losses_of_labels
from sightline.structures.rows.labels import LabelRows

from .intervals import Estimate, Interval, estimate, weights_in_blocks
from .json_form import intervals_of, judgement_json, reasons_of

WORST = 50  # images
LARGEST_RANKED = 500_000  # n · k up to which average precision is resampled
_RATES = {"precision": "precision", "recall": "recall", "f1": "f_beta"}


@dataclass(frozen=True)
class LabelJudgement:
    """n               images with a known label; `unlabelled` the others
    threshold       from which a label counts as predicted
    metrics, intervals  map, micro_f1, macro_f1, loss; None where undefined; intervals hold 95 %; `reasons` why one has none
    per_class       a dictionary a label, in order: class, support (images that have it), known (images in which it is known),
                    predicted, ap, precision, recall, f1, intervals of these four, reasons
    worst           ids of the 50 images with the highest mean binary cross-entropy, highest first
    """

    n: int
    unlabelled: int
    classes: tuple[str, ...]
    threshold: float
    metrics: dict[str, float | None]
    intervals: dict[str, Interval]
    reasons: dict[str, str]
    per_class: tuple[dict[str, Any], ...]
    worst: tuple[int, ...]

    def to_json(self) -> dict[str, Any]:
        """The JSON of `evaluate --json`: n, metrics, intervals, per_class by class name, threshold."""
        common = judgement_json(self.n, self.metrics, self.intervals, self.reasons, self.per_class)
        return common | {"threshold": self.threshold}


def judge_labels(rows: LabelRows, classes: Sequence[str], *, seed: int = 0) -> LabelJudgement:
    """Evaluate predicted labels from their rows; the same rows and seed give the same judgement. `classes` are the names of
    the k labels; they must differ."""
    k = rows.target.shape[1]
    if len(classes) != k or len(set(classes)) != k:
        raise ValueError(f"{len(set(classes))} different class names for {k} labels")
    known = rows.take(~np.isnan(rows.target).all(1))
    counts = label_counts(known.target, known.probability, known.threshold)
    precisions = average_precisions_of_labels(known.target, known.probability)[0]
    drawn = _resample(known, seed)
    metrics = label_metrics(known.target, known.probability, known.threshold)
    estimates = _estimates(metrics, (known.target == 1).any(0), drawn)
    return LabelJudgement(
        n=len(known),
        unlabelled=len(rows) - len(known),
        classes=tuple(classes),
        threshold=known.threshold,
        metrics=metrics,
        intervals=intervals_of(estimates),
        reasons=reasons_of(estimates),
        per_class=_per_class(known, classes, counts, precisions, drawn),
        worst=_worst(known),
    )


@dataclass(frozen=True)
class _Drawn:
    """What each of r resamples of the images gives: counts (r, k), losses (r,), average precisions (r, k) unless there are too
    many entries."""

    counts: Counts
    loss: Float[np.ndarray, "r"]
    precisions: Float[np.ndarray, "r k"] | None


def _resample(rows: LabelRows, seed: int) -> _Drawn:
    n, k = rows.target.shape
    losses = log_losses_of_labels(rows.target, rows.probability).sum(1)  # (n,)
    known = (~np.isnan(rows.target)).sum(1).astype(np.float64)
    counts, loss, precisions = [], [], []
    for weight in weights_in_blocks(n, seed):
        counts.append(label_counts(rows.target, rows.probability, rows.threshold, weight))
        loss.append((weight @ losses) / np.maximum(weight @ known, 1.0))
        if n * k <= LARGEST_RANKED:
            precisions.append(average_precisions_of_labels(rows.target, rows.probability, weight))
    every = Counts(*(np.concatenate([part[i] for part in counts]) for i in range(4)))
    return _Drawn(every, np.concatenate(loss), np.concatenate(precisions) if precisions else None)


def _estimates(metrics: dict[str, float | None], present: Bool[np.ndarray, "k"], drawn: _Drawn) -> dict[str, Estimate]:
    counts = drawn.counts
    lacking = ((counts.tp + counts.fn) == 0)[:, present].any(1)  # (r,): a mean over the others is another quantity
    found = {
        "micro_f1": _estimate(metrics["micro_f1"], averaged("f_beta", counts, "micro"), "no label occurs"),
        "macro_f1": _estimate(
            metrics["macro_f1"], np.where(lacking, np.nan, averaged("f_beta", counts, "macro")), "a label is missing"
        ),
        "loss": _estimate(metrics["loss"], drawn.loss, "nothing is known", (0.0, np.inf)),
    }
    if drawn.precisions is None:
        reason = f"it is not resampled beyond {LARGEST_RANKED:,} entries (images times labels)"
        return {"map": Estimate(None, reason), **found}
    means = np.where(lacking, np.nan, mean_defined(drawn.precisions))
    return {"map": _estimate(metrics["map"], means, "a label is missing"), **found}


def _estimate(
    value: float | None, drawn: Float[np.ndarray, "r"], lacking: str, edges: tuple[float, float] = (0.0, 1.0)
) -> Estimate:
    if value is None:
        return Estimate(None, "undefined: no label occurs")
    return estimate(value, drawn, edges=edges, lacking=lacking)


def _per_class(
    rows: LabelRows,
    classes: Sequence[str],
    counts: Counts,
    precisions: Float[np.ndarray, "k"],
    resampled: _Drawn,
) -> tuple[dict[str, Any], ...]:
    own = Counts(*(x[0] for x in counts))  # (k,) each
    values = {"ap": precisions} | {name: rate(formula, own) for name, formula in _RATES.items()}
    drawn = {name: rate(formula, resampled.counts) for name, formula in _RATES.items()}
    if resampled.precisions is not None:
        drawn["ap"] = resampled.precisions
    known = (~np.isnan(rows.target)).sum(0)
    found = []
    for c, name in enumerate(classes):
        estimates = {
            column: _of_label(column, float(x[c]), drawn[column][:, c] if column in drawn else None)
            for column, x in values.items()
        }
        row = {
            "class": name,
            "support": int(own.tp[c] + own.fn[c]),
            "known": int(known[c]),
            "predicted": int(own.tp[c] + own.fp[c]),
        }
        row |= {column: or_none(float(x[c])) for column, x in values.items()}
        found.append(row | {"intervals": intervals_of(estimates), "reasons": reasons_of(estimates)})
    return tuple(found)


def _of_label(column: str, value: float, drawn: Float[np.ndarray, "r"] | None) -> Estimate:
    if np.isnan(value):
        return Estimate(None, "it is never predicted" if column == "precision" else "no image has it")
    if drawn is None:
        return Estimate(None, "too many entries to resample")
    return estimate(value, drawn, lacking="no image has it")


def _worst(rows: LabelRows) -> tuple[int, ...]:
    known = (~np.isnan(rows.target)).sum(1)
    loss = log_losses_of_labels(rows.target, rows.probability).sum(1) / np.maximum(known, 1)
    order = np.lexsort((rows.id, -loss))[:WORST]  # highest first, then by id
    return tuple(int(i) for i in rows.id[order])
