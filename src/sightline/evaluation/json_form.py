"""The JSON form of a judgement (`evaluate --json`): the keys that all kinds of task share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .intervals import Estimate, Interval


def judgement_json(
    n: int,
    metrics: Mapping[str, float | None],
    intervals: Mapping[str, Interval],
    reasons: Mapping[str, str],
    per_class: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    """n, metrics, intervals by metric, reasons by metric without an interval, and per_class by class name."""
    return {
        "n": n,
        "metrics": dict(metrics),
        "intervals": {name: _as_list(value) for name, value in intervals.items()},
        "reasons": dict(reasons),
        "per_class": {
            row["class"]: {
                **{name: value for name, value in row.items() if name not in ("class", "intervals")},
                "intervals": {name: _as_list(value) for name, value in row["intervals"].items()},
            }
            for row in per_class
        },
    }


def intervals_of(estimates: Mapping[str, Estimate]) -> dict[str, Interval]:
    return {name: each.interval for name, each in estimates.items()}


def reasons_of(estimates: Mapping[str, Estimate]) -> dict[str, str]:
    """Why these have no interval; only those."""
    return {name: each.reason for name, each in estimates.items() if each.interval is None}


def _as_list(value: Interval) -> list[float] | None:
    """An interval as JSON stores it."""
    return None if value is None else list(value)
