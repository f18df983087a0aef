"""A study judged as a whole: the mean of its members' metrics, with the interval over them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sightline.errors import UsageError
from sightline.runs.console import Console
from sightline.runs.study import Study, open_study
from sightline.verbs.evaluate import evaluate

from .members import write_members_page
from .repeats import mean_interval
from .tune import write_page


def evaluate_study(
    study: str | Path,
    data: Any = None,
    *,
    split: str | None = None,
    device: str = "auto",
    console: Console | None = None,
) -> dict[str, Any]:
    """Every member evaluated, as `evaluate` does: {run, split, n, metrics, intervals, per_class, members}. Metrics are means,
    intervals those of the mean over folds or seeds; `n` counts the images of all members. UsageError for a search, whose
    members have different settings."""
    console, found = console or Console(), _finished(open_study(study))
    if found.kind not in ("folds", "seeds"):
        raise UsageError(f"{found.folder} is a search, whose runs have different settings", "name one of its runs")
    results = []
    for run in found.runs():
        console.say(f"evaluating {run.folder}")
        results.append(evaluate(run, data, split=split, device=device, console=Console(console.level - 1)).to_json())
    shared = 1 / (len(results) - 1) if found.kind == "folds" and data is None else 0.0
    metrics, intervals = {}, {}
    for name in dict.fromkeys(name for one in results for name in one["metrics"]):
        values = [one["metrics"].get(name) for one in results]
        metrics[name], intervals[name] = mean_interval([v for v in values if v is not None], shared=shared)
    members = [{"run": one["run"], "n": one["n"], "metrics": one["metrics"]} for one in results]
    return {
        "run": str(found.folder), "split": results[0]["split"], "n": sum(one["n"] for one in results), "metrics": metrics,
        "intervals": intervals, "per_class": {}, "members": members,
    }  # fmt: skip


def report_study(study: str | Path) -> Path:
    """Write the page of a study again."""
    found = _finished(open_study(study))
    return write_page(found) if found.kind == "tune" else write_members_page(found)


def _finished(study: Study) -> Study:
    if not study.finished:
        raise UsageError(f"{study.folder} is not finished", "run its command again: it goes on where it was stopped")
    return study
