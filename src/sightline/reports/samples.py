"""The images that a run saved: a training batch and examples with their ground truth and prediction (samples/), and heat maps
of mistakes (diagnosis/maps/).

Every image is decoded and encoded again before it may be shown, and only files with the folder's own names are opened.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sightline.drawing.png import reencoded
from sightline.reports.reading import RunFiles, as_integer, as_mapping, as_number, as_sequence, as_text

MOST_EXAMPLES = 18
MOST_MAPS = 96
_OWN = re.compile(r"samples/examples/[a-z]+-\d+\.png")
_OWN_MAP = re.compile(r"diagnosis/maps/[a-z]+-\d+\.png")


@dataclass(frozen=True)
class BatchSheet:
    """samples/batch.png, encoded again, and what it shows from left to right and top to bottom."""

    png: bytes
    names: tuple[str, ...]
    labels: tuple[str, ...]


@dataclass(frozen=True)
class Example:
    """Image, ground truth and prediction side by side; `worst` if the image was selected for its mistakes."""

    id: int
    name: str
    worst: bool
    png: bytes


@dataclass(frozen=True)
class Examples:
    """samples/examples.json with its images; boxes below the score `threshold` were not drawn."""

    split: str
    threshold: float | None
    items: tuple[Example, ...]


@dataclass(frozen=True)
class HeatMap:
    """What the answer for one image depends on: `method` by its name, the `score` in words, and whether the map holds any
    `evidence` for it."""

    png: bytes
    method: str
    score: str
    evidence: bool


def read_heat_maps(folder: RunFiles, split: str) -> dict[int, HeatMap]:
    """The maps of a split's images by their ids."""
    about = as_mapping(folder.json("diagnosis/maps.json"))
    maps: dict[int, HeatMap] = {}
    for item in map(as_mapping, as_sequence(about.get("items"))[:MOST_MAPS] if about.get("split") == split else ()):
        file = as_text(item.get("file"))
        if not _OWN_MAP.fullmatch(file):
            folder.problems.append("diagnosis/maps.json names a file outside diagnosis/maps; it was left out.")
            continue
        if (png := png_of(folder, file)) is not None:
            facts = as_text(item.get("method")), as_text(item.get("score")), item.get("evidence") is True
            maps[as_integer(item.get("id"))] = HeatMap(png, *facts)
    return maps


def read_batch(folder: RunFiles) -> BatchSheet | None:
    """The first training batch, None if there is none that can be shown."""
    png = png_of(folder, "samples/batch.png")
    if png is None:
        return None
    rows = [as_mapping(row) for row in as_sequence(folder.json("samples/batch.json"))]
    names, labels = (tuple(as_text(row.get(key)) for row in rows) for key in ("name", "label"))
    return BatchSheet(png, names, labels)


def read_strip(folder: RunFiles) -> bytes | None:
    """Images that become noise, and noise that becomes images; None where images are not made step by step."""
    return png_of(folder, "samples/denoising.png")


@dataclass(frozen=True)
class Assignment:
    """samples/assignment.png, encoded again, and what its marks mean."""

    png: bytes
    meaning: str


def read_assignment(folder: RunFiles) -> Assignment | None:
    """Which places learn which object, None where it was not drawn."""
    if not (folder.path / "samples" / "assignment.png").exists():
        return None
    png = png_of(folder, "samples/assignment.png")
    about = as_mapping(folder.json("samples/assignment.json"))
    return None if png is None else Assignment(png, as_text(about.get("meaning")))


def read_examples(folder: RunFiles) -> Examples | None:
    """The worst and some typical images, None if there is none that can be shown."""
    about = as_mapping(folder.json("samples/examples.json"))
    examples = [_example(folder, as_mapping(item)) for item in as_sequence(about.get("items"))[:MOST_EXAMPLES]]
    items = tuple(item for item in examples if item is not None)
    return Examples(as_text(about.get("split")), as_number(about.get("threshold")), items) if items else None


def _example(folder: RunFiles, item: Mapping[str, Any]) -> Example | None:
    file = as_text(item.get("file"))
    if not _OWN.fullmatch(file):
        folder.problems.append("samples/examples.json names a file outside samples/examples; it was left out.")
        return None
    png = png_of(folder, file)
    if png is None:
        return None
    return Example(as_integer(item.get("id")), as_text(item.get("name")), item.get("worst") is True, png)


def png_of(folder: RunFiles, name: str) -> bytes | None:
    """A PNG of the folder, encoded again."""
    png = folder.data(name)
    if png is None:
        return None
    try:
        return reencoded(png)
    except ValueError as error:
        folder.problems.append(f"{name} was left out: {error}.")
        return None
