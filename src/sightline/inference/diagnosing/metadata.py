"""Further columns of the data's table as columns of measurements: numbers are cut by quantiles, words compared by value."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np

from sightline.data.dataset import Dataset
from sightline.data.formats.recognition.labels import number_of
from sightline.evaluation.diagnosis.conditions import CLASS, CLUSTER, MOST_WORDS
from sightline.evaluation.diagnosis.images import MEASURES, ImageTable

STEPS = 5  # different numbers up to which a column holds codes, such as 0 and 1 for a yes or no
TAKEN = {*MEASURES, CLASS, CLUSTER, "id", "labels", "classes", "objects", "object size"}  # names that measurements have
_UNKNOWN = {"", "nan", "none", "null", "na", "n/a", "unknown", "?"}


def with_metadata(table: ImageTable, data: Dataset) -> ImageTable:
    """The table with the metadata of its images. What a column holds is decided on all images of the data, so that it is the
    same in every split; identifiers, which have a value of its own for every image, are left out."""
    numbers, words = dict(table.numbers), dict(table.words)
    ids = table.id.tolist()
    for place, name in enumerate(data.audit.source.columns):
        cells = [_known(record.metadata[place] if record.metadata else None) for record in data.records]
        own = f"{name} (column)" if name in TAKEN or name.startswith("true ") else name
        values = _numbers(cells)
        if values is not None:
            if not _numbers_every_image(values):
                numbers[own] = values[ids]
        elif _repeats(cells):
            words[own] = [cells[i] for i in ids]
    return replace(table, numbers=numbers, words=words)


def _known(cell: str | None) -> str | None:
    return None if cell is None or cell.strip().casefold() in _UNKNOWN else cell


def _numbers(cells: list[str | None]) -> np.ndarray | None:
    """The values where the column measures something: all of its cells are numbers, and more than a few different ones."""
    try:
        values = np.array([np.nan if cell is None else number_of(cell) for cell in cells], float)
    except ValueError:
        return None
    known = values[np.isfinite(values)]
    return values if len(np.unique(known)) > STEPS else None


def _numbers_every_image(values: np.ndarray) -> bool:
    """Whether the column is one of whole numbers, all different: a row number or a key, which only tells when an image came."""
    known = values[np.isfinite(values)]
    return bool((known == known.round()).all()) and len(np.unique(known)) == len(known)


def _repeats(cells: list[str | None]) -> bool:
    counts = Counter(cell for cell in cells if cell is not None)
    return 0 < len(counts) <= MOST_WORDS and max(counts.values()) > 1
