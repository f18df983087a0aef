"""Whether images whose attributes were changed one at a time have what they were to have, overall and for each attribute."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float

from sightline.evaluation.intervals import estimate, weights_in_blocks
from sightline.evaluation.json_form import intervals_of, reasons_of
from sightline.structures.figure_rows import FigureRows

from .figures import WORST, FigureJudgement

METRICS = ("edited", "changed", "kept", "psnr")
_CHANGED = "changed "  # before the name of an attribute: a figure of its own


def judge_edits(rows: FigureRows, *, seed: int = 0) -> FigureJudgement:
    """Means with bootstrapped intervals over the images that have each figure; for each attribute the share of edits that
    changed it and the share of the other attributes that they kept. Worst are the images with the fewest right edits."""
    value = np.stack([rows.column(name) for name in METRICS], 1)  # (n, 4)
    known = ~np.isnan(value)
    filled = np.where(known, value, 0.0)
    blocks = [_ratio(weight @ filled, weight @ known.astype(float)) for weight in weights_in_blocks(len(rows), seed)]
    drawn = np.concatenate(blocks) if len(rows) else np.zeros((0, len(METRICS)))
    point = _ratio(filled.sum(0), known.sum(0).astype(float))
    estimates = {
        name: estimate(float(point[k]), drawn[:, k], edges=(-np.inf, np.inf) if name == "psnr" else (0.0, 1.0))
        for k, name in enumerate(METRICS)
    }
    classes = tuple(name.removeprefix(_CHANGED) for name in rows.names if name.startswith(_CHANGED))
    order = np.lexsort((rows.id, np.where(known[:, 0], value[:, 0], np.inf)))[:WORST]
    return FigureJudgement(
        n=int(known[:, 0].sum()),
        metrics={name: float(point[k]) if known[:, k].any() else None for k, name in enumerate(METRICS)},
        intervals=intervals_of(estimates),
        reasons=reasons_of(estimates),
        worst=tuple(int(i) for i in rows.id[order]),
        classes=classes,
        per_class=tuple(_attribute(rows, name) for name in classes),
    )


def _attribute(rows: FigureRows, name: str) -> dict[str, Any]:
    changed, kept = rows.column(f"{_CHANGED}{name}"), rows.column(f"kept {name}")
    figures = {"changed": _mean(changed), "kept": _mean(kept)}
    return {"class": name, "support": int((~np.isnan(changed)).sum()), **figures, "intervals": {}}


def _mean(values: Float[np.ndarray, "n"]) -> float | None:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else None


def _ratio(total: np.ndarray, count: np.ndarray) -> np.ndarray:
    return np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)
