"""Training, validation and test split: by a threshold on a hash, so that no image changes sides when data is added.

The place of an image in [0, 1) is a hash of its pixels (or of its group): below the test fraction it is in test, below
test + val in val, else in train. There is no seed: every run on the same data is tested on the same images, copies of an
image stay together, and an added image moves no other. Classes too small to get a share by chance follow a fixed rule:

    a class with one unit is in train; with two in train and test; with three or more in all splits: the lowest place
    goes to test, the next to val, the highest stays in train.

Splits that the data give are respected; only a missing validation split is taken from train, by the same hash.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from sightline.data.audit.audit import Audit
from sightline.data.audit.duplicates import Units, units_of
from sightline.data.records.names import SPLITS
from sightline.errors import DataError, UsageError
from sightline.storage.text import printable

TRAIN, VAL, TEST, NONE = 0, 1, 2, -1
CARVED = 0.10  # share of a given train split that validates if no validation split is given


class Fractions(NamedTuple):
    """Shares of the images; they sum to one."""

    train: float
    val: float
    test: float


@dataclass(frozen=True)
class Assignment:
    """`split` (n,) 0 train, 1 val, 2 test, -1 not used; `units`; `notes` report the decisions."""

    split: Int[np.ndarray, "n"]
    units: Units
    notes: tuple[str, ...]


def fractions_for(n: int) -> Fractions:
    """70/15/15 %; from a million images 98/1/1 %, from four million 99.5/0.25/0.25 %: 10,000 images
    give an accuracy a standard error of at most half a percentage point."""
    if n >= 4_000_000:
        return Fractions(0.995, 0.0025, 0.0025)
    return Fractions(0.98, 0.01, 0.01) if n >= 1_000_000 else Fractions(0.70, 0.15, 0.15)


def assign(audit: Audit, *, fractions: Fractions | None = None) -> Assignment:
    """The split of every image in use; given splits are respected."""
    units = units_of(audit)
    records = audit.source.records
    given = np.array([NONE if r.split is None else SPLITS.index(r.split) for r in records], dtype=np.int64)
    present = set(given.tolist()) - {NONE}
    names = (*audit.source.classes, "annotated images" if audit.source.annotations else "unlabelled")
    order = {name: i for i, name in enumerate(audit.source.classes)}
    label = np.array([len(order) if r.label is None else order[r.label] for r in records], dtype=np.int64)
    if present <= {TRAIN}:
        whole = _checked(fractions or fractions_for(int(audit.used.sum())))
        shares: Fractions | None = whole
        ids = np.flatnonzero(audit.used)
        origin = "only train is given, so it is divided" if present else "no split is given"
        notes = [
            f"{origin}: {whole.train:.4g} train, {whole.val:.4g} val, {whole.test:.4g} test, by a hash of the "
            f"{'groups' if any(r.group for r in records) else 'pixels'}, the same for every seed"
        ]
    else:
        given[given == NONE] = TRAIN  # rows of a file whose name is not a split's
        shares = Fractions(1 - CARVED, CARVED, 0.0) if VAL not in present and TRAIN in present else None
        ids = np.flatnonzero(audit.used & (given == TRAIN)) if shares else np.empty(0, dtype=np.int64)
        notes = _notes_on_given_splits(audit, given, units)
    split = np.where(audit.used, given, NONE)
    if shares and len(ids):
        deal = _Deal(label[ids], units.index[ids], units.place, shares)
        split[ids] = deal.split[units.index[ids]]
        notes += deal.notes(names)
    return Assignment(split, units, tuple(notes))


def _checked(shares: Fractions) -> Fractions:
    if shares.train <= 0 or min(shares) < 0 or abs(sum(shares) - 1) > 1e-9:
        raise UsageError(
            f"split fractions {tuple(shares)} are not positive shares that sum to 1",
            "use fractions such as 0.7, 0.15, 0.15",
        )
    return shares


def refuse_emptied_splits(audit: Audit) -> None:
    """Raise DataError if a split is given but none of its images can be used: no other may silently take its place."""
    used = {record.split for record in audit.records()}
    given = {*audit.source.given_splits, *(record.split for record in audit.source.records)}
    for name in sorted(name for name in given - used if name):
        raise DataError(
            f"the {name} split is empty: every image given for it is quarantined",
            "fix the files that `sightline data` lists, or remove the split",
        )


def _notes_on_given_splits(audit: Audit, given: Int[np.ndarray, "n"], units: Units) -> list[str]:
    present = set(given.tolist())
    notes = []
    if VAL not in present and TRAIN in present:
        notes.append(f"no validation split is given: {CARVED:.0%} of train, chosen by hash, is used for validation")
    if TEST not in present:
        notes.append("no test split is given: there is no test result")
    if any(r.group for r in audit.source.records):
        pairs = np.unique(np.stack([units.index, given])[:, audit.used], axis=1)  # (2, distinct)
        if parted := int((np.bincount(pairs[0]) > 1).sum()):
            notes.append(f"groups spread over several of the given splits: {parted}")
    return notes


class _Deal:
    """Units assigned to splits: by threshold first, then moved so that every class is in every split it is large enough for.

    `label`, `unit` (m,) of the images to assign; `place` (units,). Once built, `split` (units,) holds 0, 1 or 2.
    """

    def __init__(
        self,
        label: Int[np.ndarray, "m"],
        unit: Int[np.ndarray, "m"],
        place: Float[np.ndarray, "u"],
        shares: Fractions,
    ) -> None:
        self.label, self.unit, self.place = label, unit, place
        val = np.where(place < shares.test + shares.val, VAL, TRAIN)
        self.split = np.where(place < shares.test, TEST, val)
        self.counts = np.zeros((int(label.max()) + 1, len(SPLITS)), dtype=np.int64)  # (classes, splits)
        np.add.at(self.counts, (label, self.split[unit]), 1)
        self.by_unit = np.argsort(unit, kind="stable")
        self.starts = np.searchsorted(unit[self.by_unit], np.arange(len(place) + 1))
        self.present = np.flatnonzero(self.counts.sum(axis=1))
        self.moved: dict[int, list[int]] = {TRAIN: [], VAL: [], TEST: []}
        self.targets = [TEST] * (shares.test > 0) + [VAL] * (shares.val > 0)
        self._repair(TRAIN)
        for target in self.targets:
            self._repair(target)

    def _repair(self, target: int) -> None:
        for c in self.present:
            if self.counts[c, target]:
                continue
            for unit in self._candidates(int(c), target):
                if self._may_give(unit):
                    self._move(unit, target)
                    self.moved[target].append(int(c))
                    break

    def _candidates(self, c: int, target: int) -> Int[np.ndarray, "v"]:
        """Units of a class that could go to `target`, best first: the highest place to train, the lowest to test, the
        lowest of train to val, and after these the highest of test."""
        units = np.unique(self.unit[self.label == c])
        units = units[np.argsort(self.place[units], kind="stable")]
        if target == TRAIN:
            return units[::-1]
        if target == TEST:
            return units
        own = self.split[units]
        return np.concatenate([units[own == TRAIN], units[own == TEST][::-1]])

    def _may_give(self, unit: int) -> bool:
        """Whether the unit may leave its split: not if it is the last of any of its classes in train or test, unless a class is
        missing from train."""
        source = self.split[unit]
        if source == VAL:
            return True
        classes, n = self._members(unit)
        if source == TEST and not self.counts[classes, TRAIN].all():
            return True
        return bool((self.counts[classes, source] > n).all())

    def _members(self, unit: int) -> tuple[Int[np.ndarray, "v"], Int[np.ndarray, "v"]]:
        """The classes in a unit and how many images of each."""
        return np.unique(self.label[self.by_unit[self.starts[unit] : self.starts[unit + 1]]], return_counts=True)

    def _move(self, unit: int, target: int) -> None:
        classes, n = self._members(unit)
        self.counts[classes, self.split[unit]] -= n
        self.counts[classes, target] += n
        self.split[unit] = target

    def notes(self, names: Sequence[str]) -> list[str]:
        """Which classes needed a move, and which stay without test or validation images."""
        notes = []
        for target, classes in self.moved.items():
            if classes:
                notes.append(
                    f"the hash put none of these classes into {SPLITS[target]}, so it gets one unit of each: "
                    f"{_list_some(classes, names)}"
                )
        for target in self.targets:
            if lacking := [int(c) for c in self.present if not self.counts[c, target]]:
                notes.append(f"classes too small for an image in {SPLITS[target]}: {_list_some(lacking, names)}")
        return notes


def _list_some(classes: Sequence[int], names: Sequence[str]) -> str:
    rest = f" and {len(classes) - 5} more" if len(classes) > 5 else ""
    return ", ".join(printable(names[c]) for c in classes[:5]) + rest
