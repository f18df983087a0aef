"""Several columns of a table as several questions about each image: classes, numbers or labels, each with its own gaps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Float

from sightline.data.records.answers import AnswerTable
from sightline.data.records.names import class_texts
from sightline.data.records.source import Source
from sightline.errors import DataError
from sightline.storage.text import printable
from sightline.structures.heads import Head, side_by_side

from .answers import in_order
from .recognition.labels import Reading, members_of, number_of, reading_of

BLANK = frozenset(("", "nan", "none", "null", "na", "n/a"))  # an unknown answer, in any case
_WORDS = {"class": "classes", "labels": "labels", "number": "a number"}


def with_heads(source: Source, names: Sequence[str], cells: Sequence[Sequence[str]], where: str) -> Source:
    """The source with a question for each column; `cells` (n, columns) hold the answers, blank where unknown. DataError for
    two columns of one name, or a column without answers."""
    if len(set(names)) < len(names):
        raise DataError(f"{where}: data.label names a column twice", "name each column once")
    columns = [[row[i].strip() for row in cells] for i in range(len(names))]
    read = [_column(name, column, where) for name, column in zip(names, columns, strict=True)]
    heads = side_by_side([head for head, _ in read])
    entries = tuple(entry for head in heads for entry in head.entries)
    if len(set(entries)) < len(entries):
        raise DataError(f"{where}: two answers have the same name, such as {_repeated(entries)}", "rename a column")
    values = np.concatenate([block for _, block in read], axis=1)  # (n, k)
    unknown = [sum(cell.casefold() in BLANK for cell in column) for column in columns]
    words = [_words(head, missing) for head, missing in zip(heads, unknown, strict=True)]
    table = AnswerTable("columns", values, heads=heads)
    return replace(source, classes=entries, annotations=table, reading=f"{len(heads)} questions: {'; '.join(words)}")


def _column(name: str, cells: Sequence[str], where: str) -> tuple[Head, Float[np.ndarray, "n k"]]:
    known = [cell for cell in cells if cell.casefold() not in BLANK]
    if not known:
        raise DataError(f"{where}: the column '{printable(name)}' is empty", "leave it out of data.label")
    reading = reading_of(known, where, name)
    if reading.knows == "numbers":
        numbers = [number_of(cell) if cell.casefold() not in BLANK else np.nan for cell in cells]
        return Head(name, "number", (name,)), np.array(numbers)[:, None]
    members = [None if cell.casefold() in BLANK else _members(cell, reading, where) for cell in cells]
    texts = class_texts(text for of in members if of is not None for text in of)
    answers = in_order(set(texts.values()))
    place = {answer: i for i, answer in enumerate(answers)}
    values = np.zeros((len(cells), len(answers)))
    for row, of in zip(values, members, strict=True):
        if of is None:
            row[:] = np.nan
        for text in of or ():
            row[place[texts[text]]] = 1
    return Head(name, "labels" if reading.knows == "tags" else "class", answers), values


def _members(cell: str, reading: Reading, where: str) -> tuple[str, ...]:
    """The class of a cell, or its labels."""
    if reading.knows == "class":
        return (cell,)
    if cell == "[]":  # an image without any label, also beside cells with separators
        return ()
    parts = reading.cut(cell) if reading.cut is not None else members_of(cell)
    if parts is None:
        raise DataError(
            f"{where}: a cell that should be a list of labels is none: '{printable(cell[:60])}'", "correct it"
        )
    return tuple(text for part in parts if (text := str(part).strip()))


def _words(head: Head, unknown: int) -> str:
    what = f"{len(head.answers)} {_WORDS[head.kind]}" if head.kind != "number" else _WORDS[head.kind]
    return f"{printable(head.name)} ({what}{f', {unknown:,} unknown' if unknown else ''})"


def _repeated(entries: Sequence[str]) -> str:
    return next(printable(entry) for entry in entries if entries.count(entry) > 1)
