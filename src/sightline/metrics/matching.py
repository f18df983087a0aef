"""Which found object is which true one? COCO's greedy matching (Lin et al. 2014, arXiv:1405.0312), image by image.

Within an image and a class the found objects choose in the order of their scores: each takes the free true object that
it overlaps most, if by at least the IoU threshold; of equals the last. A true object is taken once, so a second box on it
is a false alarm. Who finds none may fall on an ignored region (crowd, difficult), whose overlap is measured as a share
of the found object and which any number may share: that counts as nothing at all. Only the 100 best of an image and
class are looked at.

PASCAL VOC differs in that a found object always chooses its best truth, taken or not, and difficult objects are
overlapped by IoU; here everything is COCO's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from sightline.structures.detection_rows import DetectionRows

THRESHOLDS = np.linspace(0.5, 0.95, 10)  # COCO's
MOST = 100  # found objects of an image and class
HIT, FALSE, IGNORED = 1, 0, -1


@dataclass(frozen=True)
class ClassMatches:
    """The d found objects of one class by falling score, of equals the earlier image and row first.

    found (d,) their places in the rows; image (d,), score (d,)
    outcome (thresholds, d) HIT, FALSE or IGNORED; truth (thresholds, d) the place of what was matched, -1 for nothing
    support (n,) objects of the class to be found in each image
    """

    found: Int[np.ndarray, "d"]
    image: Int[np.ndarray, "d"]
    score: Float[np.ndarray, "d"]
    outcome: Int[np.ndarray, "thresholds d"]
    truth: Int[np.ndarray, "thresholds d"]
    support: Int[np.ndarray, "n"]


@dataclass(frozen=True)
class Matched:
    """The matches of n images at each IoU threshold, one entry a class."""

    n: int
    thresholds: Float[np.ndarray, "thresholds"]
    classes: tuple[ClassMatches, ...]


class Match(NamedTuple):
    """Of each found object at each threshold: what came of it, and the column of the true one (-1: none)."""

    outcome: Int[np.ndarray, "thresholds d"]
    truth: Int[np.ndarray, "thresholds d"]


def box_overlap(
    found: Float[np.ndarray, "d 4"], true: Float[np.ndarray, "g 4"], ignore: Bool[np.ndarray, "g"] | None = None
) -> Float[np.ndarray, "d g"]:
    """IoU of xyxy boxes; with an ignored region the share of the found box that lies inside it. Boxes without area: 0."""
    a, b = _as_coco(found)[:, None], _as_coco(true)[None]  # (d, 1, 4), (1, g, 4)
    side = np.minimum(a[..., :2] + a[..., 2:], b[..., :2] + b[..., 2:]) - np.maximum(a[..., :2], b[..., :2])
    inside = np.where((side > 0).all(-1), side.prod(-1), 0.0)  # (d, g)
    area, other = a[..., 2:].prod(-1), b[..., 2:].prod(-1)
    whole = area + other - inside
    if ignore is not None:
        whole = np.where(ignore, area, whole)
    return np.divide(inside, whole, out=np.zeros_like(inside), where=inside > 0)


def _as_coco(boxes: Float[np.ndarray, "m 4"]) -> Float[np.ndarray, "m 4"]:
    """Corner and sides, as COCO keeps them: computed from these, an IoU has its roundings too."""
    boxes = np.asarray(boxes, dtype=np.float64)
    return np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)


def match(
    overlap: Float[np.ndarray, "d g"],
    ignore: Bool[np.ndarray, "g"],
    thresholds: Float[np.ndarray, "thresholds"],
) -> Match:
    """The matches of one image and class; `overlap` of the found objects by falling score with the true ones."""
    count, least = len(thresholds), np.minimum(thresholds, 1 - 1e-10)[:, None]
    truth = np.full((count, len(overlap)), -1)
    # Of equals arg-max takes the first and COCO the last, so the columns are turned round.
    order = np.r_[np.flatnonzero(~ignore)[::-1], np.flatnonzero(ignore)[::-1]].astype(int)
    real, rows = int((~ignore).sum()), np.arange(count)
    free = np.ones((count, len(order)), dtype=bool)
    ordered = overlap[:, order]
    for d in np.flatnonzero((ordered >= least.min()).any(1)):
        reached = free & (ordered[d] >= least)  # (thresholds, g)
        value = np.where(reached, ordered[d], -1.0)
        chosen = value[:, :real].argmax(1) if real else np.zeros(count, dtype=int)
        if real < len(order):
            other = value[:, real:].argmax(1) + real
            chosen = np.where(reached[:, :real].any(1), chosen, other)
        got = reached[rows, chosen]
        truth[got, d] = order[chosen[got]]
        taken = got & (chosen < real)
        free[taken, chosen[taken]] = False
    on = np.r_[ignore, False][truth]  # -1 is the last: matched to nothing
    return Match(np.where(truth < 0, FALSE, np.where(on, IGNORED, HIT)), truth)


def matched(
    rows: DetectionRows,
    classes: int,
    thresholds: Float[np.ndarray, "thresholds"] = THRESHOLDS,
    *,
    masks: bool = False,
) -> Matched:
    """Every image and class matched once, by boxes or by masks; what resamples and curves are then computed from."""
    kept, groups = _groups(rows)
    outcome = np.full((len(thresholds), len(rows.label)), FALSE)
    truth = np.full((len(thresholds), len(rows.label)), -1)
    for found, true in groups:
        ignore = rows.true_ignore[true]
        if masks:
            overlap = mask_overlap(rows, found, true)
        else:
            overlap = box_overlap(rows.boxes[found], rows.true_boxes[true], ignore)
        one = match(overlap, ignore, thresholds)
        outcome[:, found] = one.outcome
        truth[:, found] = np.where(one.truth < 0, -1, true[one.truth])
    falling = kept[np.lexsort((kept, rows.image[kept], -rows.score[kept]))]
    label, real = rows.label[falling], ~rows.true_ignore
    by_class = []
    for c in range(classes):
        mine = falling[label == c]
        support = np.bincount(rows.true_image[real & (rows.true_label == c)], minlength=len(rows))
        by_class.append(
            ClassMatches(mine, rows.image[mine], rows.score[mine], outcome[:, mine], truth[:, mine], support)
        )
    return Matched(len(rows), thresholds, tuple(by_class))


def mask_overlap(
    rows: DetectionRows, found: Int[np.ndarray, "d"], true: Int[np.ndarray, "g"]
) -> Float[np.ndarray, "d g"]:
    """IoU of the masks of one image's found and true objects, given by their places in the rows; with an ignored region
    the share of the found mask that lies inside it."""
    from faster_coco_eval.core import mask

    if not len(found) or not len(true):
        return np.zeros((len(found), len(true)))
    size = rows.size[rows.image[found[0]]].tolist()
    overlap = mask.iou(
        [{"size": size, "counts": rows.found_rle[i]} for i in found],
        [{"size": size, "counts": rows.true_rle[i]} for i in true],
        rows.true_ignore[true].astype(int).tolist(),
    )
    return np.asarray(overlap, dtype=np.float64).reshape(len(found), len(true))  # (d, g)


def _groups(rows: DetectionRows) -> tuple[np.ndarray, list[tuple[np.ndarray, np.ndarray]]]:
    """The found objects that are looked at, by image, class and falling score; and, for each image and class that has
    both, the places of its found objects (in that order) and of its true ones."""
    labels = 1 + max(rows.label.max(initial=-1), rows.true_label.max(initial=-1))
    order = np.lexsort((-rows.score, rows.label, rows.image))
    key = (rows.image * labels + rows.label)[order]
    rank = np.arange(len(key)) - np.searchsorted(key, key)
    order, key = order[rank < MOST], key[rank < MOST]
    true_key = rows.true_image * labels + rows.true_label
    true_order = np.argsort(true_key, kind="stable")
    true_key = true_key[true_order]
    both = np.intersect1d(key, true_key)
    places = zip(*(np.searchsorted(k, both, side) for k in (key, true_key) for side in ("left", "right")), strict=True)
    return order, [(order[a:b], true_order[c:d]) for a, b, c, d in places]
