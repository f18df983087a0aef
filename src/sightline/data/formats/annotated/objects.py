"""Objects from an annotation file, adapted to their image: clipped, dropped if they lie outside, rotated upright.

The audit, which reports problems, and every later reading use the same code. An object whose box or outline is faulty is
still to be seen in the image: it becomes an ignored region, neither object nor background. One that lies outside the image
is dropped; an annotation for an image of another size takes the image out of use.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple, final

import numpy as np
from jaxtyping import Float

from sightline.data.records.annotations import UNDECIDED, Annotations, Inspection, Knowledge, Objects
from sightline.data.records.outlines import Block, Outline, drawable
from sightline.data.records.records import (
    CLIPPED,
    DROPPED,
    IGNORED,
    QUARANTINED,
    REPAIRED,
    Contents,
    Problem,
    Record,
)
from sightline.data.records.upright import Frame, Stored, frame_of, stored, upright_boxes
from sightline.errors import DataError
from sightline.storage.text import printable

from .units import SMALL, Box, refuse_corners, remark_on

MOST_UNKNOWN = 5_000_000  # rows of objects that may be of any class, a row for each class
GRAZING = 1.0  # a box up to so many pixels outside its image is clipped without a problem of its own
OF_UPRIGHT = "EXIF rotates images whose boxes are shares of the image: of the upright one, as YOLO's programs read them"
UNKNOWN = (math.nan,) * 4  # the box of an object that may be anywhere in its image


class Marked(NamedTuple):
    """One object as its file has it. `label` is None if its class is unknown: it may be any; `box` (xyxy) None if its place
    is: it may be anywhere. Both are then to `ignore`, since the object can be seen and is no background."""

    label: int | None
    box: Box | None
    ignore: bool
    where: tuple[str, int]
    outline: Outline | None = None


class AnnotatedImage(NamedTuple):
    """The objects of one image in the pixels of the annotation file, and the image's (height, width) according to that file;
    None if it does not say. `shares`: their coordinates are shares of the upright image instead."""

    objects: Objects
    size: tuple[int, int] | None
    shares: bool = False


class ImageObjects(NamedTuple):
    """The objects in the pixels of their image; None if the annotation is for an image of another size. `grazing` counts
    the boxes clipped by up to `GRAZING` pixels."""

    objects: Objects | None
    problems: tuple[Problem, ...] = ()
    grazing: int = 0


@final
@dataclass(frozen=True, eq=False)
class ObjectAnnotations(Annotations):
    """`images[id]` for each record; `knows` is "outlines" if every object has one; `sides`: the boxes of `name` were written
    as corner and sides."""

    knows: Knowledge
    contents: Contents
    images: Sequence[AnnotatedImage]
    classes: int
    name: str = "the annotations"
    sides: bool = False

    unit = "objects"

    def truth(self, record: Record) -> Objects:
        objects = clip_and_orient(self.images[record.id], stored(self.contents.load(record)), record).objects
        if objects is None:
            raise DataError(f"{printable(record.name)} has changed since the audit", "start again")
        return objects

    def inspect(
        self, records: Sequence[Record], sizes: Sequence[Stored], *, workers: int, cache_dir: Path | None
    ) -> list[Inspection]:
        remark = self._remark_on_units(records, sizes)
        return [self._inspect(record, size, remark) for record, size in zip(records, sizes, strict=True)]

    def _remark_on_units(self, records: Sequence[Record], sizes: Sequence[Stored]) -> str:
        """Raises DataError if the boxes of the whole set are not what they should be."""
        boxes, size = [np.zeros((0, 4))], [np.zeros((0, 2))]
        for record, stored_as in zip(records, sizes, strict=True):
            annotated = self.images[record.id]
            frame = _frame(annotated, stored_as)
            if frame is not None:
                real = _in_pixels(annotated, frame).boxes[~annotated.objects.ignore]
                boxes.append(real)
                size.append(np.tile((float(frame.height), float(frame.width)), (len(real), 1)))
        all_boxes, all_sizes = np.concatenate(boxes), np.concatenate(size)
        if self.sides:
            refuse_corners(self.name, all_boxes, all_sizes)
        return remark_on(all_boxes, all_sizes, sum(len(each) > 0 for each in boxes))

    def _inspect(self, record: Record, size: Stored, remark: str) -> Inspection:
        annotated = self.images[record.id]
        objects, problems, grazing = clip_and_orient(annotated, size, record)
        if objects is None:
            return Inspection("", np.zeros(self.classes, dtype=np.int64), problems)
        amount = np.bincount(objects.label[~objects.ignore], minlength=self.classes)
        remarks = [remark] if remark == SMALL or (remark and any("out" in p.reason[:3] for p in problems)) else []
        frame = _frame(annotated, size)
        if frame is not None and frame.undecided and len(annotated.objects):
            remarks.append(OF_UPRIGHT if annotated.shares else UNDECIDED)
        return Inspection(objects.digest(), amount, problems, grazing, tuple(remarks))


def clip_and_orient(annotated: AnnotatedImage, size: Stored, record: Record) -> ImageObjects:
    """The objects in the upright pixels of an image that is stored as `size` says (`upright` has the rule).

    An outline that cannot be drawn makes its object an ignored region; of several rings the drawable ones stay.
    """
    name = printable(record.name)
    frame = _frame(annotated, size)
    if frame is None:
        stated = annotated.size or (0, 0)
        reason = (
            f"size-mismatch: annotated as {stated[1]} x {stated[0]} pixels, the image has "
            f"{size.oriented[1]} x {size.oriented[0]}"
        )
        fix = "annotate this image, or rescale its annotation"
        return ImageObjects(None, (Problem(name, None, reason, fix, QUARANTINED, record.id),))
    objects = _in_pixels(annotated, frame)
    height, width = frame.height, frame.width
    whole = np.array([0, 0, width, height], dtype=np.float64)
    stated_boxes = np.where(np.isnan(objects.boxes).any(axis=1, keepdims=True), whole, objects.boxes)
    boxes = np.clip(stated_boxes, 0, whole[[2, 3, 2, 3]])
    over = np.abs(boxes - stated_boxes).max(axis=1, initial=0)
    keep = (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
    problems = []
    for row in np.flatnonzero((over > GRAZING) | ~keep).tolist():
        code, action = ("out-of-frame", CLIPPED) if keep[row] else ("outside", DROPPED)
        where = "partly outside" if keep[row] else "outside"
        reason = f"{code}: the box {_box(objects.boxes[row])} lies {where} the image of {width} x {height}"
        problems.append(object_problem(objects.where[row], reason, "correct the box", name, action, record.id))
    outlines, ignore = list(objects.outline), objects.ignore.copy()
    for row, outline in enumerate(objects.outline):
        if not keep[row]:
            continue
        drawn, fault = drawable(outline, height, width)
        if fault:
            action, fix = (IGNORED if drawn is None else REPAIRED), "export the outlines again"
            problems.append(object_problem(objects.where[row], f"bad-outline: {fault}", fix, name, action, record.id))
        ignore[row] |= drawn is None
        outlines[row] = Block(boxes[row]) if drawn is None or isinstance(drawn, Block) else drawn
    turned = upright_boxes(boxes, height, width, frame.orientation)
    upright = replace(
        objects, boxes=turned, ignore=ignore, outline=tuple(outlines), orientation=frame.orientation
    ).take(keep)
    return ImageObjects(upright, tuple(problems), int((keep & (over > 0) & (over <= GRAZING)).sum()))


def _in_pixels(annotated: AnnotatedImage, frame: Frame) -> Objects:
    """The objects in the pixels of the frame."""
    objects, scale = annotated.objects, np.array((frame.width, frame.height), dtype=np.float64)
    if not annotated.shares:
        return objects
    outlines = tuple(outline.scaled(scale) for outline in objects.outline)
    return replace(objects, boxes=objects.boxes * np.tile(scale, 2), outline=outlines)


def _frame(annotated: AnnotatedImage, size: Stored) -> Frame | None:
    if annotated.shares:
        return Frame(*size.oriented, 1, size.orientation > 1)
    real = annotated.objects.boxes[~annotated.objects.ignore]
    right, bottom = real[:, 2:].max(axis=0, initial=0)
    return frame_of(annotated.size, size, (float(bottom), float(right)))


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


def place_of(box: Sequence[float]) -> Box | None:
    """Where an object with a faulty box is, for an ignored region: its corners put in order, and at least a pixel wide; None
    if it may be anywhere.

    (5, 1, 2, 4) ends before it begins: (2, 1, 5, 4). (5, 1, 5, 4) is a line: (4.5, 1, 5.5, 4).
    """
    if not all(map(math.isfinite, box)):
        return None
    (left, right), (top, bottom) = sorted((box[0], box[2])), sorted((box[1], box[3]))
    x, y = (0.5 if left == right else 0.0), (0.5 if top == bottom else 0.0)
    return left - x, top - y, right + x, bottom + y


def refuse_unknown(file: str, unknown: int, classes: int) -> None:
    """DataError for more objects of unknown class than can be ignored in every one of so many classes."""
    if unknown * classes > MOST_UNKNOWN:
        raise DataError(
            f"{file}: {unknown:,} objects have no class that is known, and there are {classes:,} classes",
            "correct their classes, or the list of classes",
        )


def objects_of(marked: Sequence[Marked], classes: int, *, outlines: bool = False) -> Objects:
    """The objects of one image. One of unknown class is ignored in every class. With `outlines`, what lacks one has all of
    its box."""
    rows = [(label, m) for m in marked for label in (range(classes) if m.label is None else (m.label,))]
    boxes = np.array([m.box or UNKNOWN for _, m in rows], dtype=np.float64).reshape(-1, 4)  # (n, 4), also for n = 0
    return Objects(
        boxes,
        np.array([label for label, _ in rows], dtype=np.int64),
        np.array([m.ignore for _, m in rows], dtype=bool),
        tuple(m.where for _, m in rows),
        tuple(m.outline or Block(box) for (_, m), box in zip(rows, boxes, strict=True)) if outlines else (),
    )


def _box(box: Sequence[float] | Float[np.ndarray, "4"]) -> str:
    return "(" + ", ".join(f"{value:.6g}" for value in box) + ")"
