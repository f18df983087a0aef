"""How close translated images are to their true partners, and whether an image returns from its translation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from sightline.evaluation.intervals import Interval, estimate, weights_in_blocks
from sightline.evaluation.json_form import intervals_of, reasons_of
from sightline.structures.figure_rows import FigureRows

from .figures import WORST, FigureJudgement

METRICS = ("psnr", "ssim", "l1", "cycle_l1", "rounded_cycle_l1")
_DIRECTIONS = ("there", "back")


def judge_translations(rows: FigureRows, *, seed: int = 0) -> FigureJudgement:
    """Means with bootstrapped intervals over the images that have each figure (levels of 0-255; PSNR in decibels), and the
    same for each direction. Worst are those furthest from their partner; without partners those that return worst."""
    metrics, intervals, reasons = known_means(rows, METRICS, seed=seed)
    value = np.stack([rows.column(name) for name in METRICS], 1)  # (n, 5)
    known = ~np.isnan(value)
    badness = -value[:, 0] if known[:, 0].any() else value[:, METRICS.index("rounded_cycle_l1")]
    order = np.lexsort((rows.id, -np.where(np.isnan(badness), -np.inf, badness)))[:WORST]
    return FigureJudgement(
        n=len(rows),
        metrics=metrics,
        intervals=intervals,
        reasons=reasons,
        worst=tuple(int(i) for i in rows.id[order]),
        classes=_DIRECTIONS,
        per_class=tuple(
            _direction(rows, value, known, way) for way in range(2) if (rows.column("backward") == way).any()
        ),
    )


def known_means(
    rows: FigureRows, names: Sequence[str], *, seed: int = 0
) -> tuple[dict[str, float | None], dict[str, Interval], dict[str, str]]:
    """Metrics, intervals and reasons: the mean of each figure over the images that have it, None where none has."""
    value = np.stack([rows.column(name) for name in names], 1)  # (n, k)
    known = ~np.isnan(value)
    filled = np.where(known, value, 0.0)
    blocks = [
        _ratio(weight @ filled, weight @ known.astype(np.float64)) for weight in weights_in_blocks(len(rows), seed)
    ]
    drawn = np.concatenate(blocks) if len(rows) else np.zeros((0, len(names)))
    point = _ratio(filled.sum(0), known.sum(0).astype(np.float64))
    estimates = {name: estimate(float(point[k]), drawn[:, k], edges=(-np.inf, np.inf)) for k, name in enumerate(names)}
    metrics = {name: float(point[k]) if known[:, k].any() else None for k, name in enumerate(names)}
    return metrics, intervals_of(estimates), reasons_of(estimates)


def _direction(rows: FigureRows, value: np.ndarray, known: np.ndarray, way: int) -> dict[str, Any]:
    mine = rows.column("backward") == way
    figures = {
        name: float(value[mine & known[:, k], k].mean()) if (mine & known[:, k]).any() else None
        for k, name in enumerate(METRICS)
    }
    return {"class": _DIRECTIONS[way], "support": int(mine.sum()), **figures, "intervals": {}}


def _ratio(total: np.ndarray, count: np.ndarray) -> np.ndarray:
    return np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)
