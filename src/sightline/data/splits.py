"""Training, validation and test split: decided by a hash of the pixels (or of the group), class by class.

There is no seed: every run on the same data is tested on the same images, copies of an image stay together, each class has
its shares to within one image, and an added image moves at most one other (`split_rules` has the rule, and the exceptions).
Runs that began before shares were kept class by class go on by the rule that they began with.

Splits that the data give are respected; only a missing validation split is taken from train, by the same rule.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from jaxtyping import Int

from sightline.data.audit.audit import Audit
from sightline.data.audit.duplicates import Units, units_of
from sightline.data.records.names import SPLITS
from sightline.errors import DataError, UsageError
from sightline.storage.text import printable

from .split_rules import TEST, TRAIN, VAL, Cuts, Fractions, Members, by_class, by_threshold, quotas

NONE = -1
CARVED = 0.10  # share of a given train split that validates if no validation split is given
SplitRule = Literal["class", "threshold"]


@dataclass(frozen=True)
class Assignment:
    """`split` (n,) 0 train, 1 val, 2 test, -1 not used; `units`; `notes` report the decisions; `cuts` with which the same
    data, grown, are split so that no image moves, None where the data give their splits or the rule is by threshold."""

    split: Int[np.ndarray, "n"]
    units: Units
    notes: tuple[str, ...]
    cuts: Cuts | None = None


def fractions_for(n: int) -> Fractions:
    """70/15/15 %; from a million images 98/1/1 %, from four million 99.5/0.25/0.25 %: 10,000 images
    give an accuracy a standard error of at most half a percentage point."""
    if n >= 4_000_000:
        return Fractions(0.995, 0.0025, 0.0025)
    return Fractions(0.98, 0.01, 0.01) if n >= 1_000_000 else Fractions(0.70, 0.15, 0.15)


def assign(audit: Audit, *, fractions: Fractions | None = None, rule: SplitRule | Cuts = "class") -> Assignment:
    """The split of every image in use; given splits are respected. By the cuts of an earlier assignment no image that was
    there leaves its split."""
    units = units_of(audit)
    records = audit.source.records
    given = np.array([NONE if r.split is None else SPLITS.index(r.split) for r in records], dtype=np.int64)
    present = set(given.tolist()) - {NONE}
    if present <= {TRAIN}:
        whole = _checked(fractions or fractions_for(int(audit.used.sum())))
        shares: Fractions | None = whole
        ids = np.flatnonzero(audit.used)
        origin = "only train is given, so it is divided" if present else "no split is given"
        what = "groups" if any(r.group for r in records) else "pixels"
        how = "" if rule == "threshold" else " of every class"
        notes = [
            f"{origin}: {whole.train:.4g} train, {whole.val:.4g} val, {whole.test:.4g} test{how}, by a hash of the {what}, "
            "the same for every seed"
        ]
    else:
        given[given == NONE] = TRAIN  # rows of a file whose name is not a split's
        shares = Fractions(1 - CARVED, CARVED, 0.0) if VAL not in present and TRAIN in present else None
        ids = np.flatnonzero(audit.used & (given == TRAIN)) if shares else np.empty(0, dtype=np.int64)
        notes = _notes_on_given_splits(audit, given, units)
    split = np.where(audit.used, given, NONE)
    if not shares or not len(ids):
        return Assignment(split, units, tuple(notes))
    members = _members(audit, ids, units, rule)
    if isinstance(rule, Cuts):
        split[ids] = rule.deal(members, audit.source.classes, shares)[units.index[ids]]
        return Assignment(split, units, tuple(notes), rule)
    if rule == "threshold":
        deal, found = _Deal(members, by_threshold(members, shares), shares, rule), None
    else:
        dealt, found = by_class(members, audit.source.classes, shares)
        deal = _Deal(members, dealt.copy(), shares, rule)
        changed = np.flatnonzero(deal.split != dealt)
        found = replace(found, moved={float(units.place[u]): int(deal.split[u]) for u in changed.tolist()})
    split[ids] = deal.split[units.index[ids]]
    names = (*audit.source.classes, "annotated images" if audit.source.annotations else "unlabelled")
    return Assignment(split, units, (*notes, *deal.notes(names)), found)


def _members(audit: Audit, ids: Int[np.ndarray, "m"], units: Units, rule: SplitRule | Cuts) -> Members:
    """Which classes the units of these images hold. Images without a class count as a class of their own, the last; by
    threshold all annotated ones do."""
    names = audit.source.classes
    if audit.amount is not None and rule != "threshold":
        row, label = np.nonzero(audit.amount[ids] > 0)
        bare = np.setdiff1d(np.arange(len(ids)), row)
        row, label = np.concatenate([row, bare]), np.concatenate([label, np.full(len(bare), len(names))])
        return Members.of(units.index[ids[row]], label, units.place, len(names) + 1)
    order = {name: i for i, name in enumerate(names)}
    records = audit.source.records
    label = np.array(
        [len(order) if (r := records[i]).label is None else order[r.label] for i in ids.tolist()], dtype=np.int64
    )
    return Members.of(units.index[ids], label, units.place, len(names) + 1)


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
    """A split of the units, mended so that every class is in every split that it is large enough for.

    By threshold, chance leaves small classes out: one unit trains; of two the other is test's; from three on all splits have
    one. By class, only units of several classes can leave one out. `split` (units,) is changed in place.
    """

    def __init__(self, members: Members, split: Int[np.ndarray, "u"], shares: Fractions, rule: SplitRule) -> None:
        self.members, self.split, self.shares, self.rule = members, split, shares, rule
        self.counts = np.zeros((members.classes, len(SPLITS)), dtype=np.int64)  # units of (class, split)
        np.add.at(self.counts, (members.label, split[members.unit]), 1)
        self.starts = np.searchsorted(members.unit, np.arange(len(members.place) + 1))
        self.present = np.flatnonzero(self.counts.sum(axis=1))
        self.moved: dict[int, list[int]] = {TRAIN: [], VAL: [], TEST: []}
        self.targets = [TEST] * (shares.test > 0) + [VAL] * (shares.val > 0)
        self._repair(TRAIN)
        for target in self.targets:
            self._repair(target)

    def _repair(self, target: int) -> None:
        for c in self.present[self.counts[self.present, target] == 0].tolist():
            if self.counts[c, target] or not self._large_enough(c, target):
                continue
            for unit in self._candidates(c, target):
                if self._may_give(unit):
                    self._move(unit, target)
                    self.moved[target].append(c)
                    break

    def _large_enough(self, c: int, target: int) -> bool:
        if target == TRAIN or self.rule == "threshold":
            return True
        quota = quotas(int(self.counts[c].sum()), self.shares)
        return bool(quota.test if target == TEST else quota.val)

    def _candidates(self, c: int, target: int) -> Int[np.ndarray, "v"]:
        """Units of a class that could go to `target`, best first: the highest place to train, the lowest to test; to val
        the lowest of train (by class: the highest), and after these the highest of test."""
        units = self.members.unit[self.members.label == c]
        units = units[np.argsort(self.members.place[units], kind="stable")]
        if target == TRAIN:
            return units[::-1]
        if target == TEST:
            return units
        own = self.split[units]
        train = units[own == TRAIN] if self.rule == "threshold" else units[own == TRAIN][::-1]
        return np.concatenate([train, units[own == TEST][::-1]])

    def _may_give(self, unit: int) -> bool:
        """Whether the unit may leave its split: not if it is the last of any of its classes in train or test, unless a class is
        missing from train."""
        source = self.split[unit]
        if source == VAL:
            return True
        classes = self._classes(unit)
        if source == TEST and not self.counts[classes, TRAIN].all():
            return True
        return bool((self.counts[classes, source] > 1).all())

    def _classes(self, unit: int) -> Int[np.ndarray, "v"]:
        return self.members.label[self.starts[unit] : self.starts[unit + 1]]

    def _move(self, unit: int, target: int) -> None:
        classes = self._classes(unit)
        self.counts[classes, self.split[unit]] -= 1
        self.counts[classes, target] += 1
        self.split[unit] = target

    def notes(self, names: Sequence[str]) -> list[str]:
        """Which classes needed a move, and which stay without test or validation images."""
        why = (
            "the hash put none of these classes"
            if self.rule == "threshold"
            else "the classes beside them put none of these"
        )
        notes = [
            f"{why} into {SPLITS[target]}, so it gets one unit of each: {_list_some(classes, names)}"
            for target, classes in self.moved.items()
            if classes
        ]
        for target in self.targets:
            if lacking := [int(c) for c in self.present if not self.counts[c, target]]:
                notes.append(f"classes too small for an image in {SPLITS[target]}: {_list_some(lacking, names)}")
        return notes


def _list_some(classes: Sequence[int], names: Sequence[str]) -> str:
    rest = f" and {len(classes) - 5} more" if len(classes) > 5 else ""
    return ", ".join(printable(names[c]) for c in classes[:5]) + rest
