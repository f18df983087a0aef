"""`predictions/<split>.parquet` of segmentations and detections: one row an image, for any reader of Parquet.

Segments: id int64, name string (the file of the image), confusion list of k · k int64 (row by row; row: true class),
boundary list of 4 int64, loss_sum double, pixels int64. Detections: id, name, height, width int64; then one list an image of
boxes (4 doubles each), label, score, found_rle and of true_boxes, true_label, true_ignore, true_rle; the masks (COCO's
compressed counts) are empty lists if there are only boxes. Labels and numbers: `label_rows`.

As in `predictions`, the schema's metadata holds the key `sightline`: JSON with the format's version, the kind of rows, the
class names and a SHA-256 of all contents; names are escaped as there. Within an image objects keep their order; rows whose
objects are not grouped by image come back grouped (the metrics are the same).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet

from sightline.errors import DamagedError
from sightline.storage.files import replace_file
from sightline.storage.reading import MAX_ROWS, read_regular
from sightline.structures.detection_rows import DetectionRows
from sightline.structures.rows.segments import SegmentRows

from .predictions import escape_name, unescape_name

VERSION = 1
_KEY = b"sightline"
_HINT = "write it again with `sightline evaluate`"
_INT, _REAL = pyarrow.int64(), pyarrow.float64()
_NOTHING: Mapping[str, Any] = {}
PAIRED = {
    "labels": ("target", "probability"),
    "numbers": ("target", "prediction"),
    "figures": ("value",),
    "sets": ("real", "made"),
    "answers": ("target", "answer"),
}  # k doubles each
_BOX = pyarrow.list_(_REAL, 4)
_PREDICTED = {"boxes": _BOX, "label": _INT, "score": _REAL, "found_rle": pyarrow.binary()}
_TRUE = {"true_boxes": _BOX, "true_label": _INT, "true_ignore": pyarrow.bool_(), "true_rle": pyarrow.binary()}


def write_segment_rows(path: Path, rows: SegmentRows, *, names: Sequence[str], classes: Sequence[str]) -> None:
    """Replace the file atomically. `names`: one an image; `classes`: one a class of the confusion counts."""
    n, k = len(rows), rows.confusion.shape[1]
    require_lengths(names, n, classes, k)
    columns = {
        "id": pyarrow.array(rows.id, _INT),
        "confusion": fixed_size_lists(rows.confusion, k * k, _INT),
        "boundary": fixed_size_lists(rows.boundary, 4, _INT),
        "loss_sum": pyarrow.array(rows.loss_sum, _REAL),
        "pixels": pyarrow.array(rows.pixels, _INT),
    }
    write_columns(path, "segments", columns, names, classes)


def read_segment_rows(path: Path) -> tuple[SegmentRows, list[str], list[str]]:
    """The rows, the name of each, and the class names. Raises DamagedError if the file was changed or is something else."""
    table, names, classes, _ = read_columns(path, "segments")
    n, k = len(names), len(classes)
    rows = SegmentRows(
        id=numbers(table["id"]),
        confusion=numbers(table["confusion"]).reshape(n, k, k),  # (n * k * k,) → (n, k, k)
        boundary=numbers(table["boundary"]).reshape(n, 4),  # (n * 4,) → (n, 4)
        loss_sum=numbers(table["loss_sum"]),
        pixels=numbers(table["pixels"]),
    )
    return rows, names, classes


def write_detection_rows(path: Path, rows: DetectionRows, *, names: Sequence[str], classes: Sequence[str]) -> None:
    """Replace the file atomically. `names`: one an image; `classes`: one a class, more than the highest label."""
    highest = max(rows.label.max(initial=-1), rows.true_label.max(initial=-1))
    require_lengths(names, len(rows), classes, max(len(classes), int(highest) + 1))
    columns = {
        "id": pyarrow.array(rows.id, _INT),
        "height": pyarrow.array(rows.size[:, 0], _INT),
        "width": pyarrow.array(rows.size[:, 1], _INT),
    }
    for image, kinds in ((rows.image, _PREDICTED), (rows.true_image, _TRUE)):
        order = np.argsort(image, kind="stable")
        counts = np.bincount(image, minlength=len(rows))
        for name, kind in kinds.items():
            columns[name] = _lists(getattr(rows, name), order, counts, kind)
    write_columns(path, "detections", columns, names, classes)


def read_detection_rows(path: Path) -> tuple[DetectionRows, list[str], list[str]]:
    """The rows, the name of each, and the class names. Raises DamagedError if the file was changed or is something else."""
    table, names, classes, _ = read_columns(path, "detections")
    of = {name: column.flatten() for name, column in table.items() if name in _PREDICTED or name in _TRUE}
    image, true_image = (
        np.repeat(np.arange(len(names)), numbers(table[x].value_lengths())) for x in ("label", "true_label")
    )
    rows = DetectionRows(
        id=numbers(table["id"]),
        size=np.stack([numbers(table["height"]), numbers(table["width"])], axis=1),
        boxes=numbers(of["boxes"]).reshape(len(image), 4),  # (p * 4,) → (p, 4)
        label=numbers(of["label"]),
        score=numbers(of["score"]),
        image=image,
        true_boxes=numbers(of["true_boxes"]).reshape(len(true_image), 4),  # (t * 4,) → (t, 4)
        true_label=numbers(of["true_label"]),
        true_image=true_image,
        true_ignore=numbers(of["true_ignore"]),
        found_rle=tuple(of["found_rle"].to_pylist()),
        true_rle=tuple(of["true_rle"].to_pylist()),
    )
    return rows, names, classes


def require_lengths(names: Sequence[str], n: int, classes: Sequence[str], k: int) -> None:
    """ValueError unless there is a name for each of n rows and of k classes."""
    if len(names) != n or len(classes) != k:
        raise ValueError(f"{len(names)} names for {n} rows, {len(classes)} classes for {k}")


def write_columns(
    path: Path,
    kind: str,
    columns: dict[str, pyarrow.Array],
    names: Sequence[str],
    classes: Sequence[str],
    beside: Mapping[str, Any] = _NOTHING,
) -> None:
    """Replace the file of that kind of rows atomically; `beside` is kept in its metadata."""
    name = pyarrow.array([escape_name(name) for name in names], pyarrow.string())
    columns = {"id": columns["id"], "name": name, **columns}
    about = {"version": VERSION, "kind": kind, "classes": [escape_name(name) for name in classes], **beside}
    about["sha256"] = _digest(about, columns)
    schema = pyarrow.schema(_fields(kind, len(classes)), metadata={_KEY: json.dumps(about).encode()})
    buffer = BytesIO()
    table = pyarrow.table(list(columns.values()), schema=schema)
    pyarrow.parquet.write_table(table, buffer, compression="zstd", use_dictionary=False)
    replace_file(path, buffer.getvalue())


def read_columns(path: Path, kind: str) -> tuple[dict[str, pyarrow.Array], list[str], list[str], dict[str, Any]]:
    """The columns, the names, the classes and the metadata of a file of this kind."""
    try:
        data = read_regular(path, MAX_ROWS)
    except OSError as error:
        raise DamagedError(f"cannot read {path}: {error.strerror}", _HINT) from error
    try:
        contents = _parse(data, kind)
    except (pyarrow.ArrowException, OSError, ValueError, KeyError, TypeError, MemoryError, RecursionError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise DamagedError(f"{path} does not hold rows of {kind}: {reason}", _HINT) from error
    if contents is None:
        raise DamagedError(f"{path} was written by a newer sightline", "update sightline")
    return contents


def _parse(data: bytes, kind: str) -> tuple[dict[str, pyarrow.Array], list[str], list[str], dict[str, Any]] | None:
    """The contents of a file; None for a newer version. Raises what pyarrow and Python raise on anything else."""
    table = pyarrow.parquet.read_table(BytesIO(data), use_threads=False)
    about = json.loads((table.schema.metadata or {})[_KEY])
    if about["version"] > VERSION:
        return None
    if about["kind"] != kind:
        raise ValueError(f"it holds rows of {about['kind']}")
    fields = [(f.name, f.type) for f in _fields(kind, len(about["classes"]))]
    if [(f.name, f.type) for f in table.schema] != fields:
        raise ValueError(f"columns {', '.join(table.column_names)}")
    table.validate(full=True)
    columns = {name: column.combine_chunks() for name, column in zip(table.column_names, table.columns, strict=True)}
    sha256 = about.pop("sha256")
    if _digest(about, columns) != sha256:
        raise ValueError("the contents do not match their hash")
    names = [unescape_name(name) for name in columns["name"].to_pylist()]
    return columns, names, [unescape_name(name) for name in about["classes"]], about


def _fields(kind: str, k: int) -> list[pyarrow.Field]:
    kinds: dict[str, Any] = {"id": _INT, "name": pyarrow.string()}
    if kind == "segments":
        kinds |= {"confusion": pyarrow.list_(_INT, k * k), "boundary": pyarrow.list_(_INT, 4)}
        kinds |= {"loss_sum": _REAL, "pixels": _INT}
    elif kind == "texts":
        kinds |= {"reference": pyarrow.list_(pyarrow.string()), "answer": pyarrow.string()}
        kinds |= dict.fromkeys(("loss", "terms", "confidence"), _REAL)
    elif kind == "image_text":
        kinds |= {"image": pyarrow.list_(_REAL, k), "text": pyarrow.list_(_REAL, k), "wording": pyarrow.string()}
    elif kind in PAIRED:
        kinds |= dict.fromkeys(PAIRED[kind], pyarrow.list_(_REAL, k))
    else:
        kinds |= {"height": _INT, "width": _INT}
        kinds |= {name: pyarrow.list_(inner) for name, inner in (_PREDICTED | _TRUE).items()}
    return [pyarrow.field(name, type_, nullable=False) for name, type_ in kinds.items()]


def fixed_size_lists(array: np.ndarray, width: int, kind: pyarrow.DataType) -> pyarrow.Array:
    """An array of one list of `width` values for each row."""
    return pyarrow.FixedSizeListArray.from_arrays(pyarrow.array(array.ravel(), kind), width)  # (n * width,)


def _lists(
    values: np.ndarray | tuple[bytes, ...], order: np.ndarray, counts: np.ndarray, kind: pyarrow.DataType
) -> pyarrow.Array:
    """One list an image; empty lists if there are no masks."""
    if isinstance(values, tuple):
        if len(values) not in (0, len(order)):
            raise ValueError(f"{len(values)} masks for {len(order)} objects")
        counts = counts if values else np.zeros_like(counts)
        inner = pyarrow.array([values[i] for i in order] if values else [], kind)
    elif kind == _BOX:
        inner = fixed_size_lists(values[order], 4, _REAL)
    else:
        inner = pyarrow.array(values[order], kind)
    offsets = pyarrow.array(np.r_[0, np.cumsum(counts)], pyarrow.int32())
    return pyarrow.ListArray.from_arrays(offsets, inner)


def numbers(column: pyarrow.Array) -> np.ndarray:
    """The values of a column, its lists concatenated."""
    flat = column.flatten() if pyarrow.types.is_fixed_size_list(column.type) else column
    return flat.to_numpy(zero_copy_only=False)


def _digest(about: dict[str, Any], columns: dict[str, pyarrow.Array]) -> str:
    """SHA-256 over kind, classes, and every column's name, lengths and little-endian contents."""
    beside = {key: value for key, value in about.items() if key not in ("version", "kind", "classes")}
    digest = hashlib.sha256(json.dumps([about["kind"], about["classes"], *([beside] if beside else [])]).encode())
    for name, column in columns.items():
        digest.update(f"{name}\n".encode())
        while pyarrow.types.is_list(column.type) or pyarrow.types.is_fixed_size_list(column.type):
            digest.update(column.value_lengths().to_numpy(zero_copy_only=False).astype("<i8").tobytes())
            column = column.flatten()
        if column.null_count:
            raise ValueError(f"missing values in {name}")
        if pyarrow.types.is_binary(column.type) or pyarrow.types.is_string(column.type):
            parts = column.cast(pyarrow.binary()).to_pylist()
            digest.update(np.array([len(part) for part in parts], dtype="<i8").tobytes())
            digest.update(b"".join(parts))
        else:
            numbers = column.to_numpy(zero_copy_only=False)
            digest.update(numbers.astype(numbers.dtype.newbyteorder("<")).tobytes())
    return digest.hexdigest()
