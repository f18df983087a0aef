"""Metrics of predicted numbers: absolute and squared error in the data's own units, and the share of variance explained.

mae   mean |prediction - target|
rmse  √ mean (prediction - target)²
r2    1 - Σ (prediction - target)² / Σ (target - mean of the targets)²: 1 is perfect, 0 as good as their mean, below 0 worse

Of several targets each metric is the plain mean of theirs, as scikit-learn's uniform average; of rmse as well. Entries
without a known target count nowhere. All are functions of weights for the images, (r, n), so that a bootstrap is one call.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from .counts import mean_defined, or_none

NAMES = ("mae", "rmse", "r2")


def errors_of_numbers(
    target: Float[np.ndarray, "n t"],
    prediction: Float[np.ndarray, "n t"],
    weight: Float[np.ndarray, "r n"] | None = None,
) -> dict[str, Float[np.ndarray, "r t"]]:
    """mae, rmse and r2 of each target under r sets of weights; NaN without a known target, and r2 where all are equal."""
    weight = np.ones((1, len(target))) if weight is None else weight
    known = ~np.isnan(target)
    total = weight @ known.astype(np.float64)  # (r, t)
    some = total > 0
    total = np.where(some, total, 1.0)
    filled = np.where(known, target, 0.0)
    centre = np.array([target[known[:, t], t].mean() if known[:, t].any() else 0.0 for t in range(target.shape[1])])
    shifted = np.where(known, filled - centre, 0.0)  # sums of squares of centred numbers keep their digits
    difference = np.where(known, prediction - filled, 0.0)
    squares = weight @ difference**2
    spread = weight @ shifted**2 - (weight @ shifted) ** 2 / total
    varies = spread > 1e-12 * np.maximum(weight @ shifted**2, np.finfo(np.float64).tiny)
    return {
        "mae": np.where(some, weight @ np.abs(difference) / total, np.nan),
        "rmse": np.where(some, np.sqrt(squares / total), np.nan),
        "r2": np.where(some & varies, 1 - squares / np.where(varies, spread, 1.0), np.nan),
    }


def number_metrics(
    target: Float[np.ndarray, "n t"],
    prediction: Float[np.ndarray, "n t"],
    constant: Float[np.ndarray, "t"],
    scale: Float[np.ndarray, "t"] | None = None,
) -> dict[str, float | None]:
    """mae, rmse, r2, and mae_of_mean and rmse_of_mean of predicting `constant` for every image; with `scale`, loss: the mean of
    all squared errors in units of it. None: undefined."""
    own = errors_of_numbers(target, prediction)
    flat = errors_of_numbers(target, np.broadcast_to(constant, target.shape))
    metrics = {name: or_none(float(mean_defined(own[name])[0])) for name in NAMES}
    if scale is not None:
        squares = ((prediction - target) / scale) ** 2
        metrics["loss"] = or_none(float(np.nanmean(squares))) if not np.isnan(target).all() else None
    return metrics | {f"{name}_of_mean": or_none(float(mean_defined(flat[name])[0])) for name in ("mae", "rmse")}
