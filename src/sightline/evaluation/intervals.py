"""How sure is a metric? 95 % intervals: Wilson's for proportions, the bootstrap for everything else.

**Proportions.** Accuracy and top-5 are shares of the images, recall of a class's images, precision of the images for which
the class is predicted: each gets the score interval of Wilson 1927. F1 is 2J / (1 + J), where J is the share of true positives
among the images that are of the class or predicted to be: its interval is that of J, sent through the same formula. Balanced
accuracy is a mean of independent proportions: the distances of their Wilson ends are added in quadrature (MOVER, Zou &
Donner 2008, "Construction of confidence limits about effect measures"). None of these excludes the observed value, has no
width, or reaches 100 % after an error. The percentile bootstrap does all that: 288 of 290 gave 98.3 to 100.0 %, and a class
with one error got a higher lower end than a class without. `benchmarks/intervals.py` compares their coverage.

**Bootstrap** (Efron 1979; Efron & Tibshirani 1993, ch. 13). Each resample draws n of the n images with replacement and every
metric is computed again; the interval spans the middle 95 %, extended to the observed value where it would miss it. The draws
are hash(seed, "bootstrap", resample, place): an interval is a function of rows and seed, and two classifiers evaluated on the
same images with the same seed get the same resamples. An end that lies on the edge of the metric's range although the value
does not (no resample of the largest 2.5 % drew a mistake) is that of the normal interval of logit(metric), with the resamples'
standard deviation: it stays inside the range.

All intervals assume independent images: frames of one video make them too narrow.

ECE is biased upwards: it is never negative, so noise raises it, and resampling adds noise a second time. The percentile
interval lies too high. ECE therefore gets the reverse percentile ("basic") interval, 2 · value - quantiles, clipped at 0
and extended to the value where it would miss it. Coverage in a simulation with 5 classes and a true ECE of 0.10: with
200 images 72 % (percentile) and 90 % (reverse); with 2,000 images 95 % both. If the true ECE is 0, the percentile
interval never covers it, the reverse one half the time.

**No interval** has a reason, in words. A resample in which a metric is undefined (a class is missing) is left out; if more than
a tenth are, the rest would describe a selection. If no resample differs (no mistake, or nothing but mistakes), the spread
says nothing about other images. AUC has no interval beyond n · k = 5,000,000, because its cost grows with that product.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float

from sightline.metrics.calibration import BINS, confidence_bin
from sightline.metrics.classification import Measurement, PreparedRows, measure, measure_weighted
from sightline.metrics.counts import Counts, WeightedMetrics
from sightline.metrics.proportions import wilson
from sightline.randomness.keyed import integers, uniform

Interval = tuple[float, float] | None

RESAMPLES = 1000
LEVEL = 0.95
LARGEST_RANKED = 5_000_000  # n · k up to which AUC is resampled
_CLASS_MEANS = ("macro_f1", "auc")  # means over the classes that occur
_REVERSED = ("ece",)  # biased upwards: reverse percentile intervals
_RANGE = {"loss": (0.0, math.inf), "mcc": (-1.0, 1.0)}  # of the others 0 to 1
_BLOCK = 1 << 17  # weights at a time: they fit into a cache
_LARGE_BLOCK = 1 << 22  # weights at a time, where a matrix product or a sum does the work
_MAX_UNDEFINED = 0.1  # share of the resamples


class Estimate(NamedTuple):
    """An interval, or None and the `reason` why there is none."""

    interval: Interval
    reason: str = ""


class Intervals(NamedTuple):
    """`metrics` by name; `per_class` by rate name (precision, recall, f1), one estimate a class."""

    metrics: dict[str, Estimate]
    per_class: dict[str, list[Estimate]]


def resample_weights(n: int, seed: int, resamples: range) -> Float[np.ndarray, "r n"]:
    """How often each of n samples is drawn in each of the resamples; each row sums to n."""
    which = torch.arange(resamples.start, resamples.stop)[:, None]  # (r, 1)
    drawn = integers(n, seed, "bootstrap", which, torch.arange(n)).numpy()  # (r, n)
    cells = (drawn + n * np.arange(len(resamples))[:, None]).ravel()  # (r * n,)
    return np.bincount(cells, minlength=len(resamples) * n).reshape(len(resamples), n).astype(np.float64)


def weights_in_blocks(n: int, seed: int, resamples: int = RESAMPLES) -> Iterator[Float[np.ndarray, "r n"]]:
    """`resample_weights` of all resamples, some at a time, so that they fit into memory; (0, n) once without samples."""
    if not n:
        yield np.zeros((0, 0))
    block = max(1, _LARGE_BLOCK // max(n, 1))
    for r in range(0, resamples if n else 0, block):
        yield resample_weights(n, seed, range(r, min(r + block, resamples)))


def interval(values: Float[np.ndarray, "r"], level: float = LEVEL) -> Interval:
    """The middle `level` of the resampled values; None if more than a tenth of them are undefined (NaN)."""
    defined = values[~np.isnan(values)]
    if len(defined) < (1 - _MAX_UNDEFINED) * len(values) or not len(defined):
        return None
    low, high = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def estimate(
    value: float,
    values: Float[np.ndarray, "r"],
    *,
    edges: tuple[float, float] = (0.0, 1.0),
    reverse: bool = False,
    level: float = LEVEL,
    lacking: str = "the metric is undefined",
) -> Estimate:
    """The interval around a metric from its resampled values (r,), NaN where undefined; `lacking` says what happens there.

    `reverse` mirrors the values at the metric, against a bias upwards.
    """
    if math.isnan(value):
        return Estimate(None, "undefined")
    undefined = float(np.isnan(values).mean()) if len(values) else 1.0
    bounds = interval(np.maximum(2 * value - values, edges[0]) if reverse else values, level)
    if bounds is None:
        return Estimate(None, f"too few images: in {undefined:.0%} of the resamples {lacking}")
    low, high = min(bounds[0], value), max(bounds[1], value)
    if low == high:
        extreme = "no mistake was made" if value == edges[1] else "all resamples agree"
        return Estimate(None, f"{extreme}, so resampling shows no spread")
    if not reverse and not math.isinf(edges[1]) and edges[0] < value < edges[1]:
        inside = _logit_interval(value, float(np.nanstd(values)), edges, level)
        low = inside[0] if low <= edges[0] else low
        high = inside[1] if high >= edges[1] else high
    return Estimate((low, high))


def bootstrap(prepared: PreparedRows, *, seed: int = 0, resamples: int = RESAMPLES, level: float = LEVEL) -> Intervals:
    """Intervals of all metrics and of each class's precision, recall and F1; those that are no proportions are resampled.

    10,000 samples of 10 classes and 1,000 resamples take about half a second on one core.
    """
    value, n = measure(prepared), len(prepared)
    block = max(1, _BLOCK // max(n, 1))
    blocks = [range(r, min(r + block, resamples)) for r in range(0, resamples if n else 0, block)]
    drawn = [_mask_incomplete(measure_weighted(prepared, resample_weights(n, seed, b)), value) for b in blocks]
    metrics = {}
    for name, point in value.metrics.items():
        values = np.concatenate([np.zeros(0), *(d.metrics[name] for d in drawn)])
        lacking = "a class is missing" if name in _CLASS_MEANS else "only one class is left"
        spread = _RANGE.get(name, (0.0, 1.0))
        found = estimate(point, values, edges=spread, reverse=name in _REVERSED, level=level, lacking=lacking)
        metrics[name] = Estimate(None, _why_undefined(name, value.counts, n)) if math.isnan(point) else found
    z = NormalDist().inv_cdf((1 + level) / 2)
    return Intervals(metrics | _proportions(value, n, z), _class_proportions(value.counts, z))


def _proportions(value: Measurement, n: int, z: float) -> dict[str, Estimate]:
    """The metrics that are proportions of the images, or a mean of proportions."""
    if not n:
        return {}
    known: dict[str, tuple[float, float]] = {
        name: wilson(value.metrics[name], n, z) for name in ("accuracy", "top5_accuracy") if name in value.metrics
    }
    support = value.counts.tp + value.counts.fn
    recalls = [(tp / m, *wilson(tp / m, int(m), z)) for tp, m in zip(value.counts.tp, support, strict=True) if m]
    mean, k = value.metrics["balanced_accuracy"], len(recalls)
    low = mean - math.sqrt(sum((share - low) ** 2 for share, low, _ in recalls)) / k
    high = mean + math.sqrt(sum((high - share) ** 2 for share, _, high in recalls)) / k
    known["balanced_accuracy"] = (max(0.0, low), min(1.0, high))
    return {name: Estimate((float(low), float(high))) for name, (low, high) in known.items()}


def _class_proportions(counts: Counts, z: float) -> dict[str, list[Estimate]]:
    """Precision, recall and F1 of each class, with what is lacking where one is undefined."""
    tp, fp, fn = (np.asarray(x).tolist() for x in (counts.tp, counts.fp, counts.fn))
    per_class: dict[str, list[Estimate]] = {"precision": [], "recall": [], "f1": []}
    for hits, false, missed in zip(tp, fp, fn, strict=True):
        for name, m, reason in (
            ("precision", hits + false, "never predicted"),
            ("recall", hits + missed, "no image is of this class"),
            ("f1", hits + false + missed, "no image is of this class, and it is never predicted"),
        ):
            bounds = wilson(hits / m, round(m), z) if m else None
            if bounds is not None and name == "f1":
                bounds = tuple(2 * share / (1 + share) for share in bounds)  # type: ignore[assignment]
            per_class[name].append(Estimate(bounds) if bounds is not None else Estimate(None, reason))
    return per_class


def _why_undefined(name: str, counts: Counts, n: int) -> str:
    """Why a metric has no value, and hence no interval."""
    if not n:
        return "there are no labelled images"
    if ((counts.tp + counts.fn) > 0).sum() < 2:
        return "only one class occurs"
    return "only one class is predicted" if name == "mcc" else "undefined"


def _logit_interval(value: float, deviation: float, edges: tuple[float, float], level: float) -> tuple[float, float]:
    """The normal interval on the scale of logit(metric), where a metric strictly inside its range has no edge."""
    low, width = edges[0], edges[1] - edges[0]
    share = (value - low) / width
    half = NormalDist().inv_cdf((1 + level) / 2) * deviation / width / (share * (1 - share))
    centre = math.log(share / (1 - share))
    ends = [low + width / (1 + math.exp(-min(max(centre + side * half, -700.0), 700.0))) for side in (-1, 1)]
    return max(ends[0], math.nextafter(low, 1)), min(ends[1], math.nextafter(edges[1], 0))


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
