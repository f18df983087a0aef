"""`predictions/<split>.parquet` of several labels, or numbers, for each image: one row an image, for any reader of Parquet.

Labels: id int64, name string, target and probability lists of k doubles (NaN: unknown); the threshold is in the metadata.
Numbers: the same with target and prediction, one for each target, in the data's own units; the metadata hold the constant
with which they are compared, and the scale in which their loss is measured. Format, escaping and hash as in `stored_rows`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow

from sightline.errors import DamagedError
from sightline.structures.label_rows import LabelRows, NumberRows

from .stored_rows import fixed_size_lists, numbers, read_columns, require_lengths, write_columns

_REAL = pyarrow.float64()


def write_label_rows(path: Path, rows: LabelRows, *, names: Sequence[str], classes: Sequence[str]) -> None:
    """Replace the file atomically. `names`: one an image; `classes`: one a label."""
    columns = _columns(rows.id, {"target": rows.target, "probability": rows.probability}, names, classes)
    write_columns(path, "labels", columns, names, classes, {"threshold": rows.threshold})


def read_label_rows(path: Path) -> tuple[LabelRows, list[str], list[str]]:
    """The rows, the name of each, and the labels. Raises DamagedError if the file was changed or is something else."""
    table, names, classes, about = read_columns(path, "labels")
    target, probability = (_matrix(table[name], len(names), len(classes)) for name in ("target", "probability"))
    threshold = about.get("threshold")
    if not isinstance(threshold, float):
        raise DamagedError(f"{path} names no threshold", "write it again with `sightline evaluate`")
    return LabelRows(numbers(table["id"]), target, probability, threshold), names, classes


def write_number_rows(path: Path, rows: NumberRows, *, names: Sequence[str], classes: Sequence[str]) -> None:
    """Replace the file atomically. `names`: one an image; `classes`: one a target."""
    columns = _columns(rows.id, {"target": rows.target, "prediction": rows.prediction}, names, classes)
    write_columns(
        path, "numbers", columns, names, classes, {"constant": rows.constant.tolist(), "scale": rows.scale.tolist()}
    )


def read_number_rows(path: Path) -> tuple[NumberRows, list[str], list[str]]:
    """The rows, the name of each, and the targets. Raises DamagedError if the file was changed or is something else."""
    table, names, classes, about = read_columns(path, "numbers")
    target, prediction = (_matrix(table[name], len(names), len(classes)) for name in ("target", "prediction"))
    beside = [about.get(name) for name in ("constant", "scale")]
    if not all(isinstance(values, list) and len(values) == len(classes) for values in beside):
        raise DamagedError(f"{path} names no constant or no scale", "write it again with `sightline evaluate`")
    constant, scale = (np.array(values, np.float64) for values in beside)
    return NumberRows(numbers(table["id"]), target, prediction, constant, scale), names, classes


def _columns(
    ids: np.ndarray, arrays: dict[str, np.ndarray], names: Sequence[str], classes: Sequence[str]
) -> dict[str, pyarrow.Array]:
    k = arrays["target"].shape[1]
    require_lengths(names, len(ids), classes, k)
    lists = {name: fixed_size_lists(np.asarray(array, np.float64), k, _REAL) for name, array in arrays.items()}
    return {"id": pyarrow.array(ids, pyarrow.int64()), **lists}


def _matrix(column: pyarrow.Array, n: int, k: int) -> np.ndarray:
    return numbers(column).reshape(n, k)  # (n * k,) → (n, k)
