"""Kinds of detection errors: the six of TIDE (Bolya et al. 2020, arXiv:2008.08115).

A false positive gets the first kind that applies, in the order of the authors' program:

    localisation   IoU of 0.1 to 0.5 with an object of its class
    class          IoU of at least 0.5 with an object of another class
    duplicate      IoU of at least 0.5 with an object of its class that a box with a higher score has already matched
    background     IoU of at most 0.1 with every object
    both           the rest: wrong class and poor overlap

A true object without a box is `missed`, unless a `localisation` or `class` error refers to it. Counted are the errors
among boxes of at least a given score; what each kind costs in AP is told by `gains`, over all boxes, as TIDE does. Ignored
regions take no part.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from sightline.metrics.matching import HIT, IGNORED, Matches, box_overlap
from sightline.structures.detection_rows import DetectionRows

KINDS = ("class", "localisation", "both", "duplicate", "background", "missed")
FOREGROUND, BACKGROUND = 0.5, 0.1


@dataclass(frozen=True)
class BoxErrors:
    """`counts` of errors by kind and the number of correct boxes, `hits`; for each image (n,) the number of objects without a
    box, `missed`, and of boxes without an object, `false`."""

    counts: dict[str, int]
    hits: int
    missed: Int[np.ndarray, "n"]
    false: Int[np.ndarray, "n"]


@dataclass(frozen=True)
class Mistakes:
    """The m false positives: `index` their rows, `kind` by its place in `KINDS`, and the true object that `about` refers to
    (-1: none). Of all t true objects: `used` by a correct box, and `open`: without one, and no mistake is about it."""

    index: Int[np.ndarray, "m"]
    kind: Int[np.ndarray, "m"]
    about: Int[np.ndarray, "m"]
    used: Bool[np.ndarray, "t"]
    open: Bool[np.ndarray, "t"]


def box_errors(rows: DetectionRows, matches: Matches, score_threshold: float | None) -> BoxErrors:
    """The errors among the boxes of at least `score_threshold` (None: all); the first threshold of `matches` must be 0.5."""
    found = mistakes(rows, matches, score_threshold)
    counts = dict(zip(KINDS, np.bincount(found.kind, minlength=len(KINDS)).tolist(), strict=True))
    counts["missed"] = int(found.open.sum())
    without = ~found.used & ~rows.true_ignore
    return BoxErrors(
        counts=counts,
        hits=int(found.used.sum()),
        missed=np.bincount(rows.true_image[without], minlength=len(rows)),
        false=np.bincount(rows.image[found.index], minlength=len(rows)),
    )


def mistakes(rows: DetectionRows, matches: Matches, score_threshold: float | None = None) -> Mistakes:
    """Every false positive of at least `score_threshold` (None: all) with its kind, and the true objects that are missed."""
    index = np.concatenate([np.zeros(0, dtype=int), *(c.index for c in matches.classes)])
    outcome = np.concatenate([np.zeros(0, dtype=int), *(c.outcome[0] for c in matches.classes)])
    truth = np.concatenate([np.zeros(0, dtype=int), *(c.truth[0] for c in matches.classes)])
    considered = np.full(len(index), True) if score_threshold is None else rows.score[index] >= score_threshold
    used = np.zeros(len(rows.true_label), dtype=bool)
    used[truth[considered & (outcome == HIT)]] = True
    wrong = index[considered & (outcome != HIT) & (outcome != IGNORED)]
    wrong = wrong[np.argsort(rows.image[wrong], kind="stable")]
    true = np.flatnonzero(~rows.true_ignore)
    true = true[np.argsort(rows.true_image[true], kind="stable")]
    kinds, abouts = [np.zeros(0, dtype=int)], [np.zeros(0, dtype=int)]
    for image in np.unique(rows.image[wrong]).tolist():
        mine, there = _of_image(wrong, rows.image, image), _of_image(true, rows.true_image, image)
        overlap = box_overlap(rows.boxes[mine], rows.true_boxes[there])
        same = rows.label[mine][:, None] == rows.true_label[there][None]  # (d, g)
        kind, about = _kinds(overlap, same, used[there])
        kinds.append(kind)
        abouts.append(np.where(about < 0, -1, there[about]) if len(there) else about)
    about = np.concatenate(abouts)
    near = np.zeros(len(used), dtype=bool)  # an error refers to it
    near[about[about >= 0]] = True
    return Mistakes(wrong, np.concatenate(kinds), about, used, ~used & ~rows.true_ignore & ~near)


def _kinds(
    overlap: Float[np.ndarray, "d g"], same: Bool[np.ndarray, "d g"], used: Bool[np.ndarray, "g"]
) -> tuple[Int[np.ndarray, "d"], Int[np.ndarray, "d"]]:
    """The kind of each false positive of one image, and the true object that it refers to (-1: none)."""
    if not overlap.shape[1]:
        return np.full(len(overlap), KINDS.index("background")), np.full(len(overlap), -1)
    own, other = np.where(same, overlap, 0.0), np.where(same, 0.0, overlap)
    best_own, best_other = own.max(1), other.max(1)
    criteria = {
        "localisation": (best_own >= BACKGROUND) & (best_own <= FOREGROUND),
        "class": best_other >= FOREGROUND,
        "duplicate": np.where(used, own, 0.0).max(1) >= FOREGROUND,
        "background": overlap.max(1) <= BACKGROUND,
    }
    first = np.argmax([*criteria.values(), np.ones(len(overlap), dtype=bool)], axis=0)
    kinds = np.array([KINDS.index(kind) for kind in (*criteria, "both")])[first]
    return kinds, np.where(first == 0, own.argmax(1), np.where(first == 1, other.argmax(1), -1))


def _of_image(places: np.ndarray, image: np.ndarray, which: int) -> np.ndarray:
    """The part of `places`, which are sorted by image, that belongs to one image."""
    low, high = (np.searchsorted(image[places], which, side) for side in ("left", "right"))
    return places[low:high]
