"""One image and what was predicted for it, as an object to read, draw and save."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, UInt8

from sightline.decoding.run_lengths import from_run_lengths, run_lengths
from sightline.drawing.picture import Picture
from sightline.errors import DataError, UsageError
from sightline.preprocessing.rejection import Rejected
from sightline.runtime.choosing import LEFT_OUT
from sightline.runtime.model import Source

from .answering import Answering
from .drawer import original


@dataclass(frozen=True, eq=False)
class Prediction:
    """What was predicted for one image. Which fields there are depends on the kind of task; the others raise AttributeError.

    row                        as `sightline predict --json` prints it
    label, probability, top    of a class: its name, its probability, the most likely ones
    boxes                      (n, 4) x1, y1, x2, y2 in pixels of the original image, the surest first
    scores, labels             (n,) and n names, of the boxes; several labels of one image are in `labels` too
    values                     of numbers: target → value, in the units of the data
    masks                      (n, h, w), the pixels of each object, where the network gives them
    mask                       (h, w) the index of the class of each pixel in `classes`; 255 where `classes=` left it out
    error                      why the image could not be read; "" if it was
    """

    path: str
    row: Mapping[str, Any]
    classes: tuple[str, ...]
    source: Source = field(repr=False)
    answering: Answering = field(repr=False)
    pixels: UInt8[np.ndarray, "h w"] | None = field(default=None, repr=False)

    @property
    def error(self) -> str:
        return str(self.row.get("error", ""))

    @property
    def label(self) -> str | None:
        return self._value("label")  # type: ignore[no-any-return]

    @property
    def probability(self) -> float | None:
        return self._value("probability")  # type: ignore[no-any-return]

    @property
    def top(self) -> list[tuple[str, float]]:
        return [(name, p) for name, p in self._value("top")]

    @property
    def boxes(self) -> Float[np.ndarray, "n 4"]:
        return np.array([box["xyxy"] for box in self._value("boxes")], np.float64).reshape(-1, 4)

    @property
    def scores(self) -> Float[np.ndarray, "n"]:
        return np.array([box["score"] for box in self._value("boxes")], np.float64)

    @property
    def labels(self) -> tuple[str, ...]:
        if "labels" in self.row:
            return tuple(self.row["labels"])
        return tuple(box["label"] for box in self._value("boxes"))

    @property
    def values(self) -> dict[str, float]:
        return dict(self._value("values"))

    @property
    def masks(self) -> Bool[np.ndarray, "n h w"]:
        boxes = self._value("boxes")
        if not boxes:
            return np.zeros((0, *original(self.source).shape[:2]), bool)
        if "rle" not in boxes[0]:
            raise AttributeError("these predictions are boxes without masks")
        height, width = boxes[0]["rle"]["size"]
        return from_run_lengths(tuple(box["rle"]["counts"].encode("ascii") for box in boxes), (height, width))

    @property
    def mask(self) -> UInt8[np.ndarray, "h w"]:
        if self.pixels is None:
            self._value("a mask of classes")
        assert self.pixels is not None
        return self.pixels

    def picture(self) -> Picture:
        """The image with its prediction on it."""
        painter = self.answering.answers.draw
        if painter is None:
            raise UsageError(f"predictions of {self.answering.kind} cannot be drawn", "read their row")
        if self.error:
            raise DataError(f"{self.path} could not be read: {self.error}", "replace the file")
        try:
            image = original(self.source, self.answering.preprocessing.depth)
        except Rejected as error:
            raise DataError(f"{self.path} cannot be read any more: {error.detail}", "restore the file") from error
        return Picture(painter(image, self.row, self.pixels, self.classes))

    def save(self, path: str | Path) -> None:
        """Write the image with its prediction on it; PNG or JPEG by its suffix."""
        self.picture().save(path)

    def to_json(self) -> dict[str, Any]:
        return dict(self.row)

    def to_coco(self, image_id: int = 0) -> list[dict[str, Any]]:
        """The objects, or the regions of each class, in COCO's format of results. A `category_id` is the place of the class in
        `classes`, from 1. UsageError for one class for the whole image, for which COCO has no form."""
        number = {name: i for i, name in enumerate(self.classes, 1)}
        if "boxes" in self.row:
            return [_coco_box(box, image_id, number[box["label"]]) for box in self.row["boxes"]]
        if self.pixels is None:
            raise UsageError("COCO has no form for a class of a whole image", "use .to_json()")
        return [
            _coco_region(self.pixels == value, image_id, value + 1)
            for value in np.unique(self.pixels).tolist()
            if value != LEFT_OUT
        ]

    def _value(self, name: str) -> Any:
        """A value of the row. AttributeError where it has none, so that `hasattr` tells which there are."""
        if name in self.row:
            return self.row[name]
        why = f"it could not be read: {self.error}" if self.error else f"{self.answering.kind} has none"
        raise AttributeError(f"the prediction for {self.path} has no {name}: {why}")

    def _repr_png_(self) -> bytes | None:
        return None if self.error or self.answering.answers.draw is None else self.picture()._repr_png_()


def _coco_box(box: Mapping[str, Any], image_id: int, category: int) -> dict[str, Any]:
    left, top, right, bottom = box["xyxy"]
    found = {"image_id": image_id, "category_id": category, "bbox": [left, top, right - left, bottom - top]}
    mask = {"segmentation": box["rle"]} if "rle" in box else {}
    return {**found, "score": box["score"], **mask}


def _coco_region(region: Bool[np.ndarray, "h w"], image_id: int, category: int) -> dict[str, Any]:
    rows, columns = np.flatnonzero(region.any(1)), np.flatnonzero(region.any(0))
    left, top = int(columns[0]), int(rows[0])
    bbox = [left, top, int(columns[-1]) + 1 - left, int(rows[-1]) + 1 - top]
    rle = {"size": list(region.shape), "counts": run_lengths(region[None])[0].decode("ascii")}
    return {"image_id": image_id, "category_id": category, "bbox": bbox, "score": 1.0, "segmentation": rle}
