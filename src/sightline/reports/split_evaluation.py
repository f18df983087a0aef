"""The saved predictions of a split and their evaluation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sightline.errors import SightlineError

from .reading import RunFiles


@dataclass(frozen=True)
class RowsFormat:
    """How rows of one kind are stored and evaluated: `write(path, rows, names=, classes=)` replaces a Parquet file,
    `read(path)` returns (rows, names, classes), `judge(rows, classes)` evaluates them."""

    write: Callable[..., None]
    read: Callable[[Path], tuple[Any, list[str], list[str]]]
    judge: Callable[[Any, Sequence[str]], Any]


@dataclass(frozen=True)
class SplitEvaluation:
    """The rows of one split and their judgement; `names[i]` is the file of row i."""

    split: str
    rows: Any
    names: tuple[str, ...]
    classes: tuple[str, ...]
    judgement: Any


def read_evaluation(folder: RunFiles, rows_format: RowsFormat | None) -> SplitEvaluation | None:
    """The test predictions if there are any, else those of validation."""
    if rows_format is None:
        return None
    for split in ("test", "val"):
        path = folder.path / "predictions" / f"{split}.parquet"
        if not path.is_file():
            continue
        try:
            rows, names, classes = rows_format.read(path)
            judgement = rows_format.judge(rows, classes)
        except (SightlineError, ValueError, OSError):
            folder.problems.append(f"predictions/{split}.parquet could not be used.")
            continue
        return SplitEvaluation(split, rows, tuple(names), tuple(classes), judgement)
    return None
