"""How sure is a metric? Percentile intervals from the bootstrap (Efron 1979; Efron & Tibshirani 1993, ch. 13).

Each resample draws n of the n images with replacement and every metric is computed again; the interval spans the
middle 95 % of the values. The draws are hash(seed, "bootstrap", resample, place): an interval is a function of rows and
seed, and two classifiers evaluated on the same images with the same seed get the same resamples. The bootstrap assumes
independent images: frames of one video make the interval too narrow, and so does a test set of a few dozen images.

ECE is biased upwards: it is never negative, so noise raises it, and resampling adds noise a second time. The percentile
interval lies too high. ECE therefore gets the reverse percentile ("basic") interval, 2 · value - quantiles, clipped at 0
and extended to the value where it would miss it. Coverage in a simulation with 5 classes and a true ECE of 0.10: with
200 images 72 % (percentile) and 90 % (reverse); with 2,000 images 95 % both. If the true ECE is 0, the percentile
interval never covers it, the reverse one half the time.

A resample in which a metric is undefined (a class is missing) is left out. If the metric itself is undefined, or more
than a tenth of the resamples are left out, there is no interval (None): it would describe a selection. If all answers
are right, or all wrong, the resamples do not vary and there is no interval either, except for proportions of images
(accuracy, top-5, a class's precision and recall), which get Wilson's. AUC has no interval beyond n · k = 5,000,000,
because its cost grows with that product.
"""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float

from sightline.metrics.calibration import BINS, confidence_bin
from sightline.metrics.classification import Measurement, PreparedRows, measure, measure_weighted
from sightline.metrics.counts import Counts, WeightedMetrics, rate
from sightline.randomness.keyed import integers, uniform

Interval = tuple[float, float] | None

RESAMPLES = 1000
LEVEL = 0.95
LARGEST_RANKED = 5_000_000  # n · k up to which AUC is resampled
_CLASS_MEANS = ("balanced_accuracy", "macro_f1", "auc")  # means over the classes that occur
_REVERSED = ("ece",)  # biased upwards: reverse percentile intervals
_PROPORTIONS = ("accuracy", "top5")  # of images
_BLOCK = 1 << 17  # weights at a time: they fit into a cache
_MAX_UNDEFINED = 0.1  # share of the resamples


class Intervals(NamedTuple):
    """`metrics` by name; `per_class` by rate name (precision, recall, f1), one interval a class."""

    metrics: dict[str, Interval]
    per_class: dict[str, list[Interval]]


def wilson(share: float, n: int, z: float) -> tuple[float, float]:
    """The score interval of a proportion of n (Wilson 1927): it stays inside [0, 1] and keeps its coverage near both ends."""
    if n == 0:
        return 0.0, 1.0
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return max(0.0, centre - half), min(1.0, centre + half)


def resample_weights(n: int, seed: int, resamples: range) -> Float[np.ndarray, "r n"]:
    """How often each of n samples is drawn in each of the resamples; each row sums to n."""
    which = torch.arange(resamples.start, resamples.stop)[:, None]  # (r, 1)
    drawn = integers(n, seed, "bootstrap", which, torch.arange(n)).numpy()  # (r, n)
    cells = (drawn + n * np.arange(len(resamples))[:, None]).ravel()  # (r * n,)
    return np.bincount(cells, minlength=len(resamples) * n).reshape(len(resamples), n).astype(np.float64)


