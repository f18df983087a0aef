"""Facts of an attack, as its JSON file holds them → the curve of accuracy over the budget. Values of the wrong kind are
left out: the files lie in a folder that anybody may edit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sightline.drawing.curves import Frame, Line, line_chart
from sightline.reports.parts.figures import Chart
from sightline.reports.reading import as_integer, as_mapping, as_number, as_sequence, as_text
from sightline.reports.wording import percent, percent_range

TONES = ("one", "two", "three", "plain", "quiet")
DOT = 0.25  # of the largest


@dataclass(frozen=True)
class Place:
    """A point of a curve: `x` on its axis, the accuracy or another metric with its interval, of n images."""

    x: float
    accuracy: float
    low: float
    high: float
    n: int
    before: float | None

    @property
    def words(self) -> str:
        return f"{percent(self.accuracy, self.n)} ({percent_range(self.low, self.high, self.n)})"


def places(facts: Mapping[str, Any], key: str = "curve", axis: str = "eps") -> list[Place]:
    """The points of a curve that are whole."""
    found = []
    for raw in map(as_mapping, as_sequence(facts.get(key))):
        ends = [as_number(end) for end in as_sequence(raw.get("interval"))]
        x, accuracy = as_number(raw.get(axis)), as_number(raw.get("accuracy", raw.get("value")))
        if x is None or accuracy is None or len(ends) != 2 or ends[0] is None or ends[1] is None:
            continue
        before = as_number(raw.get("accuracy_before_rounding"))
        found.append(Place(x, accuracy, ends[0], ends[1], as_integer(raw.get("n")), before))
    return found


def line(name: str, points: Sequence[Place], tone: str) -> list[Line]:
    """The curve, and its points with their intervals."""
    x, y = [p.x for p in points], [p.accuracy for p in points]
    dots = Line("", x, y, tone, sizes=[DOT] * len(points), intervals=[(p.low, p.high) for p in points])
    return [Line(name, x, y, tone), dots]


def curve_chart(
    named: Sequence[tuple[str, Sequence[Place]]], title: str, x_label: str, caption: str, metric: str = "accuracy"
) -> Chart | None:
    """The metric over a common axis, from 0 to 1 or down to its lowest value, a line for each name."""
    drawn = [(name, points) for name, points in named if len(points) > 1]
    if not drawn:
        return None
    lines = [part for (name, points), tone in zip(drawn, TONES, strict=False) for part in line(name, points, tone)]
    reach = [p.x for _, points in drawn for p in points]
    low = min(0.0, *(p.low for _, points in drawn for p in points))
    frame = Frame(title, caption, x_label, metric, (min(reach), max(reach)), (low, 1.0))
    return Chart(line_chart(lines, frame), caption)


def budget_chart(all_facts: Sequence[Mapping[str, Any]], norm: str = "linf") -> Chart | None:
    """The curves of all attacks that share a norm."""
    own = [f for f in all_facts if as_text(f.get("norm")) == norm and f.get("target") is None]
    named = [(as_text(facts.get("method")).upper(), places(facts)) for facts in own]
    unit = "budget in levels of 255 (maximum norm)" if norm == "linf" else "budget in levels (Euclidean norm)"
    metric = next((name for facts in own if (name := as_text(facts.get("metric")))), "accuracy")
    if metric != "accuracy":
        caption = f"{metric.capitalize()}, with 95 % intervals over images; a budget of 0 is without an attack."
        return curve_chart(named, f"{metric.capitalize()} under attack", unit, caption, metric)
    caption = (
        "Share of the images that are still right, with 95 % Wilson intervals; a budget of 0 is the clean accuracy."
    )
    return curve_chart(named, "Accuracy under attack", unit, caption)
