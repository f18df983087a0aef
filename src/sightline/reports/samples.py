"""The pictures that a run left in samples/: a training batch, and images with what is true and what was said on them.

Every picture is decoded and encoded anew before it may be shown, and only files of the folder's own naming are opened.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sightline.drawing.png import reencoded
from sightline.reports.reading import RunFiles, mapping, real, sequence, whole, words

MOST_EXAMPLES = 18
_OWN = re.compile(r"samples/examples/[a-z]+-\d+\.png")


@dataclass(frozen=True)
class BatchSheet:
    """samples/batch.png, encoded anew, and what it shows in reading order."""

    png: bytes
    names: tuple[str, ...]
    labels: tuple[str, ...]


@dataclass(frozen=True)
class Example:
    """One image of the judged split: image, truth and answer side by side; `worst` if it was chosen for its mistakes."""

    id: int
    name: str
    worst: bool
    png: bytes


@dataclass(frozen=True)
class Examples:
    """samples/examples.json with its pictures; boxes below the score `threshold` were not drawn."""

    split: str
    threshold: float | None
    items: tuple[Example, ...]


def read_batch(folder: RunFiles) -> BatchSheet | None:
    """The first training batch, None where there is none that can be shown."""
    png = _picture(folder, "samples/batch.png")
    if png is None:
        return None
    rows = [mapping(row) for row in sequence(folder.json("samples/batch.json"))]
    names, labels = (tuple(words(row.get(key)) for row in rows) for key in ("name", "label"))
    return BatchSheet(png, names, labels)


def read_examples(folder: RunFiles) -> Examples | None:
    """The worst and some typical images, None where there is none that can be shown."""
    about = mapping(folder.json("samples/examples.json"))
    found = [_example(folder, mapping(item)) for item in sequence(about.get("items"))[:MOST_EXAMPLES]]
    items = tuple(item for item in found if item is not None)
    return Examples(words(about.get("split")), real(about.get("threshold")), items) if items else None


def _example(folder: RunFiles, item: Mapping[str, Any]) -> Example | None:
    file = words(item.get("file"))
    if not _OWN.fullmatch(file):
        folder.problems.append("samples/examples.json names a file that is none of its own; it was left out.")
        return None
    png = _picture(folder, file)
    if png is None:
        return None
    return Example(whole(item.get("id")), words(item.get("name")), item.get("worst") is True, png)


def _picture(folder: RunFiles, name: str) -> bytes | None:
    """A PNG of the folder, encoded anew."""
    png = folder.data(name)
    if png is None:
        return None
    try:
        return reencoded(png)
    except ValueError as error:
        folder.problems.append(f"{name} was left out: {error}.")
        return None
