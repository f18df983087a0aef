"""How near the images that a generator made are to real ones, as a pure function of their features; and the file of both.

`predictions/<split>.parquet`: id int64, name string, real and made lists of d + 1 doubles: the features, then the critic's
score. Format, escaping and hash as in `stored_rows`.

Beside the distance stand its floor, the distance between two halves of the real images, and its ceiling, that of images of
uniform noise. The distance of n images is larger than that of all images would be; n is therefore always the number of the
split's images, and the floor of n / 2 is above what the same n would give.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np
import pyarrow

from sightline.evaluation.intervals import LEVEL, Interval
from sightline.evaluation.json_form import judgement_json
from sightline.evaluation.stored_rows import fixed_size_lists, numbers, read_columns, require_lengths, write_columns
from sightline.metrics.distributions import frechet_distance, kernel_distance, precision_recall
from sightline.metrics.generation.modes import regions
from sightline.randomness.keyed import permutation
from sightline.structures.rows.sets import SetRows

GROUPS = 20  # of the jackknife
MOST = 2_000  # images of which precision, recall and the kernel distance are computed: they compare all pairs
K = 3  # neighbours, as in Kynkäänniemi et al. 2019
_KIND = "sets"
_NO_INTERVAL = "it is computed once, from the images of the split"


@dataclass(frozen=True)
class SetJudgement:
    """`metrics`: frechet, frechet_floor, frechet_noise, kernel, precision, recall, regions (the share of them that is reached),
    score_real, score_made; `intervals` hold 95 %, by the jackknife over 20 groups of images, of frechet alone. `shares` of the
    real and of the made images in each region."""

    n: int
    metrics: dict[str, float | None]
    intervals: dict[str, Interval]
    reasons: dict[str, str]
    unlabelled: int = 0
    classes: tuple[str, ...] = ()
    per_class: tuple[dict[str, Any], ...] = ()
    worst: tuple[int, ...] = ()
    shares: tuple[tuple[float, ...], ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The JSON of `evaluate --json`."""
        return judgement_json(self.n, self.metrics, self.intervals, self.reasons, self.per_class)


def _means(rows: SetRows) -> dict[str, float | None]:
    """As a task reports them: the distance, and the mean scores of the critic. None of fewer than three images."""
    enough = len(rows) > 2
    return {
        "frechet": frechet_distance(rows.real, rows.made) if enough else None,
        "score_real": float(rows.score_real.mean()) if len(rows) else None,
        "score_made": float(rows.score_made.mean()) if len(rows) else None,
    }


def judge_sets(rows: SetRows, classes: Sequence[str], *, seed: int = 0) -> SetJudgement:
    """The judgement of rows; the same rows and seed give the same one."""
    metrics, interval = _means(rows), None
    shares: tuple[tuple[float, ...], ...] = ()
    if len(rows) > 2 * K + 2:
        order = permutation(len(rows), seed, "halves").numpy()
        half = len(rows) // 2
        noise = np.random.default_rng(seed).uniform(rows.real.min(), rows.real.max(), rows.real.shape)
        few = order[:MOST]
        found = regions(rows.real, rows.made, seed=seed)
        shares = (tuple(found.real.tolist()), tuple(found.made.tolist()))
        precision, recall = precision_recall(rows.made[few], rows.real[few], k=K)
        metrics |= {
            "frechet_floor": frechet_distance(rows.real[order[:half]], rows.real[order[half:]]),
            "frechet_noise": frechet_distance(rows.real, noise),
            "kernel": kernel_distance(rows.made[few], rows.real[few]),
            "precision": precision,
            "recall": recall,
            "regions": found.reached,
        }
        interval = _jackknife(rows, order)
    intervals = {name: interval if name == "frechet" else None for name in metrics}
    reasons = {name: _NO_INTERVAL for name, known in intervals.items() if known is None}
    return SetJudgement(len(rows), metrics, intervals, reasons, shares=shares)


def _jackknife(rows: SetRows, order: np.ndarray) -> Interval:
    """The interval of the distance by leaving out one of twenty groups at a time (Efron & Tibshirani 1993, chapter 11)."""
    groups = np.array_split(order, GROUPS)
    if len(groups[-1]) < 1:
        return None
    value = frechet_distance(rows.real, rows.made)
    without = [np.setdiff1d(order, group) for group in groups]
    left = np.array([frechet_distance(rows.real[rest], rows.made[rest]) for rest in without])
    spread = float(np.sqrt((GROUPS - 1) / GROUPS * ((left - left.mean()) ** 2).sum()))
    reach = NormalDist().inv_cdf((1 + LEVEL) / 2) * spread
    return max(value - reach, 0.0), value + reach


def write_set_rows(path: Path, rows: SetRows, *, names: Sequence[str], classes: Sequence[str]) -> None:
    """Replace the file atomically. `names`: one an image; the classes of the data are not written."""
    features = [*(f"feature {i}" for i in range(rows.real.shape[1])), "score"]
    require_lengths(names, len(rows), features, len(features))
    both = {"real": (rows.real, rows.score_real), "made": (rows.made, rows.score_made)}
    columns = {
        name: fixed_size_lists(np.column_stack(pair).astype(np.float64), len(features), pyarrow.float64())
        for name, pair in both.items()
    }
    write_columns(path, _KIND, {"id": pyarrow.array(rows.id, pyarrow.int64()), **columns}, names, features)


def read_set_rows(path: Path) -> tuple[SetRows, list[str], list[str]]:
    """The rows, the name of each, and no classes. Raises DamagedError if the file was changed or is something else."""
    table, names, features, _ = read_columns(path, _KIND)
    real, made = (numbers(table[name]).reshape(len(names), len(features)) for name in ("real", "made"))
    return SetRows(numbers(table["id"]), real[:, :-1], made[:, :-1], real[:, -1], made[:, -1]), names, []
