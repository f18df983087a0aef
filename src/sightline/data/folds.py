"""k-fold cross-validation: every sample is validated exactly once, in one of k disjoint folds.

Stone 1974, "Cross-validatory choice and assessment of statistical predictions". Stratified folds keep the ratio of
the classes: the samples of each class are shuffled and dealt in turn, continuing where the previous class ended, so that
both the counts of a class and the sizes of the folds differ by at most one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

from sightline.data.audit.audit import Audit
from sightline.data.audit.duplicates import units_of
from sightline.errors import UsageError
from sightline.randomness.keyed import permutation

from .identities import by_identities
from .split_rules import TEST, TRAIN, Fractions
from .split_rules import Cuts as Cuts  # public from here, where the rules are brought together
from .splits import NONE, Assignment, SplitRule, assign


def k_fold(
    n: int, k: int, *, seed: int, labels: Int[np.ndarray, "n"] | None = None, units: Int[np.ndarray, "n"] | None = None
) -> Int[np.ndarray, "n"]:
    """The fold (0 … k-1) of each of n samples; fold f validates where it equals f and trains on the rest.

    With `labels` it is stratified. With `units` the samples of one unit stay together and count as one, with the label of
    the first. Raises UsageError unless 2 ≤ k ≤ the number of samples (or units).
    """
    if units is not None:
        _, first, back = np.unique(units, return_index=True, return_inverse=True)
        whole = k_fold(len(first), k, seed=seed, labels=None if labels is None else labels[first])
        return whole[back]
    if not 2 <= k <= n:
        raise UsageError(f"{n} samples cannot form {k} folds", f"use 2 to {n} folds" if n > 1 else "add samples")
    order = permutation(n, seed, "k-fold").numpy()
    if labels is not None:
        order = order[np.argsort(labels[order], kind="stable")]  # class by class, each shuffled
    folds = np.empty(n, dtype=np.int64)
    folds[order] = np.arange(n) % k
    return folds


@dataclass(frozen=True)
class Fold:
    """The `which`-th (from 1) of `k` folds."""

    which: int
    k: int

    @classmethod
    def of(cls, text: str) -> Fold:
        """ "2/5". UsageError for a fold that does not exist."""
        which, k = (int(number) for number in text.split("/"))
        if which > k:
            raise UsageError(f"data.fold={text}: there are only {k} folds", f"use 1/{k} to {k}/{k}")
        return cls(which, k)


def deal(
    audit: Audit, fractions: Fractions | None, rule: SplitRule | Cuts | Fold, *, identities: bool = False
) -> Assignment:
    """The split of every image in use: of a fold, else by `splits.assign`; with `identities` no class is in two splits."""
    audit = by_identities(audit) if identities else audit
    return assign_fold(audit, rule) if isinstance(rule, Fold) else assign(audit, fractions=fractions, rule=rule)


def assign_fold(audit: Audit, fold: Fold) -> Assignment:
    """That fold is test, all others train, and nothing validates. Splits that the data give are not kept; copies and groups
    stay on one side. Where an image has one class, folds are stratified. They are a function of the images: the same for
    every seed and network."""
    units, ids = units_of(audit), np.flatnonzero(audit.used)
    records, labels = audit.source.records, None
    if audit.source.annotations is None:
        order = {name: i for i, name in enumerate(audit.source.classes)}
        labels = np.array([order.get(str(records[i].label), -1) for i in ids.tolist()], dtype=np.int64)
    folds = k_fold(len(ids), fold.k, seed=0, labels=labels, units=units.index[ids])
    split = np.full(len(records), NONE, dtype=np.int64)
    split[ids] = np.where(folds == fold.which - 1, TEST, TRAIN)
    held = int((split == TEST).sum())
    note = f"fold {fold.which} of {fold.k}: {held:,} images are test, the other {len(ids) - held:,} train"
    return Assignment(split, units, (note,))
