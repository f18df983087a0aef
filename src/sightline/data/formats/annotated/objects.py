"""Objects as a file gives them, made fit for their image: clipped, freed of what lies outside, turned upright.

Done the same way for the audit, which names what is wrong, and for every reading afterwards. What is wrong with a box or
an outline costs that object; an annotation made for an image of another size costs the image.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple, final

import numpy as np
from jaxtyping import Float

from sightline.data.records.annotations import Annotations, Look, Objects, Question
from sightline.data.records.records import QUARANTINED, Contents, Problem, Record
from sightline.data.records.upright import Stored, stored, upright_boxes
from sightline.errors import DataError
from sightline.storage.text import shown

DROPPED = "dropped"  # the action of a problem that takes one object out of use, not its image
CLIPPED = "clipped"
GRAZING = 1.0  # a box may leave its image by so many pixels and be clipped without a row of its own


class Drawn(NamedTuple):
    """The objects of one image as its file counts pixels, and the (height, width) that the file says the image has; None
    where it does not say."""

    objects: Objects
    size: tuple[int, int] | None


class Settled(NamedTuple):
    """What remains once the image's size is known; None where the annotation is of another image."""

    objects: Objects | None
    problems: tuple[Problem, ...] = ()
    grazing: int = 0


@final
@dataclass(frozen=True, eq=False)
class DrawnObjects(Annotations):
    """`drawn[id]` for each record; `question` is "instances" where every object has an outline."""

    question: Question
    contents: Contents
    drawn: Sequence[Drawn]
    classes: int

    unit = "objects"

    def truth(self, record: Record) -> Objects:
        objects = settle(self.drawn[record.id], stored(self.contents.load(record)), record).objects
        if objects is None:
            raise DataError(f"{shown(record.name)} has changed since the audit", "start again")
        return objects

    def inspect(
        self, records: Sequence[Record], sizes: Sequence[Stored], *, workers: int, cache_dir: Path | None
    ) -> list[Look]:
        return [self._look(record, size) for record, size in zip(records, sizes, strict=True)]

    def _look(self, record: Record, size: Stored) -> Look:
        objects, problems, grazing = settle(self.drawn[record.id], size, record)
        if objects is None:
            return Look("", np.zeros(self.classes, dtype=np.int64), problems)
        amount = np.bincount(objects.label[~objects.ignore], minlength=self.classes)
        return Look(objects.digest(), amount, problems, grazing)


def settle(drawn: Drawn, size: Stored, record: Record) -> Settled:
    """The objects in the oriented pixels of the image that lies in its file as `size` says."""
    objects, told, name = drawn.objects, drawn.size, shown(record.name)
    if told is None or told == size.oriented:
        orientation, (height, width) = 1, size.oriented
    elif told == size.size:
        orientation, (height, width) = size.orientation, size.size
    else:
        reason = (
            f"size-mismatch: annotated as {told[1]} x {told[0]} pixels, the image has "
            f"{size.oriented[1]} x {size.oriented[0]}"
        )
        fix = "annotate this very image, or scale the annotation with it"
        return Settled(None, (Problem(name, None, reason, fix, QUARANTINED, record.id),))
    boxes = np.clip(objects.boxes, 0, np.array([width, height, width, height], dtype=np.float64))
    over = np.abs(boxes - objects.boxes).max(axis=1, initial=0)
    keep = (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
    problems = []
    for row in np.flatnonzero((over > GRAZING) | ~keep).tolist():
        text = f"of the box {_box(objects.boxes[row])} the image of {width} x {height} holds"
        code, action = ("out-of-frame", CLIPPED) if keep[row] else ("outside", DROPPED)
        reason = f"{code}: {text} {'a part' if keep[row] else 'nothing'}"
        problems.append(object_problem(objects.where[row], reason, "correct the box", name, action, record.id))
    for row, outline in enumerate(objects.outline):
        if keep[row] and (fault := outline.fault(height, width)):
            keep[row] = False
            reason, fix = f"bad-outline: {fault}", "export the outlines again"
            problems.append(object_problem(objects.where[row], reason, fix, name, DROPPED, record.id))
    turned = upright_boxes(boxes, height, width, orientation)
    settled = replace(objects, boxes=turned, orientation=orientation).take(keep)
    return Settled(settled, tuple(problems), int((keep & (over > 0) & (over <= GRAZING)).sum()))


def box_fault(box: Sequence[float]) -> str:
    """What is wrong with an xyxy box whatever its image; "" where nothing is."""
    left, top, right, bottom = box
    if not all(map(math.isfinite, box)):
        return f"not-a-number: the box {_box(box)}"
    if right < left or bottom < top:
        return f"inverted: the box {_box(box)} ends before it begins"
    if right == left or bottom == top:
        return f"zero-area: the box {_box(box)}"
    return ""


def object_problem(
    where: tuple[str, int], reason: str, fix: str, image: str, action: str = DROPPED, id: int | None = None
) -> Problem:
    """A problem with one object of `image`: in a JSON file by the annotation's id, else by line."""
    file, place = where
    if not file.lower().endswith(".json"):
        return Problem(file, place, reason, fix, action, id)
    code, _, text = reason.partition(": ")
    return Problem(file, None, f"{code}: annotation {place} of {image}: {text}", fix, action, id)


def gathered(
    boxes: Sequence[Sequence[float]],
    label: Sequence[int],
    ignore: Sequence[bool],
    where: Sequence[tuple[str, int]],
) -> Objects:
    """Objects from plain lists, boxes only."""
    corners = np.array(boxes, dtype=np.float64).reshape(-1, 4)  # (n, 4), also for none
    return Objects(corners, np.array(label, dtype=np.int64), np.array(ignore, dtype=bool), tuple(where))


def _box(box: Sequence[float] | Float[np.ndarray, "4"]) -> str:
    return "(" + ", ".join(f"{value:.6g}" for value in box) + ")"
