"""The rows of YOLO's label files: class, then x and y of the centre, width and height, or the corners of an outline, all as
shares of the image.

A sixth number beside a box is a confidence: such files are predictions, and it is not used. A row that cannot be read marks
something in the image all the same: its place is ignored.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from sightline.data.files.encodings import read_text
from sightline.data.files.values import describe, number, whole
from sightline.data.records.outlines import Rings
from sightline.data.records.records import DROPPED, IGNORED, Problem
from sightline.errors import DataError

from ..objects import box_fault, object_problem, place_of
from ..units import SLACK
from .assembly import Finds, Mark, without_repeats

BYTES, ROWS = 16 << 20, 100_000  # of one image
BOX = 5
_REPAIR = "correct the row, or remove it"


class Rows(NamedTuple):
    """How the rows are read: the names of the classes (None: their numbers), and how many numbers of keypoints follow a box."""

    names: Sequence[str] | None
    keypoints: int = 0


def read_rows(path: Path, file: str, image: str, rows: Rows, finds: Finds) -> tuple[Mark, ...]:
    """The marks of one file; problems go to `finds`. Raises DataError if the file cannot be read at all."""
    try:
        if path.stat().st_size > BYTES:
            raise DataError(f"{file} is larger than {BYTES >> 20} MiB", "write one row an object")
    except OSError as error:
        raise DataError(f"{file} cannot be read: {(error.strerror or str(error)).lower()}") from error
    text, note = read_text(path)
    if note:
        finds.skip(f"encodings assumed, since a file {note}")
    lines = text.splitlines()
    if len(lines) > ROWS:
        raise DataError(f"{file} has {len(lines):,} rows; at most {ROWS:,} are read", "check the file")
    marks = []
    for line, written in enumerate(lines, 1):
        if cells := written.split():
            reader = _RowReader(cells, (file, line), image, finds)
            marks.append(reader.read(rows))
    kept, repeated = without_repeats(marks)
    for mark in repeated:
        reason = "repeated: the row occurs already"
        finds.problems.append(object_problem(mark.where, reason, "remove one of the rows", image, DROPPED))
    return tuple(kept)


class _RowReader:
    """One row while it is read."""

    def __init__(self, cells: Sequence[str], where: tuple[str, int], image: str, finds: Finds) -> None:
        self.cells, self.where, self.image, self.finds = cells, where, image, finds
        self.unusable = False

    def _fault(self, reason: str) -> None:
        self.unusable = True
        self.finds.problems.append(object_problem(self.where, reason, _REPAIR, self.image, IGNORED))

    def read(self, rows: Rows) -> Mark:
        name = self._name(rows.names)
        numbers = [number(cell) for cell in self.cells[1:]]
        if rows.keypoints and len(numbers) == BOX - 1 + rows.keypoints:
            self.finds.skip("keypoints")
            numbers = numbers[: BOX - 1]
        if len(numbers) == BOX:
            self.finds.skip("confidence")
            numbers = numbers[: BOX - 1]
        box, outline = self._box(numbers) if len(numbers) < BOX else self._outline(numbers)
        return Mark(name, box, self.where, None if self.unusable else outline, unusable=self.unusable)

    def _name(self, names: Sequence[str] | None) -> str | None:
        index = whole(self.cells[0])
        if index is None or index < 0:
            self._fault(f"unknown-class: {describe(self.cells[0])} is not the number of a class")
        elif names is None:
            return str(index)
        elif index >= len(names):
            self._fault(f"unknown-class: {index}, of classes numbered 0 to {len(names) - 1}")
        else:
            return names[index]
        return None

    def _box(self, numbers: Sequence[float]) -> tuple[tuple[float, float, float, float] | None, None]:
        if len(numbers) < BOX - 1:
            self._fault(f"short-row: {len(self.cells)} numbers, where a box has {BOX}")
            return None, None
        x, y, width, height = numbers
        box = (x - width / 2, y - height / 2, x + width / 2, y + height / 2)
        if all(map(math.isfinite, numbers)) and not _are_shares(numbers):
            self._fault(f"no-share: {_shown(numbers)}, where shares of the image are needed")
            return None, None
        if fault := box_fault(box):
            self._fault(fault)
            return place_of(box) if width and height else None, None
        return box, None

    def _outline(self, numbers: Sequence[float]) -> tuple[tuple[float, float, float, float] | None, Rings | None]:
        if len(numbers) % 2 or len(numbers) < 6:
            self._fault(f"bad-outline: {len(numbers)} coordinates instead of at least three pairs")
            return None, None
        if not all(map(math.isfinite, numbers)):
            self._fault("not-a-number: a coordinate of the outline")
            return None, None
        if not _are_shares(numbers):
            self._fault(f"no-share: {_shown(numbers)}, where shares of the image are needed")
            return None, None
        ring = np.array(numbers, dtype=np.float64).reshape(-1, 2)  # (2k,) → (k, 2)
        (left, top), (right, bottom) = ring.min(axis=0).tolist(), ring.max(axis=0).tolist()
        if fault := box_fault((left, top, right, bottom)):
            self._fault(fault)
            return None, None
        return (left, top, right, bottom), Rings((ring,))


def _are_shares(numbers: Sequence[float]) -> bool:
    return all(abs(value) <= 1 + SLACK for value in numbers)


def _shown(numbers: Sequence[float]) -> str:
    return ", ".join(f"{value:.6g}" for value in numbers[:4]) + (" …" if len(numbers) > 4 else "")


def unreadable(error: DataError, file: str) -> Problem:
    """The problem of an image whose file of annotations cannot be read."""
    head, _, why = error.message.partition(": ")
    words = head.split()
    line = int(words[-1]) if len(words) > 1 and words[-2] == "line" and words[-1].isdigit() else None
    return Problem(file, line, f"bad-labels: {why if line else error.message}", error.hint or "export the labels again")