def interval(values: Float[np.ndarray, "r"], level: float = LEVEL) -> Interval:
    """The middle `level` of the resampled values; None if more than a tenth of them are undefined (NaN)."""
    defined = values[~np.isnan(values)]
    if len(defined) < (1 - _MAX_UNDEFINED) * len(values) or not len(defined):
        return None
    low, high = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def bootstrap(prepared: PreparedRows, *, seed: int = 0, resamples: int = RESAMPLES, level: float = LEVEL) -> Intervals:
    """Intervals of all metrics and of each class's precision, recall and F1.

    10,000 samples of 10 classes and 1,000 resamples take about half a second on one core.
    """
    value, n = measure(prepared), len(prepared)
    block = max(1, _BLOCK // max(n, 1))
    blocks = [range(r, min(r + block, resamples)) for r in range(0, resamples if n else 0, block)]
    drawn = [_mask_incomplete(measure_weighted(prepared, resample_weights(n, seed, b)), value) for b in blocks]
    metrics = {
        name: _interval_around(point, _concatenate([d.metrics[name] for d in drawn]), level, reverse=name in _REVERSED)
        for name, point in value.metrics.items()
    }
    z = NormalDist().inv_cdf((1 + level) / 2)
    metrics |= {name: _or_wilson(value.metrics[name], metrics[name], n, z) for name in _PROPORTIONS if name in metrics}
    counts = Counts(*(_concatenate([d.counts[i] for d in drawn], prepared.classes) for i in range(4)))  # (r, k) each
    per_class = {}
    for name, formula in {"precision": "precision", "recall": "recall", "f1": "f_beta"}.items():
        points, values = rate(formula, value.counts), rate(formula, counts)  # (k,), (r, k)
        per_class[name] = [_interval_around(float(point), values[:, c], level) for c, point in enumerate(points)]
    denominators = {"precision": value.counts.tp + value.counts.fp, "recall": value.counts.tp + value.counts.fn}
    for name, denominator in denominators.items():
        points = rate(name, value.counts)
        per_class[name] = [
            _or_wilson(float(point), known, int(m), z)
            for point, known, m in zip(points, per_class[name], denominator, strict=True)
        ]
    return Intervals(
        {name: drop_degenerate(known) for name, known in metrics.items()},
        {name: [drop_degenerate(known) for known in row] for name, row in per_class.items()},
    )


def ece_by_chance(confidence: Float[np.ndarray, "n"], *, seed: int = 0, draws: int = 400) -> float | None:
    """The 95th percentile of the ECE of a perfectly calibrated classifier with these confidences (n,); None without any.

    Consistency resampling (Bröcker & Smith 2007, "Increasing the reliability of reliability diagrams"): whether each
    answer is right is drawn from its own confidence. Of more than 20,000 confidences about 10,000 are used, evenly
    spaced: fewer samples can only raise the result, which is then below 0.02 anyway.
    """
    confidence = confidence[:: max(1, len(confidence) // 10_000)]
    n = len(confidence)
    if not n:
        return None
    where = np.eye(BINS)[confidence_bin(confidence)]  # (n, bins)
    block = max(1, _BLOCK // n)
    errors = []
    for start in range(0, draws, block):
        which = torch.arange(start, min(start + block, draws))[:, None]  # (r, 1)
        right = uniform(seed, "calibrated", which, torch.arange(n)).numpy() < confidence  # (r, n)
        errors.append(np.abs((right - confidence) @ where).sum(1) / n)  # (r,)
    return float(np.quantile(np.concatenate(errors), 0.95))


def _mask_incomplete(drawn: WeightedMetrics, value: Measurement) -> WeightedMetrics:
    """Means over classes become NaN in resamples that lack one of the classes: a mean over the rest is another quantity."""
    present = (value.counts.tp + value.counts.fn) > 0  # (k,)
    missing = ((drawn.counts.tp + drawn.counts.fn) == 0)[:, present].any(1)  # (r,)
    means = {name: np.where(missing, np.nan, drawn.metrics[name]) for name in _CLASS_MEANS if name in drawn.metrics}
    return WeightedMetrics({**drawn.metrics, **means}, drawn.counts)


def _or_wilson(share: float, known: Interval, n: int, z: float) -> Interval:
    """Wilson's interval where all answers are right or all wrong, so that resamples do not vary."""
    return wilson(share, n, z) if known is not None and known[0] == known[1] and share in (0.0, 1.0) else known


def _concatenate(parts: list[np.ndarray], *shape: int) -> np.ndarray:
    return np.concatenate([np.zeros((0, *shape)), *parts])


def _interval_around(point: float, values: np.ndarray, level: float, *, reverse: bool = False) -> Interval:
    """The percentile interval, or the reverse percentile one, extended to contain its point."""
    if not reverse:
        return interval(values, level)
    bounds = interval(np.maximum(2 * point - values, 0.0), level)
    return None if bounds is None else (min(bounds[0], point), max(bounds[1], point))


def drop_degenerate(known: Interval) -> Interval:
    """None if all resamples agree: the width of 0 says nothing about other images."""
    return None if known is None or known[0] == known[1] else known
