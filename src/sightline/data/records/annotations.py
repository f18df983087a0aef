"""Annotations beyond one class per image: objects, a class for every pixel, several labels, or numbers.

The readers (`coco`, `voc`, `masks`, `answers`) create them; `Annotations` returns them in the pixels of the oriented image. A
faulty object is dropped alone and reported by file and line or annotation id.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, NamedTuple, final

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

from sightline.structures.targets import IGNORE

from .outlines import Outline
from .records import Problem, Record
from .upright import Stored, upright

Knowledge = Literal["masks", "boxes", "outlines", "tags", "numbers", "columns", "texts"]
Mask = UInt8[np.ndarray, "h w"]
Answers = Float[np.ndarray, "k"]


@dataclass(frozen=True, eq=False)
class Objects:
    """The objects of one image in its oriented pixels.

    boxes         (n, 4) xyxy, half-open
    label         (n,) class indices
    ignore        (n,) crowds and difficult objects
    where         the file and the line or annotation id of each
    outline       one an object, in the pixels of the annotation; () if only boxes are known
    orientation   (EXIF) turns the outlines upright
    """

    boxes: Float[np.ndarray, "n 4"]
    label: Int[np.ndarray, "n"]
    ignore: Bool[np.ndarray, "n"]
    where: tuple[tuple[str, int], ...]
    outline: tuple[Outline, ...] = ()
    orientation: int = 1

    def __len__(self) -> int:
        return len(self.label)

    def masks(self, height: int, width: int) -> Bool[np.ndarray, "n h w"]:
        """The pixels of every object in the oriented image of this size. Raises ValueError if only boxes are known or
        an outline belongs to an image of another size."""
        if len(self.outline) != len(self):
            raise ValueError("these objects have boxes only")
        high, wide = (width, height) if self.orientation >= 5 else (height, width)
        out = np.zeros((len(self), height, width), dtype=bool)
        for row, outline in zip(out, self.outline, strict=True):
            row[:] = upright(outline.mask(high, wide).view(np.uint8), self.orientation)
        return out

    def take(self, which: Bool[np.ndarray, "n"]) -> Objects:
        """The objects that a boolean mask selects."""
        rows = np.flatnonzero(which).tolist()
        return Objects(
            self.boxes[which],
            self.label[which],
            self.ignore[which],
            tuple(self.where[row] for row in rows),
            tuple(self.outline[row] for row in rows) if self.outline else (),
            self.orientation,
        )

    def digest(self) -> str:
        """SHA-256 of everything that training uses."""
        state = hashlib.sha256(f"{len(self)}:{len(self.outline)}:{self.orientation}:".encode())
        for array in (self.boxes, self.label.astype(np.int64), self.ignore):
            state.update(np.ascontiguousarray(array).tobytes())
        for outline in self.outline:
            state.update(hashlib.sha256(outline.content()).digest())
        return state.hexdigest()


Truth = Mask | Objects | Answers | tuple[str, ...]
UNDECIDED = (
    "EXIF rotates images whose annotation does not tell whether it counts stored or upright pixels; taken as stored"
)


class Inspection(NamedTuple):
    """The audit of one image's annotation.

    digest      "" if the image cannot be used
    amount      (k,) pixels or objects of each class, without ignored ones
    grazing     number of boxes that extended at most a pixel beyond the image and were clipped without a report
    remarks     sentences that the audit gives once, each with the number of images that it is about
    """

    digest: str
    amount: Int[np.ndarray, "k"]
    problems: tuple[Problem, ...] = ()
    grazing: int = 0
    remarks: tuple[str, ...] = ()


class Annotations(ABC):
    """The annotations of a data set, by record; called from several threads."""

    knows: Knowledge
    unit: Literal["pixels", "objects", "labels", "values"]
    absent: float = np.nan  # the answer about a class that these annotations do not have in their list

    @abstractmethod
    def truth(self, record: Record) -> Truth:
        """A class for every pixel, (h, w) uint8 with IGNORE, or the objects, in the oriented image; of tags and numbers one
        value for each class or target, (k,), NaN where unknown; the texts.
        Raises DataError if the annotation can no longer be read."""

    @abstractmethod
    def inspect(
        self, records: Sequence[Record], sizes: Sequence[Stored], *, workers: int, cache_dir: Path | None
    ) -> list[Inspection]:
        """One inspection a record, in order; `sizes` tell how the images are stored."""


@final
@dataclass(frozen=True, eq=False)
class RemappedAnnotations(Annotations):
    """Annotations under another list of classes: `place[old]` is the new index, -1 for a class that is not in it."""

    inner: Annotations
    place: Int[np.ndarray, "k"]
    classes: int

    @property
    def knows(self) -> Knowledge:  # type: ignore[override]
        return self.inner.knows

    @property
    def unit(self) -> Literal["pixels", "objects", "labels", "values"]:  # type: ignore[override]
        return self.inner.unit

    def truth(self, record: Record) -> Truth:
        truth = self.inner.truth(record)
        if isinstance(truth, tuple):
            return truth
        if isinstance(truth, Objects):
            label = self.place[truth.label]
            return replace(truth, label=label).take(label >= 0)  # of other classes there are ignored regions at most
        if truth.ndim == 1:
            answers = np.full(self.classes, self.inner.absent)
            answers[self.place[self.place >= 0]] = truth[self.place >= 0]
            return answers
        table = np.full(256, IGNORE, dtype=np.uint8)
        table[: len(self.place)] = np.where(self.place < 0, IGNORE, self.place)
        return table[truth]

    def inspect(
        self, records: Sequence[Record], sizes: Sequence[Stored], *, workers: int, cache_dir: Path | None
    ) -> list[Inspection]:
        inspections = self.inner.inspect(records, sizes, workers=workers, cache_dir=cache_dir)
        return [each._replace(amount=self.remap_counts(each.amount)) for each in inspections]

    def remap_counts(self, amount: Int[np.ndarray, "... k"]) -> Int[np.ndarray, "... m"]:
        """Counts by class, in the new order."""
        out = np.zeros((*amount.shape[:-1], self.classes), dtype=amount.dtype)
        known = self.place >= 0
        out[..., self.place[known]] = amount[..., known]
        return out
