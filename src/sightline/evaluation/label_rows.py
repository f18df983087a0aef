"""`predictions/<split>.parquet` of several labels, numbers, or answers for each image: a row an image, for any reader.

Labels: id int64, name string, target and probability lists of k doubles (NaN: unknown); the threshold is in the metadata.
Numbers: the same with target and prediction, one for each target, in the data's own units; the metadata hold the constant
with which they are compared, and the scale in which their loss is measured. Answers to several questions: target and
answer, one for each entry; the metadata hold the questions, constants, scales and thresholds. Format, escaping and hash as
in `stored_rows`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow

from sightline.errors import DamagedError
from sightline.structures.heads import heads_of
from sightline.structures.rows.labels import AnswerRows, LabelRows, NumberRows

from .stored_rows import fixed_size_lists, numbers, read_columns, require_lengths, write_columns

_REAL = pyarrow.float64()
_BESIDE = ("constant", "scale", "threshold")  # k numbers each, in the metadata


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


def write_answer_rows(path: Path, rows: AnswerRows, *, names: Sequence[str], classes: Sequence[str]) -> None:
    """Replace the file atomically. `names`: one an image; `classes`: one an entry of the questions."""
    columns = _columns(rows.id, {"target": rows.target, "answer": rows.answer}, names, classes)
    beside = {name: getattr(rows, name).tolist() for name in _BESIDE}
    write_columns(path, "answers", columns, names, classes, {"heads": [h.to_json() for h in rows.heads], **beside})


def read_answer_rows(path: Path) -> tuple[AnswerRows, list[str], list[str]]:
    """The rows, the name of each, and the entries. Raises DamagedError if the file was changed or is something else."""
    table, names, classes, about = read_columns(path, "answers")
    target, answer = (_matrix(table[name], len(names), len(classes)) for name in ("target", "answer"))
    try:
        heads = heads_of(about["heads"])
        constant, scale, threshold = (np.array(about[name], np.float64).reshape(len(classes)) for name in _BESIDE)
    except (KeyError, TypeError, ValueError) as error:
        raise DamagedError(f"{path} names no questions", "write it again with `sightline evaluate`") from error
    return AnswerRows(numbers(table["id"]), target, answer, heads, constant, scale, threshold), names, classes


def _columns(
    ids: np.ndarray, arrays: dict[str, np.ndarray], names: Sequence[str], classes: Sequence[str]
) -> dict[str, pyarrow.Array]:
    k = arrays["target"].shape[1]
    require_lengths(names, len(ids), classes, k)
    lists = {name: fixed_size_lists(np.asarray(array, np.float64), k, _REAL) for name, array in arrays.items()}
    return {"id": pyarrow.array(ids, pyarrow.int64()), **lists}


def _matrix(column: pyarrow.Array, n: int, k: int) -> np.ndarray:
    return numbers(column).reshape(n, k)  # (n * k,) → (n, k)
