"""From what a table says of its images to several labels or numbers for each; and from one reading of it to another.

A cell may hold several labels (`a|b`, a list), or a number; a class or a target may have a column of its own. Where the same
text can be read in several ways, the source says in its first note how it was read and why, and a kind of task that the user
names reads it in its own way: every number as a class, every class as a number, a combination of labels as one class.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from sightline.data.records.answers import AnswerTable
from sightline.data.records.names import class_texts
from sightline.data.records.source import Source
from sightline.data.records.texts import SENTENCES, TextTable
from sightline.errors import DataError
from sightline.storage.text import printable

from .recognition.labels import SEPARATORS, Reading, members_of, number_of

_YES, _NO, _UNKNOWN = (
    ("1", "1.0", "true"),
    ("0", "0.0", "false"),
    ("", "-1", "-1.0", "nan", "none", "null", "na", "n/a"),
)
_DIGITS = 40  # of a class that is a number; Python converts no text of any length
_ONE_CLASS = "task.kind=classification reads"


def with_classes(
    source: Source, texts: Sequence[str | None], evidence: str = "", classes: Sequence[str] | None = None
) -> Source:
    """The source with one class for each record, None where it is unknown; `evidence` is about labels that are numbers."""
    names = class_texts(text for text in texts if text is not None)
    records = tuple(
        replace(record, label=None if text is None else names[text])
        for record, text in zip(source.records, texts, strict=True)
    )
    found = tuple(sorted(set(names.values()))) if classes is None else tuple(class_texts(classes)[x] for x in classes)
    reading = f"classes ({evidence}; task.kind=regression reads them as numbers)" if evidence else ""
    return replace(source, records=records, classes=found, reading=reading)


def with_tags(
    source: Source,
    members: Sequence[Collection[str] | None],
    evidence: str,
    text: Sequence[str],
    classes: Sequence[str] | None = None,
) -> Source:
    """The source with these labels for each record, None where nothing is known; `classes` are all there are, in order, if
    the data say."""
    names = class_texts(name.strip() for of in members if of for name in of if name.strip())
    classes = in_order(set(names.values())) if classes is None else classes
    place = {name: row for row, name in enumerate(classes)}
    values = np.zeros((len(members), len(classes)))
    for row, of in zip(values, members, strict=True):
        if of is None:
            row[:] = np.nan
        for name in of or ():
            if name.strip():
                row[place[names[name.strip()]]] = 1
    table = AnswerTable("tags", values, tuple(text), absent=0.0)
    reading = f"several labels for each: {evidence}; {_ONE_CLASS} each combination as a class"
    return _answered(source, classes, table, reading)


def with_marks(source: Source, names: Sequence[str], cells: Sequence[Sequence[str]], where: str) -> Source:
    """The source with a label for each column of 0 and 1; blank and -1 are unknown. Where -1 stands beside 1 and there is no
    0, it means 0."""
    written = {cell.strip().casefold() for row in cells for cell in row}
    minus = bool(written & {"-1", "-1.0"}) and not written & set(_NO)
    values = np.array([[_mark(cell, minus) for cell in row] for row in cells]).reshape(len(cells), len(names))
    how = "-1 is taken as 0, because there is no 0" if minus else "blank and -1 are unknown"
    texts = class_texts(names)
    if len(set(texts.values())) < len(names):
        raise DataError(f"{where}: two columns have the same name", "rename one of them")
    evidence = f"{len(names):,} columns of 0 and 1, such as {_some(names)}; {how}"
    return _answered(source, tuple(texts[name] for name in names), AnswerTable("tags", values), f"labels: {evidence}")


def with_numbers(source: Source, names: Sequence[str], cells: Sequence[Sequence[str]], evidence: str) -> Source:
    """The source with a target for each column; blank cells are unknown. ValueError for a cell that is no number."""
    values = np.array([[_number(cell) for cell in row] for row in cells]).reshape(len(cells), len(names))
    text = tuple(row[0] for row in cells) if len(names) == 1 else ()
    what = f"a number for each: {printable(names[0])}" if len(names) == 1 else f"numbers for each: {_some(names)}"
    override = f"; {_ONE_CLASS} each number as a class" if len(names) == 1 else ""
    return _answered(source, tuple(names), AnswerTable("numbers", values, text), f"{what} ({evidence}{override})")


def with_reading(
    source: Source, texts: Sequence[str | None], reading: Reading, column: str, classes: Sequence[str] | None = None
) -> Source:
    """The source read as the labels of its records are: several of them in a cell, or numbers."""
    known = [text or "" for text in texts]
    if reading.knows == "numbers":
        evidence = f"{reading.evidence}: a measurement"
        return with_numbers(source, [column.strip() or "value"], [[text] for text in known], evidence)
    if (cut := reading.cut) is not None:
        members = [_listed(text, cut(text)) if text else None for text in known]
        return with_tags(source, members, reading.evidence, known)
    lists = [_members(text) if text else None for text in known]
    if classes is None and (found := _vectors(source, lists, column, reading.evidence)):
        return found
    named = [None if of is None else [_word(x) for x in of] for of in lists]
    return with_tags(source, named, reading.evidence, known, classes)


def as_classes(source: Source) -> Source | None:
    """The source with what was written for each image as its class; None where that is no text."""
    table = source.annotations
    if table is None:
        return source
    if isinstance(table, TextTable) and source.kind != SENTENCES:
        firsts = [texts[0] if texts else None for texts in table.texts]
        return with_classes(replace(source, annotations=None), firsts)
    if not isinstance(table, AnswerTable) or not table.text:
        return None
    texts = class_texts(text.strip() for text in table.text if text.strip())
    records = tuple(
        replace(record, label=texts.get(text.strip())) for record, text in zip(source.records, table.text, strict=True)
    )
    reading = "each different text is a class, because task.kind asks for one"
    return replace(source, records=records, classes=in_order(set(texts.values())), annotations=None, reading=reading)


def as_tags(source: Source) -> Source | None:
    """The source with several labels for each image: one class as one label. None where it holds none."""
    if source.annotations is not None:
        return source if source.annotations.knows == "tags" else None
    if not source.classes:
        return None
    labels = [record.label for record in source.records]
    for name, cut in SEPARATORS[:3]:
        if any(len(_filled(cut(label))) > 1 for label in labels if label):
            members = [_filled(cut(label)) if label else None for label in labels]
            evidence = f"separated by {name}, because task.kind asks for several"
            return _without_labels(with_tags(source, members, evidence, [label or "" for label in labels]))
    members = [[label] if label else None for label in labels]
    found = with_tags(source, members, "one label each, because task.kind asks for several", [x or "" for x in labels])
    return _without_labels(found)


def as_numbers(source: Source) -> Source | None:
    """The source with a number for each image. None where any label is no number."""
    table = source.annotations
    if table is not None:
        return source if table.knows == "numbers" else None
    labels = [record.label or "" for record in source.records]
    try:
        if not any(labels):
            return None
        names = [source.column.strip() or "value"]
        found = with_numbers(source, names, [[label] for label in labels], "numbers, because task.kind asks for them")
    except ValueError:
        return None
    return _without_labels(found)


def in_order(names: Collection[str]) -> tuple[str, ...]:
    """In numeric order if all are numbers, else in alphabetical order."""
    numbers = all(name.isdecimal() and len(name) <= _DIGITS for name in names)
    return tuple(sorted(names, key=int) if numbers else sorted(names))


def _answered(source: Source, classes: Sequence[str], table: AnswerTable, reading: str) -> Source:
    return replace(source, classes=tuple(classes), annotations=table, reading=reading)


def _without_labels(source: Source) -> Source:
    return replace(source, records=tuple(replace(record, label=None) for record in source.records))


def _mark(cell: str, minus: bool) -> float:
    word = cell.strip().casefold()
    if word in _YES:
        return 1.0
    return 0.0 if word in _NO or (minus and word in ("-1", "-1.0")) else np.nan


def _number(cell: str) -> float:
    return np.nan if cell.strip().casefold() in ("", "nan", "none", "null", "na", "n/a") else number_of(cell.strip())


def _members(text: str) -> list[Any]:
    members = members_of(text)
    if members is None or any(isinstance(x, dict | list | tuple | set) for x in members):
        raise DataError(
            f"a cell that should be a list of labels is none: '{printable(text[:60])}'",
            'write ["a", "b"], and [] for an image without any label',
        )
    return members


def _listed(text: str, cut: list[str]) -> list[str]:
    """The labels of a cell among those with a separator: [] is an image without any."""
    return [] if text.strip() == "[]" else cut


def _vectors(source: Source, lists: Sequence[list[Any] | None], column: str, evidence: str) -> Source | None:
    """Lists of one length that hold nothing but numbers, not all whole or nothing but 0 and 1: targets, or marks."""
    known = [of for of in lists if of is not None]
    sizes = {len(of) for of in known}
    numeric = all(isinstance(x, int | float) for of in known for x in of)
    if len(sizes) != 1 or not numeric or sizes == {0}:
        return None
    (size,) = sizes
    values = {x for of in known for x in of}
    cells = [[""] * size if of is None else [str(x) for x in of] for of in lists]
    if values <= {0, 1} and size > 1:
        return with_marks(source, [str(i) for i in range(size)], cells, column)
    if all(float(x).is_integer() for x in values):
        return None
    names = [f"{column.strip() or 'value'}_{i}" for i in range(size)] if size > 1 else [column.strip() or "value"]
    return with_numbers(source, names, cells, evidence)


def _word(value: Any) -> str:
    return value if isinstance(value, str) else str(value)


def _filled(parts: Iterable[str]) -> list[str]:
    return [part.strip() for part in parts if part.strip()]


def _some(names: Sequence[str]) -> str:
    return ", ".join(f"'{printable(name[:40])}'" for name in names[:3]) + (" …" if len(names) > 3 else "")
