"""Do the intervals hold what they promise? Coverage of today's and of the percentile bootstrap, for results/intervals.json.

    python benchmarks/intervals.py

Proportions are enumerated, not simulated: for n images and a true share p, the number of right answers is binomial, and so is
the number that a resample draws from them. Other metrics are simulated with a confusion of known rates.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np
from scipy import stats

from sightline.evaluation.intervals import bootstrap, interval, resample_weights, wilson
from sightline.metrics.classification import measure, measure_weighted, prepare

SIZES = (10, 20, 37, 50, 100, 200, 290, 500, 1000)
SHARES = (*np.round(np.arange(0.5, 0.9951, 0.005), 4).tolist(), 0.996, 0.998)
Z = NormalDist().inv_cdf(0.975)
Ends = tuple[float, float] | None


def score(k: int, n: int) -> Ends:
    return wilson(k / n, n, Z)


def percentile(k: int, n: int) -> Ends:
    """The middle 95 % of infinitely many resamples; Wilson's where they agree."""
    if k in (0, n):
        return wilson(k / n, n, Z)
    low, high = stats.binom.ppf([0.025, 0.975], n, k / n) / n
    return float(low), float(high)


def proportions(rule: Callable[[int, int], Ends], n: int, shares: Sequence[float] = SHARES) -> dict[str, Any]:
    """The mean and the lowest coverage over the shares, and the counts whose interval breaks a promise."""
    ends = [rule(k, n) for k in range(n + 1)]
    low, high = (np.array([pair[side] for pair in ends if pair is not None]) for side in (0, 1))
    cover = [
        float(stats.binom.pmf(np.arange(n + 1), n, p)[(low <= p + 1e-12) & (p <= high + 1e-12)].sum()) for p in shares
    ]
    observed = np.arange(n + 1) / n
    return {
        "coverage": round(float(np.mean(cover)), 4),
        "lowest": round(min(cover), 4),
        "excludes_observed": int(((observed < low - 1e-12) | (observed > high + 1e-12)).sum()),
        "certain_after_an_error": int((high[:-1] >= 1).sum()),
    }


# ---------------------------------------------------------------------------------------------------- other metrics
def test_set(rng: np.random.Generator, n: int, recalls: Sequence[float], weights: Sequence[float]) -> tuple[Any, Any]:
    """Classes by their weights; an image is recognised with its class's recall, else taken for another class."""
    k = len(recalls)
    target = rng.choice(k, n, p=weights)
    right = rng.random(n) < np.array(recalls)[target]
    predicted = np.where(right, target, (target + rng.integers(1, k, n)) % k)
    top = rng.uniform(0.55, 0.95, n)
    probability = np.repeat((1 - top)[:, None] / (k - 1), k, axis=1)
    probability[np.arange(n), predicted] = top
    return target, probability


SETTINGS = {
    "three classes": ((0.95, 0.9, 0.8), (0.5, 0.3, 0.2)),
    "nearly perfect": ((0.99, 0.99, 0.97), (0.4, 0.3, 0.3)),
    "imbalanced": ((0.98, 0.7), (0.9, 0.1)),
}


def others(n: int, sets: int, resamples: int = 400) -> dict[str, Any]:
    """Coverage of balanced accuracy, macro F1, MCC and the F1 of the last class, where there is an interval."""
    found: dict[str, Any] = {}
    for name, (recalls, weights) in SETTINGS.items():
        truth = _values(prepare(*test_set(np.random.default_rng(10**6), 400_000, recalls, weights), ranks=False))
        tally: dict[str, dict[str, list[int]]] = {}
        for seed in range(sets):
            rows = prepare(*test_set(np.random.default_rng(seed), n, recalls, weights), ranks=False)
            value, now = _values(rows), _now(rows, seed, resamples)
            before = _before(rows, seed, resamples)
            for metric in truth:
                for rule, pair in (("now", now[metric]), ("before", before[metric])):
                    row = tally.setdefault(metric, {}).setdefault(rule, [0, 0, 0, 0])
                    if pair is None or math.isnan(value[metric]):
                        continue
                    row[0] += 1
                    row[1] += pair[0] <= truth[metric] <= pair[1]
                    row[2] += not pair[0] - 1e-12 <= value[metric] <= pair[1] + 1e-12
                    row[3] += pair[1] >= 1 > value[metric]
        keys = ("coverage", "excludes_observed", "certain_after_an_error", "with_interval")
        found[name] = {
            metric: {
                rule: dict(zip(keys, (round(c / m, 3) if m else None, e, t, round(m / sets, 3)), strict=True))
                for rule, (m, c, e, t) in rules.items()
            }
            for metric, rules in tally.items()
        }
    return found


def _values(rows: Any) -> dict[str, float]:
    value = measure(rows)
    c = value.counts
    f1 = 2 * c.tp[-1] / max(2 * c.tp[-1] + c.fp[-1] + c.fn[-1], 1)
    return {name: value.metrics[name] for name in ("balanced_accuracy", "macro_f1", "mcc")} | {"f1": float(f1)}


def _now(rows: Any, seed: int, resamples: int) -> dict[str, Ends]:
    found = bootstrap(rows, seed=seed, resamples=resamples)
    ends = {name: found.metrics[name].interval for name in ("balanced_accuracy", "macro_f1", "mcc")}
    return ends | {"f1": found.per_class["f1"][-1].interval}


def _before(rows: Any, seed: int, resamples: int) -> dict[str, Ends]:
    drawn = measure_weighted(rows, resample_weights(len(rows), seed, range(resamples)))
    value = measure(rows)
    present = (value.counts.tp + value.counts.fn) > 0
    missing = ((drawn.counts.tp + drawn.counts.fn) == 0)[:, present].any(1)
    c = drawn.counts
    with np.errstate(invalid="ignore"):
        f1 = 2 * c.tp[:, -1] / (2 * c.tp[:, -1] + c.fp[:, -1] + c.fn[:, -1])
    values = {"mcc": drawn.metrics["mcc"], "f1": f1}
    values |= {name: np.where(missing, np.nan, drawn.metrics[name]) for name in ("balanced_accuracy", "macro_f1")}
    ends = {name: interval(x) for name, x in values.items()}
    return {name: None if pair is None or pair[0] == pair[1] else pair for name, pair in ends.items()}


def main() -> None:
    table = {str(n): {"now": proportions(score, n), "before": proportions(percentile, n)} for n in SIZES}
    more = {str(n): others(n, 400) for n in (20, 50, 200, 1000)}
    found = {
        "what": "95 % intervals: mean coverage over shares from 0.5 to 0.998, exact; other metrics by 400 simulated test sets",
        "proportions": table,
        "others": more,
    }
    where = Path(__file__).parents[1] / "results" / "intervals.json"
    where.write_text(json.dumps(found, indent=1) + "\n")
    for n, row in table.items():
        print(n, row["now"], row["before"], file=sys.stderr)


if __name__ == "__main__":
    main()
