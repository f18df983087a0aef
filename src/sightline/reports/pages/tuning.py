"""The page of a search: the verdict, the repeats with their intervals, every trial, and which keys mattered."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from sightline.drawing.bars import Row, interval_rows
from sightline.drawing.curves import Frame, Line, line_chart
from sightline.reports.parts.figures import Chart

from .page import AnswerPage, Table, render_answer

CAUTION = (
    "Every value is of validation images, on which the trials were chosen: the figure for the outside world is the test "
    "figure of the run that you keep."
)


def tuning_page(facts: Mapping[str, Any], folder: str) -> str:
    """The page as HTML text; `facts` is study.json."""
    best, words = facts["best"], facts["metric"].replace("_", " ")
    trials = facts["trials"]
    return render_answer(
        AnswerPage(
            title="Search",
            name=facts["name"],
            chips=(facts["task"], facts["data"], facts["model"], f"{len(trials)} trials of {facts['epochs']:g} epochs"),
            verdict=facts["verdict"],
            sentences=[CAUTION, *_beside(facts)],
            number="–" if best is None else f"{best['value']:.4f}",
            under=f"best validation {words} of a single trial",
            charts=[*_repeat_chart(facts, words), *_course(facts, words)],
            tables=[
                *_repeats(facts, words),
                *_importance(facts),
                _trials("Trials", trials, words),
                *_control(facts, words),
            ],
            command=f"sightline train {facts['data']} {_keys(best['values'])}" if best else "",
            facts=(
                ("sampler", facts["sampler"]),
                ("pruning", facts["prune"]),
                ("seed", str(facts["seed"])),
                ("folder", folder),
            ),
        )
    )


def _keys(values: Mapping[str, Any]) -> str:
    return " ".join(f"{key}={value}" for key, value in values.items())


def _beside(facts: Mapping[str, Any]) -> list[str]:
    """The control of equal cost in a sentence."""
    values = [one["value"] for one in facts["control"] if one["state"] == "complete" and one["value"] is not None]
    if not values or facts["best"] is None:
        return []
    best = min(values) if facts["lower"] else max(values)
    return [
        f"A random search of equal cost ({len(facts['control'])} trials) found {best:.4f}; "
        f"this search {facts['best']['value']:.4f}, "
        "both with one seed a trial."
    ]


def _repeat_chart(facts: Mapping[str, Any], words: str) -> list[Chart]:
    if not facts["repeats"] or any(one["mean"] is None or not 0 <= one["mean"] <= 1 for one in facts["repeats"]):
        return []
    rows = []
    for one in facts["repeats"]:
        low, high = one["interval"] or (one["mean"], one["mean"])
        rows.append(Row(one["name"], one["mean"], max(low, 0.0), min(high, 1.0), f"{one['mean']:.4f}"))
    title = f"validation {words} over {len(facts['repeats'][0]['results'])} seeds"
    caption = (
        f"{title}: means with 95 % intervals of the seeds' noise (Student's t). Where they overlap, nothing is decided."
    )
    about = "; ".join(f"{row.name} {row.note}" for row in rows)
    return [Chart(interval_rows(rows, title=title, description=f"{about}."), caption)]


def _course(facts: Mapping[str, Any], words: str) -> list[Chart]:
    """The best value so far, trial by trial, beside the control's."""
    lines = []
    for name, tone, trials in (("search", "one", facts["trials"]), ("control", "two", facts["control"])):
        so_far = _best_so_far(trials, lower=facts["lower"])
        if len(so_far) > 1 and any(map(math.isfinite, so_far)):
            lines.append(Line(name, [float(i + 1) for i in range(len(so_far))], so_far, tone=tone))
    if not lines:
        return []
    title = f"best validation {words} so far"
    frame = Frame(title=title, description=f"{title}, by the number of trials.", x_label="trials", y_label=words)
    return [Chart(line_chart(lines, frame), f"The {title}, one seed a trial.")]


def _best_so_far(trials: Sequence[Mapping[str, Any]], *, lower: bool) -> list[float]:
    best, found = math.nan, []
    for one in trials:
        value = one["value"] if one["state"] == "complete" else None
        if value is not None and (math.isnan(best) or (value < best if lower else value > best)):
            best = value
        found.append(best)
    return found


def _repeats(facts: Mapping[str, Any], words: str) -> list[Table]:
    if not facts["repeats"]:
        return []
    rows = [
        (
            one["name"],
            _figure(one["mean"]),
            _span(one["interval"]),
            ", ".join(map(_figure, one["results"])),
            _keys(one["values"]) or "–",
        )
        for one in facts["repeats"]
    ]
    heads = (("", ""), (f"mean {words}", "num"), ("95 % interval", "num"), ("each seed", "num"), ("keys", ""))
    return [
        Table(
            "The best again, with other seeds",
            heads,
            rows,
            note="The same seeds for all of them, none that a trial had.",
        )
    ]


def _importance(facts: Mapping[str, Any]) -> list[Table]:
    if not facts["importance"]:
        return []
    rows = [(key, f"{100 * share:.0f} %", facts["space"].get(key, "")) for key, share in facts["importance"].items()]
    note = (
        f"Shares of the variance between {len(facts['trials'])} trials (functional ANOVA, Hutter et al. 2014): within the "
        "searched values only, and rough below some dozens."
    )
    return [Table("Which keys mattered", (("key", ""), ("importance", "num"), ("searched", "")), rows, note=note)]


def _trials(title: str, trials: Sequence[Mapping[str, Any]], words: str) -> Table:
    keys = list(dict.fromkeys(key for one in trials for key in one["values"]))
    heads = (
        ("trial", ""),
        (words, "num"),
        ("epochs", "num"),
        ("state", ""),
        *((key, "num") for key in keys),
        ("seed", "num"),
    )
    rows = [
        (str(one["number"]), _figure(one["value"]), "–" if one["epochs"] is None else f"{one['epochs']:g}", one["state"],
         *(str(one["values"].get(key, "–")) for key in keys), str(one["seed"]))
        for one in trials
    ]  # fmt: skip
    return Table(title, heads, rows)


def _control(facts: Mapping[str, Any], words: str) -> list[Table]:
    return [_trials("The control: values at random", facts["control"], words)] if facts["control"] else []


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"


def _span(interval: Sequence[float] | None) -> str:
    return "–" if interval is None else f"{interval[0]:.4f} to {interval[1]:.4f}"
