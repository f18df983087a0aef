"""`predictions/<split>.parquet`: the rows of a classifier, for this package and any other reader of Parquet.

Columns: id int64, name string (the file of the image), target int32 (-1: unknown), probability fixed list of k doubles.
The schema's metadata holds the key `sightline`: JSON with the format's version, the class names and a SHA-256 of all
contents. The same rows give the same bytes (for one version of pyarrow); a file whose contents do not match its hash is
damaged.

Names are data and may be anything a file system holds. Parquet's strings are UTF-8, which has no lone surrogates
(Python's form of undecodable bytes), so in file and class names a backslash is doubled and a surrogate becomes a
backslash, u and four hexadecimal digits: every Python string survives, and ordinary names read as they are.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet

from sightline.errors import DamagedError
from sightline.storage.files import replace_file
from sightline.storage.reading import MAX_ROWS, read_regular
from sightline.structures.predictions import ClassRows

VERSION = 1
_KEY = b"sightline"
_HINT = "write it again with `sightline evaluate`"


def write_rows(path: Path, rows: ClassRows, *, names: Sequence[str], classes: Sequence[str]) -> None:
    """Replace the file atomically. `names`: one a row; `classes`: one a probability."""
    if len(names) != len(rows) or len(classes) != rows.probability.shape[1]:
        raise ValueError(
            f"{len(names)} names for {len(rows)} rows, {len(classes)} classes for {rows.probability.shape[1]}"
        )
    ids, target = rows.id.astype(np.int64), rows.target.astype(np.int32)
    probability = np.ascontiguousarray(rows.probability, dtype=np.float64)  # (n, k)
    escaped_names, escaped_classes = [escape_name(name) for name in names], [escape_name(name) for name in classes]
    about = {
        "version": VERSION,
        "classes": escaped_classes,
        "sha256": _digest(ids, escaped_names, target, probability, escaped_classes),
    }
    fields = _fields(len(classes))
    columns = [
        pyarrow.array(ids),
        pyarrow.array(escaped_names, pyarrow.string()),
        pyarrow.array(target),
        pyarrow.FixedSizeListArray.from_arrays(pyarrow.array(probability.ravel()), type=fields[3].type),
    ]
    table = pyarrow.table(columns, schema=pyarrow.schema(fields, metadata={_KEY: json.dumps(about).encode()}))
    buffer = BytesIO()
    pyarrow.parquet.write_table(table, buffer, compression="zstd", use_dictionary=False)
    replace_file(path, buffer.getvalue())


def read_rows(path: Path) -> tuple[ClassRows, list[str], list[str]]:
    """The rows, the name of each, and the class names. Raises DamagedError if the file was changed or is something else."""
    try:
        data = read_regular(path, MAX_ROWS)
    except OSError as error:
        raise DamagedError(f"cannot read {path}: {error.strerror}", _HINT) from error
    try:
        contents = _parse(data)
    except (pyarrow.ArrowException, OSError, ValueError, KeyError, TypeError, MemoryError, RecursionError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise DamagedError(f"{path} does not hold prediction rows: {reason}", _HINT) from error
    if contents is None:
        raise DamagedError(f"{path} was written by a newer sightline", "update sightline")
    return contents


def _fields(k: int) -> list[Any]:
    return [
        pyarrow.field("id", pyarrow.int64(), nullable=False),
        pyarrow.field("name", pyarrow.string(), nullable=False),
        pyarrow.field("target", pyarrow.int32(), nullable=False),
        pyarrow.field("probability", pyarrow.list_(pyarrow.float64(), k), nullable=False),
    ]


def _parse(data: bytes) -> tuple[ClassRows, list[str], list[str]] | None:
    """The contents of a file; None for a newer version. Raises what pyarrow and Python raise on anything else."""
    table = pyarrow.parquet.read_table(BytesIO(data), use_threads=False)
    about = json.loads((table.schema.metadata or {})[_KEY])
    if about["version"] > VERSION:
        return None
    classes = about["classes"]
    fields = [(f.name, f.type) for f in _fields(len(classes))]
    if [(f.name, f.type) for f in table.schema] != fields:
        raise ValueError(f"columns {', '.join(table.column_names)}, not id, name, target, probability")
    table.validate(full=True)
    ids, name_column, target, probability = (column.combine_chunks() for column in table.columns)
    names = name_column.to_pylist()
    numbers = probability.flatten().to_numpy().reshape(len(table), len(classes))  # (n, k)
    if _digest(ids.to_numpy(), names, target.to_numpy(), numbers, classes) != about["sha256"]:
        raise ValueError("the contents do not match their hash")
    rows = ClassRows(id=ids.to_numpy(), target=target.to_numpy().astype(np.int64), probability=numbers)
    return rows, [unescape_name(name) for name in names], [unescape_name(name) for name in classes]


def _digest(
    ids: np.ndarray, names: Sequence[str], target: np.ndarray, probability: np.ndarray, classes: Sequence[str]
) -> str:
    """SHA-256 over shape, numbers (little-endian) and names, so that no two different contents share their bytes."""
    digest = hashlib.sha256(json.dumps([list(probability.shape), list(names), list(classes)]).encode())
    for array, kind in ((ids, "<i8"), (target, "<i4"), (probability, "<f8")):
        digest.update(np.ascontiguousarray(array, dtype=kind).tobytes())
    return digest.hexdigest()


def escape_name(name: str) -> str:
    """Any Python string as valid UTF-8; see above."""
    return name.replace("\\", "\\\\").encode("utf-8", "backslashreplace").decode()


def unescape_name(name: str) -> str:
    """The inverse of `escape_name`."""
    return re.sub(r"\\(\\|u([0-9a-f]{4}))", lambda match: chr(int(match[2], 16)) if match[2] else "\\", name)
