"""Matching of detections to true objects: COCO's greedy rule (Lin et al. 2014, arXiv:1405.0312), image by image.

Within an image and a class, detections choose in the order of their scores: each takes the free true object that it
overlaps most, the last one in a tie, if their IoU reaches the threshold. A true object is taken once, so a second box
on it is a false positive. A detection without a match may fall on an ignored region (crowd, difficult), where overlap
is measured as a share of the detection and any number of detections may match; it then counts neither way. Only the 100
best detections of an image and class are considered.

PASCAL VOC differs: there a detection always chooses the object with the largest IoU, taken or not, and difficult
objects are compared by IoU. Here everything is COCO's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from sightline.structures.detection_rows import DetectionRows

THRESHOLDS = np.linspace(0.5, 0.95, 10)  # COCO's
MOST = 100  # detections of an image and class
HIT, FALSE, IGNORED = 1, 0, -1


@dataclass(frozen=True)
class ClassMatches:
    """The d detections of one class by falling score; ties in the order of images and rows.

    index (d,)                their rows; image (d,), score (d,)
    outcome (thresholds, d)   HIT, FALSE or IGNORED
    truth (thresholds, d)     index of the matched object, -1 for none
    support (n,)              true objects of the class in each image
    """

    index: Int[np.ndarray, "d"]
    image: Int[np.ndarray, "d"]
    score: Float[np.ndarray, "d"]
    outcome: Int[np.ndarray, "thresholds d"]
    truth: Int[np.ndarray, "thresholds d"]
    support: Int[np.ndarray, "n"]


@dataclass(frozen=True)
class Matches:
    """The matches of n images at each IoU threshold, by class."""

    n: int
    thresholds: Float[np.ndarray, "thresholds"]
    classes: tuple[ClassMatches, ...]


class Match(NamedTuple):
    """For each detection at each threshold: HIT, FALSE or IGNORED, and the column of its true object (-1: none)."""

    outcome: Int[np.ndarray, "thresholds d"]
    truth: Int[np.ndarray, "thresholds d"]


def box_overlap(
    detected: Float[np.ndarray, "d 4"], true: Float[np.ndarray, "g 4"], ignore: Bool[np.ndarray, "g"] | None = None
) -> Float[np.ndarray, "d g"]:
    """IoU of xyxy boxes; for an ignored region the share of the detection inside it. 0 for boxes without area."""
    a, b = _as_coco(detected)[:, None], _as_coco(true)[None]  # (d, 1, 4), (1, g, 4)
    side = np.minimum(a[..., :2] + a[..., 2:], b[..., :2] + b[..., 2:]) - np.maximum(a[..., :2], b[..., :2])
    shared = np.where((side > 0).all(-1), side.prod(-1), 0.0)  # (d, g)
    area, other = a[..., 2:].prod(-1), b[..., 2:].prod(-1)
    whole = area + other - shared
    if ignore is not None:
        whole = np.where(ignore, area, whole)
    return np.divide(shared, whole, out=np.zeros_like(shared), where=shared > 0)


def _as_coco(boxes: Float[np.ndarray, "m 4"]) -> Float[np.ndarray, "m 4"]:
    """Corner and sides, as COCO stores them, so that an IoU is rounded as COCO's is."""
    boxes = np.asarray(boxes, dtype=np.float64)
    return np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)


