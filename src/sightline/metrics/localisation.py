"""Metrics of one object an image: is the class right, does the box fit, and both."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from sightline.structures.detection_rows import DetectionRows

FITS = 0.5  # IoU from which a box fits


class OneObject(NamedTuple):
    """Of each of n images: true and predicted class, `k` for no object; `iou` of the boxes, 0 where one is missing; and
    `known`, False where the only object is to be ignored."""

    target: Int[np.ndarray, "n"]
    predicted: Int[np.ndarray, "n"]
    iou: Float[np.ndarray, "n"]
    known: Bool[np.ndarray, "n"]

    @property
    def right(self) -> Bool[np.ndarray, "n"]:
        """The class is right."""
        return self.target == self.predicted

    def localised(self, classes: int) -> Bool[np.ndarray, "n"]:
        """The class is right and the box fits; False without an object."""
        return self.right & (self.iou >= FITS) & (self.target < classes)


def one_object(rows: DetectionRows, classes: int) -> OneObject:
    """What each image has and what was answered. Of several predictions the surest counts, of several objects the first."""
    n = len(rows)
    target, predicted = np.full(n, classes), np.full(n, classes)
    true_box, box = np.zeros((n, 4)), np.zeros((n, 4))
    own = np.flatnonzero(~rows.true_ignore)[::-1]
    target[rows.true_image[own]], true_box[rows.true_image[own]] = rows.true_label[own], rows.true_boxes[own]
    order = np.argsort(rows.score, kind="stable")
    predicted[rows.image[order]], box[rows.image[order]] = rows.label[order], rows.boxes[order]
    known = np.ones(n, dtype=bool)
    known[rows.true_image[rows.true_ignore]] = False
    known[rows.true_image[own]] = True
    return OneObject(target, predicted, paired_iou(box, true_box), known)


def paired_iou(a: Float[np.ndarray, "n 4"], b: Float[np.ndarray, "n 4"]) -> Float[np.ndarray, "n"]:
    """IoU of box i of `a` with box i of `b`; 0 where both are empty."""
    shared = (np.minimum(a[:, 2:], b[:, 2:]) - np.maximum(a[:, :2], b[:, :2])).clip(min=0).prod(1)
    area = [(x[:, 2:] - x[:, :2]).clip(min=0).prod(1) for x in (a, b)]
    union = area[0] + area[1] - shared
    return np.where(union > 0, shared / np.where(union > 0, union, 1.0), 0.0)


def localisation_metrics(rows: DetectionRows, classes: int) -> dict[str, float | None]:
    """accuracy     share of the images whose class is right; no object is an answer too
    mean_iou     mean IoU over images with an object; 0 where none was found
    localised    share of the images with an object whose class is right and whose box has an IoU of at least 0.5

    None where there are no such images.
    """
    one = one_object(rows, classes)
    present = one.known & (one.target < classes)
    return {
        "accuracy": _mean(one.right[one.known]),
        "mean_iou": _mean(one.iou[present]),
        "localised": _mean(one.localised(classes)[present]),
    }


def _mean(x: np.ndarray) -> float | None:
    return float(x.mean()) if len(x) else None
