"""How well objects are detected whose neighbours overlap them, beside those that lie apart.

An object is crowded if it overlaps another one of its image, of any class, by an IoU of at least 0.1. Boxes are matched
with all objects, as always; then the AP of the crowded ones counts boxes on them as right, leaves out boxes on others, and
counts a false positive where it overlaps a crowded object by as much. The rest are the false positives of objects apart.
Suppression drops the second of two boxes that overlap by more than its threshold, so it limits what a detector can find
in a crowd.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from jaxtyping import Bool

from sightline.metrics.average_precision import average_precisions
from sightline.metrics.matching import FALSE, HIT, IGNORED, ClassMatches, Matches, box_overlap
from sightline.structures.detection_rows import DetectionRows

OVERLAP = 0.1


def crowded_objects(rows: DetectionRows) -> Bool[np.ndarray, "t"]:
    """Which true objects are crowded; ignored regions neither are nor crowd others."""
    crowded = np.zeros(len(rows.true_label), dtype=bool)
    for image in np.unique(rows.true_image).tolist():
        here = np.flatnonzero((rows.true_image == image) & ~rows.true_ignore)
        overlap = box_overlap(rows.true_boxes[here], rows.true_boxes[here])
        np.fill_diagonal(overlap, 0.0)
        crowded[here] = (overlap >= OVERLAP).any(1)
    return crowded


def judge_crowding(rows: DetectionRows, matches: Matches) -> dict[str, dict[str, float | int | None]]:
    """crowded, apart → support (objects), ap (over the thresholds of `matches`) and ar (recall by all boxes), None where
    undefined."""
    crowded = crowded_objects(rows)
    near = _near(rows, crowded)
    return {
        "crowded": _judge(rows, matches, crowded, near),
        "apart": _judge(rows, matches, ~crowded & ~rows.true_ignore, ~near),
    }


def _near(rows: DetectionRows, crowded: Bool[np.ndarray, "t"]) -> Bool[np.ndarray, "p"]:
    """Which detections overlap a crowded object."""
    near = np.zeros(len(rows.label), dtype=bool)
    for image in np.unique(rows.true_image[crowded]).tolist():
        mine = np.flatnonzero(rows.image == image)
        there = crowded & (rows.true_image == image)
        near[mine] = (box_overlap(rows.boxes[mine], rows.true_boxes[there]) >= OVERLAP).any(1)
    return near


def _judge(
    rows: DetectionRows, matches: Matches, objects: Bool[np.ndarray, "t"], false: Bool[np.ndarray, "p"]
) -> dict[str, float | int | None]:
    support = int(objects.sum())
    if not support:
        return {"support": 0, "ap": None, "ar": None}
    classes = tuple(_of_class(rows, c, objects, false, i) for i, c in enumerate(matches.classes))
    ap = average_precisions(replace(matches, classes=classes))[0]  # (k, thresholds)
    found = [(c.outcome == HIT).sum(1) / max(int(c.support.sum()), 1) for c in classes if c.support.sum()]
    return {"support": support, "ap": float(np.nanmean(ap)), "ar": float(np.mean(found))}


def _of_class(
    rows: DetectionRows, c: ClassMatches, objects: Bool[np.ndarray, "t"], false: Bool[np.ndarray, "p"], label: int
) -> ClassMatches:
    """The class with these objects and these false positives only."""
    mine = np.r_[objects, False][c.truth]  # truth -1, no match, reads the last
    outcome = np.where((c.outcome == HIT) & ~mine, IGNORED, c.outcome)
    outcome = np.where((c.outcome == FALSE) & ~false[c.index], IGNORED, outcome)
    of_class = objects & (rows.true_label == label)
    return replace(c, outcome=outcome, support=np.bincount(rows.true_image[of_class], minlength=len(rows)))
