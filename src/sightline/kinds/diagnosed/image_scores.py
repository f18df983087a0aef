"""How well each image was answered, kind by kind: what slices are searched by."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float

from sightline.evaluation.diagnosis.images import ImageTable
from sightline.evaluation.diagnosis.slices import ImageScores
from sightline.metrics.counts import mean_defined, one_vs_rest
from sightline.metrics.segmentation import intersection_over_union
from sightline.structures.detection_rows import DetectionRows
from sightline.structures.predictions import ClassRows
from sightline.structures.rows.labels import LabelRows, NumberRows
from sightline.structures.rows.segments import SegmentRows

CLASS = "class"


def of_classes(rows: ClassRows, judgement: Any) -> ImageScores:
    """1 where the answer is right, else 0."""
    known = rows.target >= 0
    right = np.where(known, rows.probability.argmax(1) == rows.target, np.nan)
    names = [judgement.classes[t] if t >= 0 else None for t in rows.target.tolist()]
    return ImageScores(rows.id, right, "accuracy", share=True, table=ImageTable(rows.id, {}, {CLASS: names}))


def of_labels(rows: LabelRows, judgement: Any) -> ImageScores:
    """The share of the known labels that are right, for each image."""
    known = np.isfinite(rows.target)
    right = ((rows.probability >= rows.threshold) == (rows.target == 1)) & known
    count = known.sum(1)
    value = np.where(count > 0, right.sum(1) / np.maximum(count, 1), np.nan)
    own = ImageTable(rows.id, {"labels": np.where(count > 0, (rows.target == 1).sum(1), np.nan)})
    return ImageScores(rows.id, value, "share of right labels", share=False, table=own)


def of_numbers(rows: NumberRows, judgement: Any) -> ImageScores:
    """Minus the mean absolute error over the targets, each in units of its standard deviation."""
    with np.errstate(invalid="ignore"):
        error = mean_defined(np.abs(rows.prediction - rows.target) / np.where(rows.scale > 0, rows.scale, 1.0))
    own = {f"true {name}": rows.target[:, i] for i, name in enumerate(judgement.classes)}
    return ImageScores(rows.id, -error, "error in deviations", share=False, table=ImageTable(rows.id, own))


def of_segments(rows: SegmentRows, judgement: Any) -> ImageScores:
    """The mean IoU of each image's own classes."""
    value = mean_defined(intersection_over_union(one_vs_rest(rows.confusion)))
    present = (rows.confusion.sum(2) > 0).sum(1).astype(float)
    return ImageScores(rows.id, value, "mean IoU", share=False, table=ImageTable(rows.id, {"classes": present}))


def of_objects(rows: DetectionRows, judgement: Any) -> ImageScores:
    """F1 of each image's objects at the score of the judgement: 2 · hits / (2 · hits + missed + wrong); 1 where there is
    nothing and nothing was found."""
    true = ~rows.true_ignore
    objects = np.bincount(rows.true_image[true], minlength=len(rows)).astype(float)
    missed, false = judgement.errors.missed, judgement.errors.false
    hits = objects - missed
    total = 2 * hits + missed + false
    value = np.where(total > 0, 2 * hits / np.maximum(total, 1), 1.0)
    own = ImageTable(rows.id, {"objects": objects, "object size": object_sizes(rows)})
    return ImageScores(rows.id, value, "F1", share=False, table=own)


def object_sizes(rows: DetectionRows) -> Float[np.ndarray, "n"]:
    """The median side of each image's objects, the root of the area, in pixels of the original; NaN without any."""
    true = ~rows.true_ignore
    sides = np.sqrt(np.prod(rows.true_boxes[:, 2:] - rows.true_boxes[:, :2], axis=1).clip(min=0))
    size = np.full(len(rows), np.nan)
    for image in np.unique(rows.true_image[true]).tolist():
        size[image] = np.median(sides[true & (rows.true_image == image)])
    return size
