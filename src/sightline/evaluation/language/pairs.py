"""The judgement of images beside their texts: recalls with intervals; and their file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow

from sightline.evaluation.intervals import Estimate, Interval
from sightline.evaluation.json_form import intervals_of, judgement_json, reasons_of
from sightline.evaluation.stored_rows import fixed_size_lists, numbers, read_columns, require_lengths, write_columns
from sightline.metrics.proportions import wilson
from sightline.metrics.texts.retrieval import NAMES, hits_of, retrieval_metrics
from sightline.structures.rows.pairs import PairRows

from .texts import WORST, Z

_KIND = "image_text"


@dataclass(frozen=True)
class PairJudgement:
    """`worst` are ids of the images whose own text is farthest behind the best one."""

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


def judge_pairs(rows: PairRows, classes: Sequence[str] = ()) -> PairJudgement:
    """Recalls with Wilson's intervals: queries are taken as independent, the gallery as given."""
    n, metrics = len(rows), retrieval_metrics(rows)
    estimates = {
        name: Estimate(None, "undefined") if value is None else Estimate(wilson(value, n, Z))
        for name, value in metrics.items()
    }
    worst: tuple[int, ...] = ()
    if n:
        likeness = rows.image @ rows.text.T
        behind = likeness.max(1) - likeness.diagonal()
        missed = np.flatnonzero(~hits_of(rows)[0])
        worst = tuple(int(i) for i in rows.id[missed[np.lexsort((rows.id[missed], -behind[missed]))]][:WORST])
    return PairJudgement(n, metrics, intervals_of(estimates), reasons_of(estimates), worst)


def write_pair_rows(path: Path, rows: PairRows, *, names: Sequence[str], classes: Sequence[str]) -> None:
    """Replace the file atomically. `names`: one a sample; the coordinates take the place of classes."""
    d = rows.image.shape[1]
    require_lengths(names, len(rows), (), 0)
    columns = {"id": pyarrow.array(rows.id, pyarrow.int64())}
    for name in ("image", "text"):
        columns[name] = fixed_size_lists(np.asarray(getattr(rows, name), np.float64), d, pyarrow.float64())
    columns["wording"] = pyarrow.array(list(rows.wording), pyarrow.string())
    write_columns(path, _KIND, columns, names, [str(i) for i in range(d)])


def read_pair_rows(path: Path) -> tuple[PairRows, list[str], list[str]]:
    """The rows, the name of each, and no classes. Raises DamagedError if the file was changed or is something else."""
    table, names, axes, _ = read_columns(path, _KIND)
    image, text = (numbers(table[name]).reshape(len(names), len(axes)) for name in ("image", "text"))
    return PairRows(numbers(table["id"]), image, text, tuple(table["wording"].to_pylist())), names, []


__all__ = ["NAMES", "PairJudgement", "judge_pairs", "read_pair_rows", "write_pair_rows"]
