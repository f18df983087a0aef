"""Further columns of Parquet files: what they say of each image beside its label, as text, for slices.

Only columns of one value each (text, numbers, yes or no) are read, text as a dictionary of its different values, because a
page of a kilobyte can repeat a text of a megabyte for every row.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from .columns import MOST_METADATA
from .schema import Meaning, is_label
from .tables import LONGEST

_MOST_CELLS = 20_000_000  # rows times columns; a table with more is read without metadata
_READ = 1 << 16  # rows at a time


def further_columns(schema: pa.Schema, meaning: Meaning) -> tuple[str, ...]:
    """The names of the columns that are neither image nor label and hold one value each."""
    names = [f.name for f in schema if f.name not in (meaning.image, meaning.label) and is_label(f.type)]
    return tuple(name for name in names if name.strip())[:MOST_METADATA]


def further_values(path: Path, names: Sequence[str], rows: int) -> list[tuple[str | None, ...]]:
    """The values of these columns, one tuple a row. Raises ArrowException for a file that cannot be read."""
    if not names or rows * len(names) > _MOST_CELLS:
        return [(None,) * len(names)] * rows
    with pq.ParquetFile(path) as file:
        text = [name for name in names if pa.types.is_string(file.schema_arrow.field(name).type)]
    found: list[tuple[str | None, ...]] = []
    with pq.ParquetFile(path, read_dictionary=text) as file:
        for batch in file.iter_batches(_READ, columns=list(names)):
            found += zip(*(_texts(batch.column(name)) for name in names), strict=True)
    return found


def _texts(column: pa.Array) -> list[str | None]:
    if pa.types.is_dictionary(column.type):
        values = [_text(value) for value in column.dictionary.to_pylist()]
        return [None if place is None else values[place] for place in column.indices.to_pylist()]
    return [_text(value) for value in column.to_pylist()]


def _text(value: object) -> str | None:
    if value is None or value != value:
        return None
    if isinstance(value, float) and value.is_integer():  # a column of integers with gaps
        value = int(value)
    return str(value).strip()[:LONGEST] or None
