"""`diagnosis/<split>.parquet`: the table of measurements of a split, one row an image, for any reader of Parquet."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet

from sightline.errors import DamagedError
from sightline.evaluation.predictions import escape_name, unescape_name
from sightline.storage.files import replace_file
from sightline.storage.reading import MAX_ROWS, read_regular

from .images import ImageTable

FOLDER = "diagnosis"


def table_file(split: str) -> str:
    """The file of a split's table, from the run folder."""
    return f"{FOLDER}/{split}.parquet"


def write_table(path: Path, table: ImageTable) -> None:
    """Replace the file atomically. Columns: id int64, those of numbers as doubles, those of words as strings."""
    columns = {"id": pyarrow.array(table.id, pyarrow.int64())}
    columns |= {escape_name(name): pyarrow.array(values, pyarrow.float64()) for name, values in table.numbers.items()}
    columns |= {
        escape_name(name): pyarrow.array(
            [None if word is None else escape_name(word) for word in words], pyarrow.string()
        )
        for name, words in table.words.items()
    }
    buffer = BytesIO()
    pyarrow.parquet.write_table(pyarrow.table(columns), buffer, compression="zstd")
    replace_file(path, buffer.getvalue())


def read_table(path: Path) -> ImageTable:
    """The table. DamagedError where the file is something else."""
    try:
        data = read_regular(path, MAX_ROWS)
        table = pyarrow.parquet.read_table(BytesIO(data), use_threads=False)
        id = table["id"].combine_chunks().to_numpy()
        numbers, words = {}, {}
        for name in table.column_names[1:]:
            column = table[name].combine_chunks()
            if pyarrow.types.is_string(column.type):
                words[unescape_name(name)] = [None if w is None else unescape_name(w) for w in column.to_pylist()]
            else:
                numbers[unescape_name(name)] = np.asarray(column.to_numpy(zero_copy_only=False), float)
    except (pyarrow.ArrowException, OSError, ValueError, KeyError, TypeError, MemoryError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise DamagedError(f"{path} does not hold measurements of images: {reason}", "remove it") from error
    return ImageTable(id, numbers, words)
