"""Which images train, which choose, which judge: by a threshold on a hash, so that nothing moves when data grows.

An image's place in [0, 1) is a hash of its pixels (or of its group); below the test fraction it is test, below test +
val it is val, else train. No seed enters: every run on the same data is judged by the same images, copies of an image
are never parted, and an added image moves no other. What is too small for a share by chance follows a stated rule:

    a class with one unit trains; with two, trains and tests; with three or more it is in all splits,
    the lowest place giving to test, the next to val, the highest staying in train.

A split that the data give is respected; only a missing validation split is taken from train, by the same hash.
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
from sightline.storage.text import shown

TRAIN, VAL, TEST, NONE = 0, 1, 2, -1
CARVED = 0.10  # of a given train, where no val is given


class Fractions(NamedTuple):
    """Shares of the images; they sum to one."""

    train: float
    val: float
    test: float


@dataclass(frozen=True)
class Assignment:
    """`split` (n,) 0 train, 1 val, 2 test, -1 not used; `units`; `notes` say what was decided and what it cost."""

    split: Int[np.ndarray, "n"]
    units: Units
    notes: tuple[str, ...]


def fractions_for(n: int) -> Fractions:
    """70/15/15 %; from a million images 98/1/1 %, from four million 99.5/0.25/0.25 %: 10,000 judge well enough."""
    if n >= 4_000_000:
        return Fractions(0.995, 0.0025, 0.0025)
    return Fractions(0.98, 0.01, 0.01) if n >= 1_000_000 else Fractions(0.70, 0.15, 0.15)


def assign(audit: Audit, *, fractions: Fractions | None = None) -> Assignment:
    """The split of every image in use; a given one is respected."""
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
        found = "only train is given, and dealt out" if present else "no split is given"
        notes = [
            f"{found}: {whole.train:.4g} train, {whole.val:.4g} val, {whole.test:.4g} test, by a hash of the "
            f"{'groups' if any(r.group for r in records) else 'pixels'}, the same for every seed"
        ]
    else:
        given[given == NONE] = TRAIN  # rows of a file that is named for no split
        shares = Fractions(1 - CARVED, CARVED, 0.0) if VAL not in present and TRAIN in present else None
        ids = np.flatnonzero(audit.used & (given == TRAIN)) if shares else np.empty(0, dtype=np.int64)
        notes = _about_given(audit, given, units)
    split = np.where(audit.used, given, NONE)
    if shares and len(ids):
        deal = _Deal(label[ids], units.index[ids], units.place, shares)
        split[ids] = deal.split[units.index[ids]]
        notes += deal.notes(names)
    return Assignment(split, units, tuple(notes))


def _checked(shares: Fractions) -> Fractions:
    if shares.train <= 0 or min(shares) < 0 or abs(sum(shares) - 1) > 1e-9:
        raise UsageError(f"split fractions {tuple(shares)} are not shares of one", "such as 0.7, 0.15, 0.15")
    return shares


def refuse_emptied_splits(audit: Audit) -> None:
    """Raises DataError where a split is given and nothing in it can be used: no other takes its place unasked."""
    used = {record.split for record in audit.records()}
    given = {*audit.source.given_splits, *(record.split for record in audit.source.records)}
    for name in sorted(name for name in given - used if name):
        raise DataError(
            f"the {name} split is empty: all that is given for it is quarantined",
            "mend what `sightline data` names, or take the split away",
        )


def _about_given(audit: Audit, given: Int[np.ndarray, "n"], units: Units) -> list[str]:
    present = set(given.tolist())
    notes = []
    if VAL not in present and TRAIN in present:
        notes.append(f"no validation split is given: {CARVED:.0%} of train, by a hash, validates instead")
    if TEST not in present:
        notes.append("no test split is given: nothing is tested")
    if any(r.group for r in audit.source.records):
        pairs = np.unique(np.stack([units.index, given])[:, audit.used], axis=1)  # (2, distinct)
        if parted := int((np.bincount(pairs[0]) > 1).sum()):
            notes.append(f"groups that lie in several of the given splits: {parted}")
    return notes


class _Deal:
    """Units dealt to splits: by threshold, then so that no class is left out that need not be.

    `label`, `unit` (m,) of the images that are dealt; `place` (units,). Once built, `split` (units,) holds 0, 1, 2.
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
        self.given: dict[int, list[int]] = {TRAIN: [], VAL: [], TEST: []}
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
                    self.given[target].append(int(c))
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
        """Nothing leaves train or test that is the last of any of its classes there; unless train has none at all of one."""
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
        """What was moved for small classes, and which stay without test or validation."""
        said = []
        for target, classes in self.given.items():
            if classes:
                said.append(f"{SPLITS[target]} has no share by hash of, and is given one of: {_some(classes, names)}")
        for target in self.targets:
            if lacking := [int(c) for c in self.present if not self.counts[c, target]]:
                said.append(f"too small for {SPLITS[target]}, without an image there: {_some(lacking, names)}")
        return said


def _some(classes: Sequence[int], names: Sequence[str]) -> str:
    rest = f" and {len(classes) - 5} more" if len(classes) > 5 else ""
    return ", ".join(shown(names[c]) for c in classes[:5]) + rest
