"""The rows of a table's text: cells between commas, semicolons or tabs, or JSON objects, one a line."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

from sightline.errors import DataError

Cells = list[tuple[int, list[str]]]


def cells_of(text: str, name: str, *, lines_of_json: bool = False) -> Cells:
    """(line, cells) of every row that is not blank. Raises DataError with the line where it is no table."""
    return _from_json(text, name) if lines_of_json else _from_text(text, name)


def _from_text(text: str, name: str) -> Cells:
    head = text.split("\n", 1)[0]
    delimiter = max(",;\t", key=head.count)  # the first of the most frequent
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True)
    rows, line = [], 1
    try:
        for row in reader:
            if any("\n" in cell or "\r" in cell for cell in row):
                raise DataError(f"{name} line {line}: a cell spans several lines", "close its quote")
            if any(cell.strip() for cell in row):
                rows.append((line, row))
            line = reader.line_num + 1
    except csv.Error as error:
        raise DataError(f"{name} line {line}: {error}", "write one row per image: path,label") from error
    return rows


def _from_json(text: str, name: str) -> Cells:
    """The keys of all objects are the header, in the order in which they first appear."""
    objects: list[tuple[int, dict[str, Any]]] = []
    keys: dict[str, None] = {}
    for line, written in enumerate(text.split("\n"), 1):
        if not written.strip():
            continue
        try:
            value = json.loads(written)
        except (ValueError, RecursionError) as error:
            raise DataError(f"{name} line {line}: not JSON: {error}", "write one JSON object a line") from error
        if not isinstance(value, dict):
            raise DataError(f"{name} line {line}: not a JSON object", 'write {"file_name": "1.png", "label": "cat"}')
        keys |= dict.fromkeys(value)
        objects.append((line, value))
    rows = [(line, [_text(value.get(key)) for key in keys]) for line, value in objects]
    return [(1, list(keys)), *rows] if rows else []


def _text(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
