"""The page of a recipe that was trained on folds or with several seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sightline.drawing.bars import Row, interval_rows
from sightline.reports.parts.figures import Chart

from .page import AnswerPage, Table, render_answer

_ABOUT = {
    "folds": "Intervals are Student's t with the variance of Nadeau & Bengio (2003), which allows for the images that the "
    "trainings share: the data and the training both vary.",
    "seeds": "Intervals are Student's t over the seeds, on the same images: they tell how far another training would end "
    "elsewhere, not how other images would be answered.",
}


def members_page(facts: Mapping[str, Any], folder: str) -> str:
    """The page as HTML text; `facts` is study.json."""
    kind, words = facts["kind"], facts["metric"].replace("_", " ")
    found = facts["metrics"].get(facts["metric"], {"mean": None})
    role = kind.rstrip("s")
    rows = [
        (f"{role} {i}", _figure(one["value"]), one["run"], str(one["seed"])) for i, one in enumerate(facts["runs"], 1)
    ]
    means = [
        (name.replace("_", " "), _figure(one["mean"]), _span(one["interval"])) for name, one in facts["metrics"].items()
    ]
    return render_answer(
        AnswerPage(
            title=f"{facts['count']} {kind}",
            name=facts["name"],
            chips=(facts["task"], f"{facts['data']}, {facts['split']}", facts["model"]),
            verdict=f"{facts['verdict']}.",
            sentences=[_ABOUT[kind]],
            number=_figure(found["mean"]),
            under=f"mean {words}",
            charts=_chart(facts, words, role),
            tables=[
                Table(f"Each {role}", ((role, ""), (words, "num"), ("run", ""), ("seed", "num")), rows),
                Table(
                    "Metrics", (("metric", ""), ("mean", "num"), ("95 % interval", "num")),
                    means,
                ),
            ],
            command=f"sightline train {facts['data']} -m {facts['model']} --{kind} {facts['count']}",
            facts=(("folder", folder),),
        )
    )  # fmt: skip


def _chart(facts: Mapping[str, Any], words: str, role: str) -> list[Chart]:
    found = facts["metrics"].get(facts["metric"])
    values = [one["value"] for one in facts["runs"]]
    if found is None or found["interval"] is None or any(v is None or not 0 <= v <= 1 for v in values):
        return []
    low, high = max(found["interval"][0], 0.0), min(found["interval"][1], 1.0)
    rows = [Row(f"{role} {i}", v, v, v, f"{v:.4f}") for i, v in enumerate(values, 1)]
    rows.append(Row("mean", found["mean"], low, high, f"{found['mean']:.4f}"))
    title = f"{words} of each {role}, and the mean with its 95 % interval"
    return [
        Chart(interval_rows(rows, title=title, description=f"{facts['verdict']}."), f"{title[:1].upper()}{title[1:]}.")
    ]


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"


def _span(interval: Sequence[float] | None) -> str:
    return "–" if interval is None else f"{interval[0]:.4f} to {interval[1]:.4f}"
