"""What fixing each kind of error would gain in AP50 (Bolya et al. 2020, TIDE, arXiv:2008.08115, section 2.3).

One kind is fixed, all others are left, and AP50 is computed again:

    class          the box gets the class of the object that it is about
    localisation   the box becomes correct
    duplicate, background, both   the box is removed
    missed         the object is removed, as if it had never been there to find

Of several boxes about one object, of these two kinds together, only the one with the highest score becomes correct: the
others, and boxes about an object that is found already, are removed. Gains do not add up: fixing all kinds together gives
AP50 = 100 %, and each is the first to be fixed.

A class of which no object is left has no AP and is left out of the mean; the authors' program counts it as 0 while boxes
of the class are left.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from jaxtyping import Float, Int

from sightline.metrics.average_precision import average_precisions
from sightline.metrics.matching import HIT, ClassMatches, Matches
from sightline.structures.detection_rows import DetectionRows

from .errors import KINDS, Mistakes, mistakes


def ap50_gains(rows: DetectionRows, matches: Matches) -> dict[str, float | None]:
    """kind → AP50 with this kind of error fixed, less AP50 as it is. None: undefined, because nothing remains or nothing was
    there. The first threshold of `matches` must be 0.5."""
    first = Matches(matches.n, matches.thresholds[:1], tuple(_first(c) for c in matches.classes))
    before = _mean_ap(first)
    wrong = mistakes(rows, first)
    gains: dict[str, float | None] = {}
    for number, kind in enumerate(KINDS):
        if np.isnan(before):
            gains[kind] = None
            continue
        after = _mean_ap(_fixed(rows, first, wrong, number))
        gains[kind] = None if np.isnan(after) else float(after - before)
    return gains


def _first(c: ClassMatches) -> ClassMatches:
    return replace(c, outcome=c.outcome[:1], truth=c.truth[:1])


def _mean_ap(matches: Matches) -> float:
    ap = average_precisions(matches)[0, :, 0]
    return float(np.nanmean(ap)) if (~np.isnan(ap)).any() else np.nan


def _fixed(rows: DetectionRows, matches: Matches, wrong: Mistakes, number: int) -> Matches:
    """The matches with one kind of error fixed."""
    kind = KINDS[number]
    if kind == "missed":
        return replace(matches, classes=tuple(_without(rows, c, i, wrong) for i, c in enumerate(matches.classes)))
    mine = wrong.kind == number
    label = rows.label.copy()
    right = np.zeros(len(label), dtype=bool)
    gone = np.zeros(len(label), dtype=bool)
    gone[wrong.index[mine]] = True
    if kind in ("class", "localisation"):
        best = _best_about(rows, wrong)
        chosen = mine & best
        right[wrong.index[chosen]], gone[wrong.index[chosen]] = True, False
        label[wrong.index[chosen]] = rows.true_label[wrong.about[chosen]]
    index = np.concatenate([np.zeros(0, dtype=int), *(c.index for c in matches.classes)])
    outcome = np.concatenate([np.zeros(0, dtype=int), *(c.outcome[0] for c in matches.classes)])
    outcome[right[index]] = HIT
    index, outcome = index[~gone[index]], outcome[~gone[index]]
    falling = np.lexsort((index, rows.image[index], -rows.score[index]))
    return replace(matches, classes=tuple(
        _class_of(rows, c, index[falling], outcome[falling], label[index[falling]] == i)
        for i, c in enumerate(matches.classes)
    ))  # fmt: skip


def _best_about(rows: DetectionRows, wrong: Mistakes) -> np.ndarray:
    """Which mistakes are those with the highest score about their object, if no correct box has found it."""
    candidates = np.flatnonzero((wrong.about >= 0) & ~np.r_[wrong.used, True][wrong.about])
    order = candidates[np.lexsort((wrong.index[candidates], -rows.score[wrong.index[candidates]]))]
    _, first = np.unique(wrong.about[order], return_index=True)
    best = np.zeros(len(wrong.index), dtype=bool)
    best[order[first]] = True
    return best


def _class_of(
    rows: DetectionRows,
    c: ClassMatches,
    index: Int[np.ndarray, "d"],
    outcome: Int[np.ndarray, "d"],
    mine: Float[np.ndarray, "d"] | np.ndarray,
) -> ClassMatches:
    own = index[mine]
    return replace(
        c,
        index=own,
        image=rows.image[own],
        score=rows.score[own],
        outcome=outcome[mine][None],
        truth=np.full((1, len(own)), -1),
    )


def _without(rows: DetectionRows, c: ClassMatches, label: int, wrong: Mistakes) -> ClassMatches:
    """The class without the objects that are missed."""
    missed = wrong.open & (rows.true_label == label)
    return replace(c, support=c.support - np.bincount(rows.true_image[missed], minlength=len(c.support)))
