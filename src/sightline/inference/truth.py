"""What is known of an image, drawn as predictions are, in the original's resolution."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import UInt8

from sightline.data.dataset import Dataset
from sightline.data.records.annotations import Objects
from sightline.data.records.answers import AnswerTable
from sightline.decoding.run_lengths import run_lengths
from sightline.drawing.overlay import coloured
from sightline.drawing.png import enlarged
from sightline.drawing.predictions import paint_objects, paint_pixels

WORDS = ("labels", "tags", "numbers", "columns", "texts")  # knowledge that is written below an image, not drawn on it


def paint_truth(data: Dataset, id: int) -> UInt8[np.ndarray, "h w 3"]:
    """The image with its masks, boxes or outlines on it; alone where only its class is known."""
    image = coloured(data.pixels(id))
    if data.knows in WORDS:
        return enlarged(image)
    truth = data.truth(id)
    assert not isinstance(truth, tuple)  # texts are words
    if isinstance(truth, Objects):
        return paint_objects(image, _objects(truth, data.classes, image.shape[:2]), None, data.classes)
    return paint_pixels(image, {"shares": _shares(truth, data.classes)}, truth, data.classes)


def truth_words(data: Dataset, id: int) -> str:
    """The class, the number of objects of each class, or the names of the classes of its pixels; "" if nothing is known."""
    if data.knows == "labels":
        index = int(data.index[id])
        return data.classes[index] if index >= 0 else ""
    truth = data.truth(id)
    if isinstance(truth, tuple):
        return truth[0] if truth else ""
    if data.knows in WORDS and not isinstance(truth, Objects):
        return _values(truth, data)
    if isinstance(truth, Objects):
        counted = Counter(data.classes[c] for c in truth.label[~truth.ignore].tolist())
        return ", ".join(f"{n} {name}" for name, n in counted.most_common()) or "nothing"
    return ", ".join(list(_shares(truth, data.classes))[:3])


def _values(truth: np.ndarray, data: Dataset) -> str:
    """The labels of an image, or its values."""
    if data.knows == "tags":
        return ", ".join(name for name, value in zip(data.classes, truth.tolist(), strict=True) if value == 1) or "none"
    measured = _numbers(data)
    return ", ".join(
        f"{name} {value:.4g}" if name in measured else name
        for name, value in zip(data.classes, truth.tolist(), strict=True)
        if value == value and (name in measured or value == 1)
    )


def _numbers(data: Dataset) -> set[str]:
    """The names of the entries that are numbers."""
    table = data.audit.source.annotations
    heads = table.heads if isinstance(table, AnswerTable) else ()
    return {head.name for head in heads if head.kind == "number"} if heads else set(data.classes)


def _objects(truth: Objects, classes: Sequence[str], size: tuple[int, int]) -> dict[str, Any]:
    boxes: list[dict[str, Any]] = [
        {"label": classes[c], "xyxy": box} for c, box in zip(truth.label.tolist(), truth.boxes.tolist(), strict=True)
    ]
    if truth.outline:
        for box, counts in zip(boxes, run_lengths(truth.masks(*size)), strict=True):
            box["rle"] = {"size": list(size), "counts": counts.decode("ascii")}
    return {"boxes": boxes}


def _shares(mask: np.ndarray, classes: Sequence[str]) -> dict[str, float]:
    """The share of each class in the image, the largest first; ignored pixels count for none."""
    amount = np.bincount(mask[mask < len(classes)].ravel(), minlength=len(classes)) / mask.size
    return {classes[c]: float(amount[c]) for c in np.argsort(-amount, kind="stable").tolist() if amount[c]}
