"""The evaluation of predicted numbers, as a pure function of its rows.

Intervals are bootstrapped over images (`intervals`); those of errors have no upper end that they could reach, so they are
plain percentiles. Every figure stands beside that of a constant, the mean of the training images.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from sightline.metrics.counts import mean_defined, or_none
from sightline.metrics.regression import NAMES, errors_of_numbers, number_metrics
from sightline.structures.rows.labels import NumberRows

from .intervals import Estimate, Interval, estimate, weights_in_blocks
from .json_form import intervals_of, judgement_json, reasons_of

WORST = 50  # images
_ANYTHING = (-np.inf, np.inf)
_LACKING = "all values are equal"


@dataclass(frozen=True)
class NumberJudgement:
    """n               images with a known value; `unlabelled` the others
    metrics, intervals  mae, rmse, r2, mae_of_mean, rmse_of_mean, loss; None where undefined; intervals hold 95 %; `reasons` why
                    one has none
    per_class       a dictionary a target, in order: class (its name), support (images in which it is known), mae, rmse, r2,
                    mae_of_mean, rmse_of_mean, intervals, reasons
    worst           ids of the 50 images with the largest error, largest first; of several targets by the largest error in
                    units of its standard deviation
    """

    n: int
    unlabelled: int
    classes: tuple[str, ...]
    metrics: dict[str, float | None]
    intervals: dict[str, Interval]
    reasons: dict[str, str]
    per_class: tuple[dict[str, Any], ...]
    worst: tuple[int, ...]

    def to_json(self) -> dict[str, Any]:
        """The JSON of `evaluate --json`: n, metrics, intervals, per_class by the name of the target."""
        return judgement_json(self.n, self.metrics, self.intervals, self.reasons, self.per_class)


def judge_numbers(rows: NumberRows, classes: Sequence[str], *, seed: int = 0) -> NumberJudgement:
    """Evaluate predicted numbers from their rows; the same rows and seed give the same judgement. `classes` are the names of
    the t targets; they must differ."""
    t = rows.target.shape[1]
    if len(classes) != t or len(set(classes)) != t:
        raise ValueError(f"{len(set(classes))} different names for {t} targets")
    known = rows.take(~np.isnan(rows.target).all(1))
    n = len(known)
    values = _with_constant(known, None)
    blocks = [_with_constant(known, weight) for weight in weights_in_blocks(n, seed)]
    drawn = {name: np.concatenate([block[name] for block in blocks]) for name in values}
    estimates = {name: _estimate(mean_defined(x)[0], mean_defined(drawn[name])) for name, x in values.items()}
    metrics = number_metrics(known.target, known.prediction, known.constant, known.scale)
    loss = metrics["loss"]
    estimates["loss"] = _estimate(np.nan if loss is None else loss, _losses(known, seed))
    return NumberJudgement(
        n=n,
        unlabelled=len(rows) - n,
        classes=tuple(classes),
        metrics=metrics,
        intervals=intervals_of(estimates),
        reasons=reasons_of(estimates),
        per_class=_per_target(known, classes, values, drawn),
        worst=_worst(known),
    )


def _with_constant(rows: NumberRows, weight: Float[np.ndarray, "r n"] | None) -> dict[str, Float[np.ndarray, "r t"]]:
    flat = np.broadcast_to(rows.constant, rows.target.shape)
    own = errors_of_numbers(rows.target, rows.prediction, weight)
    constant = errors_of_numbers(rows.target, flat, weight)
    return {name: own[name] for name in NAMES} | {f"{name}_of_mean": constant[name] for name in ("mae", "rmse")}


def _losses(rows: NumberRows, seed: int) -> Float[np.ndarray, "r"]:
    """The loss of each resample of the images."""
    squares = np.nan_to_num(((rows.prediction - rows.target) / rows.scale) ** 2).sum(1)  # (n,)
    known = (~np.isnan(rows.target)).sum(1).astype(np.float64)
    blocks = [(weight @ squares) / np.maximum(weight @ known, 1.0) for weight in weights_in_blocks(len(rows), seed)]
    return np.concatenate(blocks)


def _estimate(value: float, drawn: Float[np.ndarray, "r"]) -> Estimate:
    if np.isnan(value):
        return Estimate(None, "undefined: no value is known, or all are equal")
    return estimate(float(value), drawn, edges=_ANYTHING, lacking=_LACKING)


def _per_target(
    rows: NumberRows,
    classes: Sequence[str],
    values: dict[str, Float[np.ndarray, "1 t"]],
    drawn: dict[str, Float[np.ndarray, "r t"]],
) -> tuple[dict[str, Any], ...]:
    known = (~np.isnan(rows.target)).sum(0)
    found = []
    for t, name in enumerate(classes):
        estimates = {column: _estimate(x[0, t], drawn[column][:, t]) for column, x in values.items()}
        row = {"class": name, "support": int(known[t])}
        row |= {column: or_none(float(x[0, t])) for column, x in values.items()}
        found.append(row | {"intervals": intervals_of(estimates), "reasons": reasons_of(estimates)})
    return tuple(found)


def _worst(rows: NumberRows) -> tuple[int, ...]:
    error = np.where(np.isnan(rows.target), 0.0, np.abs(rows.prediction - rows.target))
    spread = np.array([np.nanstd(column) for column in rows.target.T]) if len(rows) else np.ones(rows.target.shape[1])
    largest = (error / np.where(spread > 0, spread, 1.0)).max(1, initial=0.0)
    order = np.lexsort((rows.id, -largest))[:WORST]  # largest first, then by id
    return tuple(int(i) for i in rows.id[order])