def match(
    overlap: Float[np.ndarray, "d g"],
    ignore: Bool[np.ndarray, "g"],
    thresholds: Float[np.ndarray, "thresholds"],
) -> Match:
    """The matches of one image and class; `overlap` of detections, by falling score, with true objects.

    overlap, threshold 0.5:   0.8  0.6     the first detection takes object 0; the second prefers it too, but it is
                              0.7  0.5     taken, so the second takes object 1
    """
    count, least = len(thresholds), np.minimum(thresholds, 1 - 1e-10)[:, None]
    truth = np.full((count, len(overlap)), -1)
    # in a tie arg-max takes the first and COCO the last, so the columns are reversed
    order = np.r_[np.flatnonzero(~ignore)[::-1], np.flatnonzero(ignore)[::-1]].astype(int)
    real, rows = int((~ignore).sum()), np.arange(count)
    free = np.ones((count, len(order)), dtype=bool)
    ordered = overlap[:, order]
    for d in np.flatnonzero((ordered >= least.min()).any(1)):
        eligible = free & (ordered[d] >= least)  # (thresholds, g)
        value = np.where(eligible, ordered[d], -1.0)
        chosen = value[:, :real].argmax(1) if real else np.zeros(count, dtype=int)
        if real < len(order):
            other = value[:, real:].argmax(1) + real
            chosen = np.where(eligible[:, :real].any(1), chosen, other)
        success = eligible[rows, chosen]
        truth[success, d] = order[chosen[success]]
        taken = success & (chosen < real)
        free[taken, chosen[taken]] = False
    on_ignored = np.r_[ignore, False][truth]  # truth -1, no match, reads the last
    return Match(np.where(truth < 0, FALSE, np.where(on_ignored, IGNORED, HIT)), truth)


def match_rows(
    rows: DetectionRows,
    classes: int,
    thresholds: Float[np.ndarray, "thresholds"] = THRESHOLDS,
    *,
    masks: bool = False,
) -> Matches:
    """Match every image and class once, by boxes or by masks; resamples and curves are computed from the result."""
    kept, groups = _groups(rows)
    outcome = np.full((len(thresholds), len(rows.label)), FALSE)
    truth = np.full((len(thresholds), len(rows.label)), -1)
    for detected, true in groups:
        ignore = rows.true_ignore[true]
        if masks:
            overlap = mask_overlap(rows, detected, true)
        else:
            overlap = box_overlap(rows.boxes[detected], rows.true_boxes[true], ignore)
        one = match(overlap, ignore, thresholds)
        outcome[:, detected] = one.outcome
        truth[:, detected] = np.where(one.truth < 0, -1, true[one.truth])
    falling = kept[np.lexsort((kept, rows.image[kept], -rows.score[kept]))]
    label, real = rows.label[falling], ~rows.true_ignore
    by_class = []
    for c in range(classes):
        mine = falling[label == c]
        support = np.bincount(rows.true_image[real & (rows.true_label == c)], minlength=len(rows))
        by_class.append(
            ClassMatches(mine, rows.image[mine], rows.score[mine], outcome[:, mine], truth[:, mine], support)
        )
    return Matches(len(rows), thresholds, tuple(by_class))


def mask_overlap(
    rows: DetectionRows, detected: Int[np.ndarray, "d"], true: Int[np.ndarray, "g"]
) -> Float[np.ndarray, "d g"]:
    """IoU of the masks of one image's detections and true objects, given by their indices in the rows; for an ignored region
    the share of the detection inside it."""
    from faster_coco_eval.core import mask

    if not len(detected) or not len(true):
        return np.zeros((len(detected), len(true)))
    size = rows.size[rows.image[detected[0]]].tolist()
    overlap = mask.iou(
        [{"size": size, "counts": rows.found_rle[i]} for i in detected],
        [{"size": size, "counts": rows.true_rle[i]} for i in true],
        rows.true_ignore[true].astype(int).tolist(),
    )
    return np.asarray(overlap, dtype=np.float64).reshape(len(detected), len(true))  # (d, g)


def _groups(rows: DetectionRows) -> tuple[np.ndarray, list[tuple[np.ndarray, np.ndarray]]]:
    """The detections considered, by image, class and falling score; and, for each image and class with both, the indices of its
    detections (in that order) and of its true objects."""
    labels = 1 + max(rows.label.max(initial=-1), rows.true_label.max(initial=-1))
    order = np.lexsort((-rows.score, rows.label, rows.image))
    key = (rows.image * labels + rows.label)[order]
    rank = np.arange(len(key)) - np.searchsorted(key, key)
    order, key = order[rank < MOST], key[rank < MOST]
    true_key = rows.true_image * labels + rows.true_label
    true_order = np.argsort(true_key, kind="stable")
    true_key = true_key[true_order]
    both = np.intersect1d(key, true_key)
    bounds = zip(*(np.searchsorted(k, both, side) for k in (key, true_key) for side in ("left", "right")), strict=True)
    return order, [(order[a:b], true_order[c:d]) for a, b, c, d in bounds]
