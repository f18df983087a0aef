"""The evaluation of a detector, as a pure function of its rows.

COCO's metrics with intervals, metrics by class, by object size and of crowded objects, the kinds of mistakes and what
fixing each would gain, precision-recall curves, and the images with the most mistakes. Mistakes are counted at one
score threshold: the one with the largest F1 over all classes together at an IoU of 0.5. Other thresholds give other
mistakes.

Intervals are bootstrapped over images (`intervals`) with 200 resamples of matches that are computed once. There is none
if all resamples agree, as with one image, or if too many of them lack a class that has objects.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from sightline.metrics.average_precision import average_precisions, best_point, curve
from sightline.metrics.counts import or_none
from sightline.metrics.detection import class_count, detection_metrics, has_masks, true_areas
from sightline.metrics.matching import HIT, IGNORED, Matches, match_rows
from sightline.metrics.ranking import PrecisionRecall
from sightline.structures.detection_rows import DetectionRows

from .boxes.crowding import judge_crowding
from .boxes.errors import BoxErrors, box_errors
from .boxes.gains import ap50_gains
from .intervals import Estimate, Interval, estimate, resample_weights
from .json_form import intervals_of, judgement_json, reasons_of

RESAMPLES = 200
WORST = 50  # images
SIZES = {"small": (0.0, 32.0**2), "medium": (32.0**2, 96.0**2), "large": (96.0**2, np.inf)}
_BLOCK = 1 << 21  # weights at a time


@dataclass(frozen=True)
class BoxCurve:
    """Precision and recall of one class at an IoU of 0.5, at most 200 points."""

    index: int
    precision_recall: PrecisionRecall


@dataclass(frozen=True)
class WorstImage:
    """An image and how many of its objects have no box (`missed`), how many of its boxes no object (`false`)."""

    id: int
    missed: int
    false: int


@dataclass(frozen=True)
class DetectionJudgement:
    """n                images
    metrics, intervals  by name, None where undefined; intervals hold 95 %, of ap, ap50, ap75 (and mask_...);
                    `reasons` why one of these has none
    per_class       a dictionary a class, in order: class, support (true objects), found (boxes), ap, ap50, and at the
                    score threshold of its largest F1 at an IoU of 0.5: threshold, precision, recall, f1; mask_ap and
                    mask_ap50 if there are masks; intervals {ap, ap50}, reasons
    sizes           small, medium, large → support, ap, ar
    crowding        crowded, apart → support, ap, ar (`boxes.crowding`), by boxes
    errors          the mistakes (`boxes.errors`) at `score_threshold`, by kind and by image
    gains           kind of mistake → what fixing it would add to AP50 (`boxes.gains`), over boxes of any score
    score_threshold the one with the largest F1 over all classes together; None (all boxes count) without a single hit
    curves          one for every class that has objects
    worst           the 50 images with the most mistakes, most first
    """

    n: int
    classes: tuple[str, ...]
    metrics: dict[str, float | None]
    intervals: dict[str, Interval]
    reasons: dict[str, str]
    per_class: tuple[dict[str, Any], ...]
    sizes: dict[str, dict[str, float | int | None]]
    crowding: dict[str, dict[str, float | int | None]]
    errors: BoxErrors
    gains: dict[str, float | None]
    score_threshold: float | None
    curves: tuple[BoxCurve, ...]
    worst: tuple[WorstImage, ...]

    def to_json(self) -> dict[str, Any]:
        """The JSON of `evaluate --json`: n, metrics, intervals, per_class by class name, sizes, crowding,
        score_threshold, errors, ap50_gains."""
        return {
            **judgement_json(self.n, self.metrics, self.intervals, self.reasons, self.per_class),
            "sizes": self.sizes,
            "crowding": self.crowding,
            "score_threshold": self.score_threshold,
            "errors": self.errors.counts,
            "ap50_gains": self.gains,
        }


def judge_detections(rows: DetectionRows, classes: Sequence[str], *, seed: int = 0) -> DetectionJudgement:
    """Evaluate a detector from its rows; the same rows and seed give the same judgement.

    `classes` are the names of the classes 0, 1 …; they must differ.
    """
    if len(set(classes)) != len(classes):
        raise ValueError(f"{len(set(classes))} different class names for {len(classes)} classes")
    k = class_count(rows, len(classes))
    metrics = detection_metrics(rows, k)
    boxes = match_rows(rows, k)
    kinds = {"": boxes}
    if has_masks(rows):
        kinds["mask_"] = match_rows(rows, k, masks=True)
    values = {prefix: average_precisions(m)[0] for prefix, m in kinds.items()}  # (k, thresholds) each
    drawn = {prefix: _resample(m, seed) for prefix, m in kinds.items()}  # (r, k, thresholds) each
    estimates = {
        prefix + name: value for prefix, ap in drawn.items() for name, value in _estimates(ap, values[prefix]).items()
    }
    threshold = _threshold(boxes)
    errors = box_errors(rows, boxes, threshold)
    return DetectionJudgement(
        n=len(rows),
        classes=tuple(classes),
        metrics=metrics,
        intervals=intervals_of(estimates),
        reasons=reasons_of(estimates),
        per_class=_per_class(classes, boxes, values, drawn),
        sizes=_sizes(rows, metrics),
        crowding=judge_crowding(rows, boxes),
        errors=errors,
        gains=ap50_gains(rows, boxes),
        score_threshold=threshold,
        curves=tuple(BoxCurve(i, points) for i, c in enumerate(boxes.classes) if (points := curve(c)) is not None),
        worst=_worst(rows, errors),
    )


def best_score(rows: DetectionRows) -> float | None:
    """The score with the largest F1 over all classes together at an IoU of 0.5; None without a single hit."""
    return _threshold(match_rows(rows, class_count(rows, None)))


def worst_images(rows: DetectionRows, classes: Sequence[str]) -> tuple[WorstImage, ...]:
    """The images with the most mistakes at that score, the worst first; those without one are left out."""
    matches = match_rows(rows, class_count(rows, len(classes)))
    return _worst(rows, box_errors(rows, matches, _threshold(matches)))


def _resample(m: Matches, seed: int) -> Float[np.ndarray, "r k thresholds"]:
    """The AP of each class and threshold in each resample of the images."""
    width = max([m.n, *(len(c.index) for c in m.classes)])
    block = max(1, _BLOCK // max(width, 1))
    blocks = [range(r, min(r + block, RESAMPLES)) for r in range(0, RESAMPLES if m.n else 0, block)]
    empty = np.zeros((0, len(m.classes), len(m.thresholds)))
    return np.concatenate([empty, *(average_precisions(m, resample_weights(m.n, seed, b)) for b in blocks)])


def _estimates(
    ap: Float[np.ndarray, "r k thresholds"], value: Float[np.ndarray, "k thresholds"]
) -> dict[str, Estimate]:
    """The intervals of means over the classes that occur. Resamples that lack one of them are left out, because a mean over
    the rest is another quantity."""
    occurs = ~np.isnan(value).all(1)  # (k,)
    incomplete = np.isnan(ap[:, occurs]).all(2).any(1)  # (r,)
    ap = np.where(incomplete[:, None, None], np.nan, ap)
    parts = {"ap": slice(None), "ap50": slice(0, 1), "ap75": slice(5, 6)}
    return {
        name: _estimate(float(_means(value[None, :, part])[0]), _means(ap[:, :, part]), "a class is missing")
        for name, part in parts.items()
    }


def _estimate(value: float, drawn: Float[np.ndarray, "r"], lacking: str) -> Estimate:
    return estimate(value, drawn, lacking=lacking) if not np.isnan(value) else Estimate(None, "no object to find")


def _means(ap: Float[np.ndarray, "r k thresholds"]) -> Float[np.ndarray, "r"]:
    """The mean over the classes that occur; NaN if none does."""
    defined = ~np.isnan(ap)
    number = defined.sum((1, 2))
    total = np.where(defined, ap, 0.0).sum((1, 2))
    return np.where(number > 0, total / np.maximum(number, 1), np.nan)


def _threshold(boxes: Matches) -> float | None:
    """The score with the largest F1 over all classes together."""
    outcome = np.concatenate([np.zeros(0, dtype=int), *(c.outcome[0] for c in boxes.classes)])
    score = np.concatenate([np.zeros(0), *(c.score for c in boxes.classes)])
    order = np.argsort(-score, kind="stable")
    order = order[outcome[order] != IGNORED]
    point = best_point(score[order], outcome[order] == HIT, sum(int(c.support.sum()) for c in boxes.classes))
    return None if point is None else point.threshold


def _per_class(
    classes: Sequence[str],
    boxes: Matches,
    values: dict[str, Float[np.ndarray, "k thresholds"]],
    drawn: dict[str, Float[np.ndarray, "r k thresholds"]],
) -> tuple[dict[str, Any], ...]:
    rows = []
    for i, (name, c) in enumerate(zip(classes, boxes.classes, strict=True)):
        counted = c.outcome[0] != IGNORED
        point = best_point(c.score[counted], c.outcome[0][counted] == HIT, int(c.support.sum()))
        at = dict.fromkeys(("threshold", "precision", "recall", "f1")) if point is None else point._asdict()
        row = {"class": name, "support": int(c.support.sum()), "found": len(c.index), **at}
        own = {}
        for prefix, ap in values.items():
            row[f"{prefix}ap"] = or_none(float(ap[i].mean()))
            row[f"{prefix}ap50"] = or_none(float(ap[i, 0]))
            lacking = "the class is missing"
            own[f"{prefix}ap"] = _estimate(float(ap[i].mean()), drawn[prefix][:, i].mean(1), lacking)
            own[f"{prefix}ap50"] = _estimate(float(ap[i, 0]), drawn[prefix][:, i, 0], lacking)
        rows.append(row | {"intervals": intervals_of(own), "reasons": reasons_of(own)})
    return tuple(rows)


def _sizes(rows: DetectionRows, metrics: dict[str, float | None]) -> dict[str, dict[str, float | int | None]]:
    """COCO's sizes: an object of exactly 32² or 96² pixels belongs to both."""
    area = true_areas(rows)[~rows.true_ignore]
    return {
        name: {
            "support": int(((area >= low) & (area <= high)).sum()),
            "ap": metrics[f"ap_{name}"],
            "ar": metrics[f"ar_{name}"],
        }
        for name, (low, high) in SIZES.items()
    }


def _worst(rows: DetectionRows, errors: BoxErrors) -> tuple[WorstImage, ...]:
    mistakes = errors.missed + errors.false
    order = np.lexsort((rows.id, -mistakes))[:WORST]  # most first, then by id
    return tuple(WorstImage(int(rows.id[i]), int(errors.missed[i]), int(errors.false[i])) for i in order if mistakes[i])
