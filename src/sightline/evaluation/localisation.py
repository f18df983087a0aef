"""The evaluation of localisation, one object an image, as a pure function of its rows.

Accuracy and the share of objects found are proportions of images: they have Wilson's interval. The mean IoU is bootstrapped
over images.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np

from sightline.metrics.localisation import OneObject, localisation_metrics, one_object, paired_iou
from sightline.metrics.proportions import wilson
from sightline.structures.detection_rows import DetectionRows

from .intervals import LEVEL, Estimate, Interval, estimate, weights_in_blocks
from .json_form import intervals_of, judgement_json, reasons_of

WORST = 50  # images
_Z = NormalDist().inv_cdf((1 + LEVEL) / 2)


@dataclass(frozen=True)
class LocalisationJudgement:
    """n                images that count
    metrics, intervals  by name (`metrics.localisation`), None where undefined; intervals hold 95 %; `reasons` why one has none
    per_class       a dictionary a class, in order: class, support (images that show it), predicted (how often), recall,
                    mean_iou, localised, intervals of these three, reasons
    blind           the share of objects that one answer for all images would localise: the most frequent class, and the mean
                    of its boxes in shares of the image
    worst           ids of the 50 worst images with an object, worst first: wrong class first, then by IoU
    """

    n: int
    classes: tuple[str, ...]
    metrics: dict[str, float | None]
    intervals: dict[str, Interval]
    reasons: dict[str, str]
    per_class: tuple[dict[str, Any], ...]
    blind: float | None
    worst: tuple[int, ...]

    def to_json(self) -> dict[str, Any]:
        """The JSON of `evaluate --json`: n, metrics, intervals, per_class by class name."""
        return judgement_json(self.n, self.metrics, self.intervals, self.reasons, self.per_class)


def judge_localisation(rows: DetectionRows, classes: Sequence[str], *, seed: int = 0) -> LocalisationJudgement:
    """Evaluate localisation from its rows; the same rows and seed give the same judgement."""
    if len(set(classes)) != len(classes):
        raise ValueError(f"{len(set(classes))} different class names for {len(classes)} classes")
    k = len(classes)
    one = one_object(rows, k)
    present = one.known & (one.target < k)
    own = {
        "accuracy": _share(one.right[one.known], "there are no labelled images"),
        **_of_objects(one, present, k, seed),
    }
    return LocalisationJudgement(
        n=int(one.known.sum()),
        classes=tuple(classes),
        metrics=localisation_metrics(rows, k),
        intervals=intervals_of(own),
        reasons=reasons_of(own),
        per_class=tuple(
            _class_row(name, one, one.known & (one.target == c), c, k, seed) for c, name in enumerate(classes)
        ),
        blind=_blind(rows, one, present),
        worst=_worst(rows, one, present),
    )


def _of_objects(one: OneObject, which: np.ndarray, k: int, seed: int) -> dict[str, Estimate]:
    lacking = "no image shows an object"
    return {
        "mean_iou": _mean(one.iou[which], seed, lacking),
        "localised": _share(one.localised(k)[which], lacking),
    }


def _class_row(name: str, one: OneObject, which: np.ndarray, c: int, k: int, seed: int) -> dict[str, Any]:
    own = {"recall": _share(one.right[which], "no image shows it"), **_of_objects(one, which, k, seed)}
    values = {"recall": one.right[which], "mean_iou": one.iou[which], "localised": one.localised(k)[which]}
    return {
        "class": name,
        "support": int(which.sum()),
        "predicted": int((one.known & (one.predicted == c)).sum()),
        **{key: float(x.mean()) if len(x) else None for key, x in values.items()},
        "intervals": intervals_of(own),
        "reasons": reasons_of(own),
    }


def _share(right: np.ndarray, lacking: str) -> Estimate:
    return Estimate(wilson(float(right.mean()), len(right), _Z)) if len(right) else Estimate(None, lacking)


def _mean(values: np.ndarray, seed: int, lacking: str) -> Estimate:
    if not len(values):
        return Estimate(None, lacking)
    drawn = np.concatenate([weights @ values / len(values) for weights in weights_in_blocks(len(values), seed)])
    return estimate(float(values.mean()), drawn)


def _blind(rows: DetectionRows, one: OneObject, present: np.ndarray) -> float | None:
    if not present.any():
        return None
    common = int(np.bincount(one.target[present]).argmax())
    first = {int(image): i for i, image in reversed(list(enumerate(rows.true_image))) if not rows.true_ignore[i]}
    images = np.flatnonzero(present)
    sides = rows.size[images][:, [1, 0, 1, 0]]  # (m, 4)
    boxes = rows.true_boxes[[first[int(image)] for image in images]]
    of_class = one.target[images] == common
    answer = (boxes / sides)[of_class].mean(0) * sides
    return float((of_class & (paired_iou(answer, boxes) >= 0.5)).mean())


def _worst(rows: DetectionRows, one: OneObject, present: np.ndarray) -> tuple[int, ...]:
    images = np.flatnonzero(present)
    order = np.lexsort((rows.id[images], one.iou[images], one.right[images]))[:WORST]
    return tuple(rows.id[images[order]].tolist())
