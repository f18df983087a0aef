"""Rows of vectors as Parquet: id, name, identity and three lists a row; what all rows share is in the metadata."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet

from sightline.errors import DamagedError
from sightline.evaluation.predictions import escape_name, unescape_name
from sightline.storage.files import replace_file
from sightline.storage.reading import MAX_ROWS, read_regular
from sightline.structures.vector_rows import VECTORS, VectorRows

VERSION = 1
_KEY = b"sightline"
_HINT = "write it again with `sightline evaluate`"


def write_vector_rows(path: Path, rows: VectorRows, *, names: Sequence[str], classes: Sequence[str]) -> None:
    """Replace the file atomically. `names`: one an image; `classes`: the identities."""
    if len(names) != len(rows):
        raise ValueError(f"{len(names)} names for {len(rows)} rows")
    arrays = {name: np.ascontiguousarray(getattr(rows, name), np.float64) for name in VECTORS}
    columns = {
        "id": pyarrow.array(rows.id, pyarrow.int64()),
        "name": pyarrow.array([escape_name(name) for name in names], pyarrow.string()),
        "identity": pyarrow.array(rows.identity, pyarrow.int64()),
    } | {
        name: pyarrow.FixedSizeListArray.from_arrays(pyarrow.array(array.ravel(), pyarrow.float64()), array.shape[1])
        for name, array in arrays.items()
    }
    about: dict[str, Any] = {
        "version": VERSION,
        "kind": "vectors",
        "classes": [escape_name(name) for name in classes],
        "weight": rows.weight.tolist(),
        "bias": rows.bias,
        "threshold": None if np.isnan(rows.threshold) else rows.threshold,
        "ways": rows.ways,
    }
    about["sha256"] = _digest(about, rows, names)
    table = pyarrow.table(columns).replace_schema_metadata({_KEY: json.dumps(about).encode()})
    buffer = BytesIO()
    pyarrow.parquet.write_table(table, buffer, compression="zstd", use_dictionary=False)
    replace_file(path, buffer.getvalue())


def read_vector_rows(path: Path) -> tuple[VectorRows, list[str], list[str]]:
    """The rows, the name of each, and the identities. Raises DamagedError if the file was changed or is something else."""
    try:
        table = pyarrow.parquet.read_table(BytesIO(read_regular(path, MAX_ROWS)), use_threads=False)
        about = json.loads((table.schema.metadata or {})[_KEY])
        if about["kind"] != "vectors" or about["version"] > VERSION:
            raise ValueError(f"it holds rows of {about['kind']}, version {about['version']}")
        rows = _rows(table, about)
        names = [unescape_name(name) for name in table["name"].to_pylist()]
        sha256 = about.pop("sha256")
        if _digest(about, rows, names) != sha256:
            raise ValueError("the contents do not match their hash")
        return rows, names, [unescape_name(name) for name in about["classes"]]
    except OSError as error:
        raise DamagedError(f"cannot read {path}: {error.strerror or error}", _HINT) from error
    except (pyarrow.ArrowException, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise DamagedError(f"{path} does not hold rows of vectors: {reason}", _HINT) from error


def _rows(table: pyarrow.Table, about: dict[str, Any]) -> VectorRows:
    arrays = {}
    for name in VECTORS:
        column = table[name].combine_chunks()
        flat = column.flatten().to_numpy(zero_copy_only=False)
        arrays[name] = flat.reshape(len(table), column.type.list_size)  # (n * d,) → (n, d)
    threshold = about["threshold"]
    return VectorRows(
        id=table["id"].to_numpy(),
        identity=table["identity"].to_numpy(),
        **arrays,
        weight=np.array(about["weight"], np.float64),
        bias=float(about["bias"]),
        threshold=np.nan if threshold is None else float(threshold),
        ways=int(about["ways"]),
    )


def _digest(about: dict[str, Any], rows: VectorRows, names: Sequence[str]) -> str:
    """SHA-256 over what the rows share, and every column."""
    digest = hashlib.sha256(json.dumps(about, sort_keys=True).encode())
    digest.update(json.dumps([escape_name(name) for name in names]).encode())
    for name in ("id", "identity"):
        digest.update(getattr(rows, name).astype("<i8").tobytes())
    for name in VECTORS:
        array = getattr(rows, name)
        digest.update(str(array.shape).encode() + np.ascontiguousarray(array).astype("<f8").tobytes())
    return digest.hexdigest()
