"""Objects from an annotation file, adapted to their image: clipped, dropped if they lie outside, rotated upright.

The audit, which reports problems, and every later reading use the same code. A fault in a box or an outline drops that
object; an annotation for an image of another size takes the image out of use.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple, final

import numpy as np
from jaxtyping import Float

from sightline.data.records.annotations import Annotations, Inspection, Knowledge, Objects
from sightline.data.records.records import QUARANTINED, Contents, Problem, Record
from sightline.data.records.upright import Stored, stored, upright_boxes
from sightline.errors import DataError
from sightline.storage.text import printable

DROPPED = "dropped"  # the action of a problem whose object is dropped while the image stays in use
CLIPPED = "clipped"
GRAZING = 1.0  # a box up to so many pixels outside its image is clipped without a problem of its own


class AnnotatedImage(NamedTuple):
    """The objects of one image in the pixels of the annotation file, and the image's (height, width) according to that file;
    None if it does not say."""

    objects: Objects
    size: tuple[int, int] | None


class ImageObjects(NamedTuple):
    """The objects in the pixels of their image; None if the annotation is for an image of another size. `grazing` counts
    the boxes clipped by up to `GRAZING` pixels."""

    objects: Objects | None
    problems: tuple[Problem, ...] = ()
    grazing: int = 0


@final
@dataclass(frozen=True, eq=False)
class ObjectAnnotations(Annotations):
    """`images[id]` for each record; `knows` is "outlines" if every object has one."""

    knows: Knowledge
    contents: Contents
    images: Sequence[AnnotatedImage]
    classes: int

    unit = "objects"

    def truth(self, record: Record) -> Objects:
        objects = clip_and_orient(self.images[record.id], stored(self.contents.load(record)), record).objects
        if objects is None:
            raise DataError(f"{printable(record.name)} has changed since the audit", "start again")
        return objects

    def inspect(
        self, records: Sequence[Record], sizes: Sequence[Stored], *, workers: int, cache_dir: Path | None
    ) -> list[Inspection]:
        return [self._inspect(record, size) for record, size in zip(records, sizes, strict=True)]

    def _inspect(self, record: Record, size: Stored) -> Inspection:
        objects, problems, grazing = clip_and_orient(self.images[record.id], size, record)
        if objects is None:
            return Inspection("", np.zeros(self.classes, dtype=np.int64), problems)
        amount = np.bincount(objects.label[~objects.ignore], minlength=self.classes)
        return Inspection(objects.digest(), amount, problems, grazing)


def clip_and_orient(annotated: AnnotatedImage, size: Stored, record: Record) -> ImageObjects:
    """The objects in the upright pixels of an image that is stored as `size` says.

    An image is stored 100 high and 200 wide with orientation 6, so upright it is 200 high and 100 wide. A file that states
    height 200 and width 100 counts upright pixels: boxes stay. One that states 100 and 200 counts stored pixels: boxes are
    rotated.
    """
    objects, size_stated, name = annotated.objects, annotated.size, printable(record.name)
    if size_stated is None or size_stated == size.oriented:
        orientation, (height, width) = 1, size.oriented
    elif size_stated == size.size:
        orientation, (height, width) = size.orientation, size.size
    else:
        reason = (
            f"size-mismatch: annotated as {size_stated[1]} x {size_stated[0]} pixels, the image has "
            f"{size.oriented[1]} x {size.oriented[0]}"
        )
        fix = "annotate this image, or rescale its annotation"
        return ImageObjects(None, (Problem(name, None, reason, fix, QUARANTINED, record.id),))
    boxes = np.clip(objects.boxes, 0, np.array([width, height, width, height], dtype=np.float64))
    over = np.abs(boxes - objects.boxes).max(axis=1, initial=0)
    keep = (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
    problems = []
    for row in np.flatnonzero((over > GRAZING) | ~keep).tolist():
        code, action = ("out-of-frame", CLIPPED) if keep[row] else ("outside", DROPPED)
        where = "partly outside" if keep[row] else "outside"
        reason = f"{code}: the box {_box(objects.boxes[row])} lies {where} the image of {width} x {height}"
        problems.append(object_problem(objects.where[row], reason, "correct the box", name, action, record.id))
    for row, outline in enumerate(objects.outline):
        if keep[row] and (fault := outline.fault(height, width)):
            keep[row] = False
            reason, fix = f"bad-outline: {fault}", "export the outlines again"
            problems.append(object_problem(objects.where[row], reason, fix, name, DROPPED, record.id))
    turned = upright_boxes(boxes, height, width, orientation)
    upright = replace(objects, boxes=turned, orientation=orientation).take(keep)
    return ImageObjects(upright, tuple(problems), int((keep & (over > 0) & (over <= GRAZING)).sum()))


def box_fault(box: Sequence[float]) -> str:
    """What is wrong with an xyxy box, whatever its image; "" if nothing."""
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
    """A problem with one object of `image`, located by the id of the annotation in a JSON file, else by line."""
    file, place = where
    if not file.lower().endswith(".json"):
        return Problem(file, place, reason, fix, action, id)
    code, _, text = reason.partition(": ")
    return Problem(file, None, f"{code}: annotation {place} of {image}: {text}", fix, action, id)


def objects_from_lists(
    boxes: Sequence[Sequence[float]],
    label: Sequence[int],
    ignore: Sequence[bool],
    where: Sequence[tuple[str, int]],
) -> Objects:
    """Objects from plain lists, boxes only."""
    corners = np.array(boxes, dtype=np.float64).reshape(-1, 4)  # (n, 4), also for n = 0
    return Objects(corners, np.array(label, dtype=np.int64), np.array(ignore, dtype=bool), tuple(where))


def _box(box: Sequence[float] | Float[np.ndarray, "4"]) -> str:
    return "(" + ", ".join(f"{value:.6g}" for value in box) + ")"
