"""The mean of figures of single images, such as a loss, with intervals; and their file.

`predictions/<split>.parquet`: id int64, name string, and a list of doubles, one for each figure; their names take the place of
classes. Format, escaping and hash as in `stored_rows`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
from jaxtyping import Float

from sightline.evaluation.intervals import Interval, estimate, weights_in_blocks
from sightline.evaluation.json_form import intervals_of, judgement_json, reasons_of
from sightline.evaluation.stored_rows import fixed_size_lists, numbers, read_columns, require_lengths, write_columns
from sightline.structures.figure_rows import FigureRows

WORST = 50  # images
_KIND = "figures"


@dataclass(frozen=True)
class FigureJudgement:
    """`metrics` are means over the n images; `intervals` hold 95 %; `worst` are ids of the 50 worst images, worst first."""

    n: int
    metrics: dict[str, float | None]
    intervals: dict[str, Interval]
    reasons: dict[str, str]
    worst: tuple[int, ...]
    unlabelled: int = 0
    classes: tuple[str, ...] = ()
    per_class: tuple[dict[str, Any], ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The JSON of `evaluate --json`."""
        return judgement_json(self.n, self.metrics, self.intervals, self.reasons, self.per_class)


def means_of(rows: FigureRows, names: Sequence[str]) -> dict[str, float | None]:
    """The mean of each of these figures; None without images."""
    return {name: float(rows.column(name).mean()) if len(rows) else None for name in names}


def judge_figures(rows: FigureRows, names: Sequence[str], *, better: str, seed: int = 0) -> FigureJudgement:
    """The judgement of rows: means of `names` with bootstrapped intervals. `better`: "lower" or "higher" values of the first
    are better, which decides what is worst."""
    columns: Float[np.ndarray, "n k"] = np.stack([rows.column(name) for name in names], 1)
    blocks = [weight @ columns / max(len(rows), 1) for weight in weights_in_blocks(len(rows), seed)]
    drawn = np.concatenate(blocks) if len(rows) else np.zeros((0, len(names)))
    estimates = {
        name: estimate(float(columns[:, k].mean()) if len(rows) else np.nan, drawn[:, k], edges=(-np.inf, np.inf))
        for k, name in enumerate(names)
    }
    order = np.lexsort((rows.id, columns[:, 0] if better == "higher" else -columns[:, 0]))[:WORST]
    return FigureJudgement(
        n=len(rows),
        metrics=means_of(rows, names),
        intervals=intervals_of(estimates),
        reasons=reasons_of(estimates),
        worst=tuple(int(i) for i in rows.id[order]),
    )


def write_figure_rows(path: Path, rows: FigureRows, *, names: Sequence[str], classes: Sequence[str]) -> None:
    """Replace the file atomically. `names`: one an image; the classes of the data are not written."""
    k = len(rows.names)
    require_lengths(names, len(rows), rows.names, k)
    value = fixed_size_lists(np.asarray(rows.value, np.float64), k, pyarrow.float64())
    write_columns(path, _KIND, {"id": pyarrow.array(rows.id, pyarrow.int64()), "value": value}, names, rows.names)


def read_figure_rows(path: Path) -> tuple[FigureRows, list[str], list[str]]:
    """The rows, the name of each, and no classes. Raises DamagedError if the file was changed or is something else."""
    table, names, figures, _ = read_columns(path, _KIND)
    value = numbers(table["value"]).reshape(len(names), len(figures))
    return FigureRows(numbers(table["id"]), value, tuple(figures)), names, []
