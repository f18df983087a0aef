"""The best trials again, with other seeds: how much of their lead is the seed's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from .search import Job

SEEDS = 10_000  # the first seed of repeats, counted from the study's: no trial has one of them
LEVEL = 0.95


@dataclass(frozen=True)
class Contestant:
    """`name` as on the page, `place` of its runs in the study's folder, `values` of the keys that were searched."""

    name: str
    place: str
    values: Mapping[str, Any]


def repeat(job: Job, contestants: Sequence[Contestant], seeds: int) -> list[dict[str, Any]]:
    """Train each contestant with `seeds` seeds, the same for all; their values of the metric, mean and interval."""
    found = []
    for one in contestants:
        runs, values = [], []
        for i in range(seeds):
            place = f"{one.place}/{i + 1}"
            with job.console.working(f"{one.name}, seed {i + 1} of {seeds}"):
                run = job.train(place, one.values, job.seed + SEEDS + i)
            runs.append(place)
            if (value := job.value(run)) is not None:
                values.append(value)
        mean, interval = mean_interval(values)
        shown = "undefined" if mean is None else f"{mean:.4f}"
        job.console.say(f"{one.name} with {seeds} seeds: {job.metric.replace('_', ' ')} {shown}")
        found.append(
            {
                "name": one.name,
                "values": dict(one.values),
                "runs": runs,
                "results": values,
                "mean": mean,
                "interval": interval,
            }
        )
    return found


def mean_interval(values: Sequence[float], *, shared: float = 0.0) -> tuple[float | None, tuple[float, float] | None]:
    """The mean of n results and its 95 % interval by Student's t; None with fewer than two.

    `shared` is the number of test images over that of training images where the results are of folds, whose trainings share
    images and so vary less than independent ones: the variance of the mean is s² (1/n + shared) (Nadeau & Bengio 2003,
    "Inference for the Generalization Error").
    """
    n = len(values)
    if n == 0:
        return None, None
    mean = float(np.mean(values))
    if n == 1:
        return mean, None
    half = float(stats.t.ppf((1 + LEVEL) / 2, n - 1) * np.std(values, ddof=1) * np.sqrt(1 / n + shared))
    return mean, (mean - half, mean + half)


def verdict_of(repeats: Sequence[Mapping[str, Any]], metric: str, *, lower: bool) -> str:
    """Which contestant is best, and from which others its interval cannot tell it apart; the last is the recipe as it is."""
    ranked = [one for one in repeats if one["mean"] is not None]
    if not ranked:
        return "No training has a result."
    ranked.sort(key=lambda one: one["mean"] if lower else -one["mean"])
    best, words = ranked[0], metric.replace("_", " ")
    figure = f"{words} {best['mean']:.4f}{_span(best['interval'])} with {len(best['results'])} seeds"
    if best["interval"] is None:
        return f"{best['name']} has the best {words}, {best['mean']:.4f}; one seed does not show how much of that is chance."
    same = [
        one["name"] for one in ranked[1:] if one["interval"] is not None and _overlap(best["interval"], one["interval"])
    ]
    if not same:
        return f"{best['name']} is better than the others by more than the seeds' noise: {figure}."
    others = f"not distinguishable from {_list(same)}: their intervals overlap."
    return f"{best['name']} has the best mean, {figure}, but is {others}"


def _overlap(one: Sequence[float], other: Sequence[float]) -> bool:
    return one[0] <= other[1] and other[0] <= one[1]


def _span(interval: Sequence[float] | None) -> str:
    return "" if interval is None else f" ({interval[0]:.4f} to {interval[1]:.4f})"


def _list(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
