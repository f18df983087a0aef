"""What kind of mistake is each wrong box? The six kinds of TIDE (Bolya et al. 2020, arXiv:2008.08115).

A false alarm is, in the order in which the authors' program asks,

    localisation   right class, overlap of 0.1 to 0.5 with an object of it
    class          overlap of 0.5 or more with an object of another class
    duplicate      right class and place, but a surer box already has the object
    background     overlap of 0.1 or less with everything
    both           what is left: wrong class and loosely placed

and a true object without a box is `missed`, unless a `localisation` or `class` mistake is about it. TIDE weighs each
kind by the AP that its repair would gain, over all boxes; here the boxes that a person is shown (of at least a score)
are counted. Ignored regions are neither, and take part in nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from sightline.metrics.matching import HIT, IGNORED, Matched, box_overlap
from sightline.structures.detection_rows import DetectionRows

KINDS = ("class", "localisation", "both", "duplicate", "background", "missed")
FOREGROUND, BACKGROUND = 0.5, 0.1


@dataclass(frozen=True)
class BoxErrors:
    """`counts` by kind, beside `hits` boxes that are right; and for each image (n,) how many objects have no box and how many
    boxes no object."""

    counts: dict[str, int]
    hits: int
    missed: Int[np.ndarray, "n"]
    false: Int[np.ndarray, "n"]


def box_errors(rows: DetectionRows, matched: Matched, score_threshold: float | None) -> BoxErrors:
    """The mistakes among the boxes of at least `score_threshold` (None: all); `matched` at 0.5 first."""
    found = np.concatenate([np.zeros(0, dtype=int), *(c.found for c in matched.classes)])
    outcome = np.concatenate([np.zeros(0, dtype=int), *(c.outcome[0] for c in matched.classes)])
    truth = np.concatenate([np.zeros(0, dtype=int), *(c.truth[0] for c in matched.classes)])
    shown = np.full(len(found), True) if score_threshold is None else rows.score[found] >= score_threshold
    used = np.zeros(len(rows.true_label), dtype=bool)
    hit = shown & (outcome == HIT)
    used[truth[hit]] = True
    wrong = found[shown & (outcome != HIT) & (outcome != IGNORED)]
    counts = dict.fromkeys(KINDS, 0)
    near = np.zeros(len(used), dtype=bool)  # a mistake is about it
    true = np.flatnonzero(~rows.true_ignore)
    true = true[np.argsort(rows.true_image[true], kind="stable")]
    wrong = wrong[np.argsort(rows.image[wrong], kind="stable")]
    for image in np.unique(rows.image[wrong]).tolist():
        mine, there = _of(wrong, rows.image, image), _of(true, rows.true_image, image)
        overlap = box_overlap(rows.boxes[mine], rows.true_boxes[there])
        same = rows.label[mine][:, None] == rows.true_label[there][None]  # (d, g)
        kinds, about = _kinds(overlap, same, used[there])
        near[there[about[about >= 0]]] = True
        for kind in kinds:
            counts[kind] += 1
    open_ = ~used & ~rows.true_ignore
    counts["missed"] = int((open_ & ~near).sum())
    return BoxErrors(
        counts=counts,
        hits=int(hit.sum()),
        missed=np.bincount(rows.true_image[open_], minlength=len(rows)),
        false=np.bincount(rows.image[wrong], minlength=len(rows)),
    )


def _kinds(
    overlap: Float[np.ndarray, "d g"], same: Bool[np.ndarray, "d g"], used: Bool[np.ndarray, "g"]
) -> tuple[list[str], Int[np.ndarray, "d"]]:
    """The kind of each false alarm of one image, and the true object that it is about (-1: none)."""
    if not overlap.shape[1]:
        return ["background"] * len(overlap), np.full(len(overlap), -1)
    own, other = np.where(same, overlap, 0.0), np.where(same, 0.0, overlap)
    best_own, best_other = own.max(1), other.max(1)
    asked = {
        "localisation": (best_own >= BACKGROUND) & (best_own <= FOREGROUND),
        "class": best_other >= FOREGROUND,
        "duplicate": np.where(used, own, 0.0).max(1) >= FOREGROUND,
        "background": overlap.max(1) <= BACKGROUND,
    }
    first = np.argmax([*asked.values(), np.ones(len(overlap), dtype=bool)], axis=0)
    kinds = [(*asked, "both")[i] for i in first]
    return kinds, np.where(first == 0, own.argmax(1), np.where(first == 1, other.argmax(1), -1))


def _of(places: np.ndarray, image: np.ndarray, which: int) -> np.ndarray:
    """Those of the places, sorted by image, that belong to one image."""
    low, high = (np.searchsorted(image[places], which, side) for side in ("left", "right"))
    return places[low:high]
