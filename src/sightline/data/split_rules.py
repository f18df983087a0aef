"""Which units go to train, val and test: the rule of today (class by class) and that of earlier runs (by threshold).

A unit is an image with its exact copies, or a group; it never lies in two splits. Its place in [0, 1) is a hash of its own
content, so neither rule knows a seed, a file name or an order of files.

**By class.** Units are dealt class by class, the rarest first. Those of a class lie in a line, by place, and the line is cut
twice: the lowest are test, the highest val, what lies between trains. `quotas` says how many for a class of n units.

A unit with several classes (an annotated image, a group, copies that are labelled differently) is dealt with the rarest of
them, and counts for all: a commoner class then gets only what it still lacks. This is the iterative stratification of
Sechidis, Tsoumakas and Vlahavas 2011 ("On the stratification of multi-label data"), with places for random draws. Rarity is
counted in powers of two, ties go by the order of the classes, so that one image more seldom changes the order.

What moves when one unit is added to a class of n: a cut stays, or passes over one unit. `quotas` never lets test and val grow
at the same n, so nothing moves besides the new unit, or one other, but for one case: the new unit lies on the test side while
it is val that must grow, or the reverse. Then both cuts pass over one, in 2 · 0.15 · 0.15 = 4.5 % of all additions. No rule by
the order of places alone can avoid it. Let w be the word of splits along the line for n + 1 units; removing any one letter
must give the word for n with at most one letter replaced. The removed letter may be a test's, a val's or a train's, and only
one of these leaves the counts of n, so its letters must form one run, with one run of each other on either side. So the split
that grows would have to lie in the middle each time, and each of the three has to grow.

**By threshold.** Place below the test's share: test; below test + val: val; else train. Adding an image moves no other, but
the shares are those of a lottery: 60 images of a class gave 37 to 47 for training.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from sightline.data.records.names import SPLITS

TRAIN, VAL, TEST = 0, 1, 2


class Fractions(NamedTuple):
    """Shares of the images; they sum to one."""

    train: float
    val: float
    test: float


class Quotas(NamedTuple):
    """Units of a class for test and for val; the others train."""

    test: int
    val: int


def quotas(n: int, shares: Fractions) -> Quotas:
    """How many of n units of a class are for test and for val: each split within one unit of its share of n.

    h = floor(share of test and val · n + 0.8) are held out, at least one of two units, never all. Of these
    floor(q·h + slack) are for test, where q is test's share of what is held out. So both grow with n, by one at most, and
    never at once. For 0.7, 0.15, 0.15:

        n        1  2  3  4  5  6  7  8  9 10 11 12
        train    1  1  2  2  3  4  5  5  6  7  7  8
        val      0  0  0  1  1  1  1  1  1  1  2  2
        test     0  1  1  1  1  1  1  2  2  2  2  2

    Where more than 60 % are held out, the one unit that always trains may cost another split more.
    """
    test, val = Fraction(str(float(shares.test))), Fraction(str(float(shares.val)))  # exact: 0.15 is 3/20
    held = test + val
    if not held or n < 2:
        return Quotas(0, 0)
    out = min(max(math.floor(held * n + Fraction(4, 5)), 1), n - 1)
    q = test / held
    # held·n lies in [out - 0.8, out + 0.2). So test and val are both within one of their shares where test's part exceeds
    # q·out by no more than min(1 - 0.8q, 0.8 + 0.2q) and no less than -min(1 - 0.2q, 0.2 + 0.8q): an interval longer than one.
    own = math.floor(q * out + min(1 - 4 * q / 5, Fraction(4, 5) + q / 5))
    return Quotas(own, out - own)


@dataclass(frozen=True)
class Members:
    """Which classes the units hold: `unit` (p,) and `label` (p,), each pair once, by unit; `place` (units,); `classes`, how
    many there could be."""

    unit: Int[np.ndarray, "p"]
    label: Int[np.ndarray, "p"]
    place: Float[np.ndarray, "u"]
    classes: int

    @classmethod
    def of(
        cls, unit: Int[np.ndarray, "m"], label: Int[np.ndarray, "m"], place: Float[np.ndarray, "u"], classes: int
    ) -> Members:
        """From one (unit, label) for each image or occurrence, in any order."""
        pairs = np.unique(unit * classes + label)
        return cls(pairs // classes, pairs % classes, place, classes)

    def sizes(self) -> Int[np.ndarray, "k"]:
        """Units of each class."""
        return np.bincount(self.label, minlength=self.classes)

    def by_class(self) -> Iterator[tuple[int, Int[np.ndarray, "v"]]]:
        """Each class that occurs and its units by place; the rarest first, in powers of two, then in the order of classes."""
        along = np.lexsort((self.place[self.unit], self.label))
        starts = np.searchsorted(self.label[along], np.arange(self.classes + 1))
        sizes = self.sizes()
        present = np.flatnonzero(sizes)
        rarity = np.frexp(sizes[present])[1]
        for c in present[np.argsort(rarity, kind="stable")].tolist():
            yield c, self.unit[along[starts[c] : starts[c + 1]]]


@dataclass(frozen=True)
class Cuts:
    """Where the lines were cut: for each class in the order of dealing (its name, None for images without one; test below;
    val from here on), and the split of units that were moved afterwards, by place. With these a run splits its data, grown
    since, without moving an image between train and test."""

    lines: tuple[tuple[str | None, float, float], ...]
    moved: dict[float, int]

    def deal(self, members: Members, names: Sequence[str], shares: Fractions) -> Int[np.ndarray, "u"]:
        """The split of every unit. Classes that are new here are cut at the shares."""
        rows = {name: row for row, (name, _, _) in enumerate(self.lines)}
        rank = np.array([rows.get(name, len(rows)) for name in (*names, None)], dtype=np.int64)
        line = np.full(len(members.place), len(rows), dtype=np.int64)
        np.minimum.at(line, members.unit, rank[members.label])
        ends = np.array([*((low, high) for _, low, high in self.lines), (shares.test, 1 - shares.val)])[
            line
        ]  # (units, 2)
        split = np.where(members.place < ends[:, 0], TEST, np.where(members.place >= ends[:, 1], VAL, TRAIN))
        for unit in np.flatnonzero(np.isin(members.place, list(self.moved))).tolist():
            split[unit] = self.moved[float(members.place[unit])]
        return split

    def to_json(self) -> dict[str, Any]:
        moved = [[place, SPLITS[split]] for place, split in self.moved.items()]
        return {"lines": [list(line) for line in self.lines], "moved": moved}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Cuts:
        """The cuts that `to_json` wrote. Raises ValueError, KeyError or TypeError where they are something else."""
        lines = tuple((name, float(low), float(high)) for name, low, high in value["lines"])
        return cls(lines, {float(place): SPLITS.index(split) for place, split in value["moved"]})


def by_class(members: Members, names: Sequence[str], shares: Fractions) -> tuple[Int[np.ndarray, "u"], Cuts]:
    """The split of every unit, and where the lines were cut."""
    split = np.full(len(members.place), -1, dtype=np.int64)
    lines = []
    for c, units in members.by_class():
        dealt = np.bincount(split[units][split[units] >= 0], minlength=3)
        own = units[split[units] < 0]
        if not len(own):
            continue
        quota = quotas(len(units), shares)
        room = len(own) - (not dealt[TRAIN])  # one trains
        test = min(max(quota.test - int(dealt[TEST]), 0), room)
        val = min(max(quota.val - int(dealt[VAL]), 0), room - test)
        split[own] = TRAIN
        split[own[:test]] = TEST
        split[own[len(own) - val :]] = VAL
        places = members.place[own]
        # without a cut, a new image at that end of the line trains
        low = 0.0 if not test else float(places[test]) if test < len(own) else 1.0
        lines.append((names[c] if c < len(names) else None, low, float(places[-val]) if val else 1.0))
    return split, Cuts(tuple(lines), {})


def by_threshold(members: Members, shares: Fractions) -> Int[np.ndarray, "u"]:
    """The split of every unit by its place alone."""
    val = np.where(members.place < shares.test + shares.val, VAL, TRAIN)
    return np.where(members.place < shares.test, TEST, val)
