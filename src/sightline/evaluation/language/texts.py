"""The judgement of written answers: metrics with intervals (`metrics.texts.measures` defines them); and their file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np
import pyarrow

from sightline.evaluation.intervals import LEVEL, Estimate, Interval, estimate, weights_in_blocks
from sightline.evaluation.json_form import intervals_of, judgement_json, reasons_of
from sightline.evaluation.stored_rows import numbers, read_columns, require_lengths, write_columns
from sightline.metrics.proportions import wilson
from sightline.metrics.texts.measures import CHARACTERS, EDITS, KNOWN, METRICS, from_sums, named, sums_of
from sightline.structures.rows.texts import TextRows

WORST = 50  # samples
Z = NormalDist().inv_cdf((1 + LEVEL) / 2)
_KIND = "texts"


@dataclass(frozen=True)
class TextJudgement:
    """`metrics` over the n samples; `intervals` hold 95 %; `worst` are ids of the 50 worst samples, worst first: those with
    the most edits by the length of the truth."""

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


def judge_texts(rows: TextRows, classes: Sequence[str] = (), *, seed: int = 0) -> TextJudgement:
    """The metrics with bootstrapped intervals over the samples."""
    sums = sums_of(rows)
    drawn = [from_sums(weight @ sums) for weight in weights_in_blocks(len(rows), seed) if len(rows)]
    resampled = np.concatenate(drawn, 1) if drawn else np.zeros((len(METRICS), 0))
    values = from_sums(sums.sum(0)[None])[:, 0]
    edges = {"character_error": (0.0, np.inf), "loss": (0.0, np.inf)}
    estimates = {
        name: estimate(float(value), draws, edges=edges.get(name, (0.0, 1.0)))
        for name, value, draws in zip(METRICS, values, resampled, strict=True)
    }
    counted = float(sums[:, KNOWN].sum())
    if counted:  # a share of independent samples, which resampling does not spread at its ends
        bounds = wilson(float(values[0]), int(counted), Z)
        estimates["exact"] = Estimate(bounds)
    known = np.flatnonzero(sums[:, KNOWN] > 0)
    error = sums[known, EDITS] / np.maximum(sums[known, CHARACTERS], 1)
    order = known[np.lexsort((rows.id[known], rows.confidence[known], -error))]
    return TextJudgement(
        n=len(rows),
        metrics=named(values),
        intervals=intervals_of(estimates),
        reasons=reasons_of(estimates),
        worst=tuple(int(i) for i in rows.id[order][:WORST]),
        unlabelled=len(rows) - len(known),
    )


def write_text_rows(path: Path, rows: TextRows, *, names: Sequence[str], classes: Sequence[str]) -> None:
    """Replace the file atomically. `names`: one a sample; the classes of the data are not written."""
    require_lengths(names, len(rows), (), 0)
    columns = {
        "id": pyarrow.array(rows.id, pyarrow.int64()),
        "reference": pyarrow.array([list(texts) for texts in rows.reference], pyarrow.list_(pyarrow.string())),
        "answer": pyarrow.array(list(rows.answer), pyarrow.string()),
        **{name: pyarrow.array(getattr(rows, name), pyarrow.float64()) for name in ("loss", "terms", "confidence")},
    }
    write_columns(path, _KIND, columns, names, ())


def read_text_rows(path: Path) -> tuple[TextRows, list[str], list[str]]:
    """The rows, the name of each, and no classes. Raises DamagedError if the file was changed or is something else."""
    table, names, _, _ = read_columns(path, _KIND)
    figures = [numbers(table[name]) for name in ("loss", "terms", "confidence")]
    reference = tuple(tuple(texts) for texts in table["reference"].to_pylist())
    return TextRows(numbers(table["id"]), reference, tuple(table["answer"].to_pylist()), *figures), names, []
