"""Labels as Python holds them → one class, several labels, or numbers for each image.

Whole numbers are indexes into `classes` where the data name these. Without names they are read as the labels of a table are
(`recognition.labels`): what looks like a measurement is one.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from sightline.data.formats.answers import with_classes, with_marks, with_numbers, with_reading, with_tags
from sightline.data.formats.recognition.labels import reading_of
from sightline.data.records.source import Source
from sightline.errors import DataError

from .pixels import array_of

_MISSING = (None, "")


def with_labels(source: Source, labels: Sequence[Any], classes: Sequence[str] | None) -> Source:
    """The source with a label for each record, in their order; `classes` names whole numbers. DataError for labels that are
    none."""
    plain = [_plain(label) for label in labels]
    if all(label in _MISSING for label in plain if not isinstance(label, list)) and not any(
        isinstance(label, list) for label in plain
    ):
        return source
    if any(isinstance(label, dict) for label in plain):
        raise DataError(
            "labels are mappings, as of boxes or masks, which are not taken from Python", "write them as COCO's JSON"
        )
    if any(isinstance(label, list) for label in plain):
        return _several(source, plain, classes)
    if classes is not None and all(isinstance(label, int) or label in _MISSING for label in plain):
        return with_classes(source, [None if x in _MISSING else _name(x, classes) for x in plain], classes=classes)
    texts = [None if label in _MISSING else str(label) for label in plain]
    reading = reading_of([text for text in texts if text is not None], "the labels")
    if reading.knows != "class":
        return with_reading(source, texts, reading, "value" if reading.knows == "numbers" else "")
    return with_classes(source, texts, reading.evidence)


def _plain(label: Any) -> Any:
    """A label of Python's own types: None where it is unknown, a list where there are several."""
    if label is None or isinstance(label, str | dict):
        return label.strip() if isinstance(label, str) else label
    if isinstance(label, set | frozenset):
        return sorted((_plain(one) for one in label), key=str)
    values = array_of(label)
    if values.ndim:
        return [_plain(one) for one in label]
    value = values.item()
    if isinstance(value, float) and value != value:
        return None
    if not isinstance(value, bool | int | float | str):
        raise DataError(f"a label is a {type(label).__name__}", "pass whole numbers, names, lists of them, or floats")
    return int(value) if isinstance(value, bool) else value


def _name(label: Any, classes: Sequence[str]) -> str:
    if isinstance(label, str):
        return label
    if not isinstance(label, int) or not 0 <= label < len(classes):
        raise DataError(f"the label {label!r} is none of the {len(classes)} classes", "number them from 0")
    return classes[label]


def _several(source: Source, labels: Sequence[Any], classes: Sequence[str] | None) -> Source:
    """Lists: of 0 and 1 and of one length, a mark for each class; of fractions, targets; else the labels of an image."""
    known = [of for of in labels if isinstance(of, list)]
    sizes = {len(of) for of in known}
    values = {x for of in known for x in of if x is not None}
    numeric = all(isinstance(x, int | float) for x in values)
    if len(sizes) == 1 and numeric and sizes != {0}:
        (size,) = sizes
        cells = [["" if x is None else repr(x) for x in (of or [None] * size)] for of in labels]
        names = list(classes) if classes is not None and len(classes) == size else [str(i) for i in range(size)]
        if values <= {0, 1, -1} and size > 1:
            return with_marks(source, names, cells, "the labels")
        if not all(float(x).is_integer() for x in values) or classes is None:
            names = names if classes is not None else [f"value_{i}" for i in range(size)]
            return with_numbers(source, names if size > 1 else ["value"], cells, "an array of numbers")
    members = [None if of in _MISSING else [_name(x, classes) if classes else str(x) for x in of] for of in labels]
    evidence = "a list for each image"
    text = [json.dumps(of) if of is not None else "" for of in members]
    return with_tags(source, members, evidence, text, classes)


def class_names(names: Any) -> tuple[str, ...] | None:
    """The `classes` of a data set as text; None where it has none that can be used."""
    if not isinstance(names, list | tuple) or not names:
        return None
    texts = tuple(name[0] if isinstance(name, tuple) and name else name for name in names)  # a tuple of synonyms
    texts = tuple(str(text) for text in texts)
    return texts if len(set(texts)) == len(texts) else None


def rows_of(labels: Any, n: int) -> list[Any]:
    """The labels of n images as a list. DataError for another number of them."""
    if labels is None:
        return [None] * n
    values = array_of(labels) if hasattr(labels, "detach") or isinstance(labels, np.ndarray) else labels
    try:
        found = list(values)
    except TypeError as error:
        raise DataError(f"labels are a {type(labels).__name__}", "pass one for each image") from error
    if len(found) != n:
        raise DataError(f"{n:,} images and {len(found):,} labels", "pass one label for each image")
    return found
