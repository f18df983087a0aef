"""Numbers with their intervals on a scale: one strip for a headline, rows for a comparison, small ones for a table.

Dots and whiskers instead of filled bars (Cleveland 1985, "The Elements of Graphing Data"): the eye compares positions,
and the interval is as visible as its number.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from .axes import Scale, apart, ticks
from .svg import Attribute, drawing, element, label, shortened, stroke

_LETTER = 6.4  # about the width of a letter at 12 units


@dataclass(frozen=True)
class Point:
    """A share on the strip and its name."""

    value: float
    name: str


@dataclass(frozen=True)
class Row:
    """A share with its interval; `note` stands behind it."""

    name: str
    value: float
    low: float
    high: float
    note: str = ""


def interval_strip(value: float, low: float, high: float, *, tone: str, title: str) -> Markup:
    """A 150 × 14 strip of the range 0 to 1 with a dot at `value` and a whisker from `low` to `high`."""
    scale = Scale(0.0, 1.0, 5.0, 145.0)
    parts = [stroke(scale.start, 7, scale.end, 7, "c-track"), *_dot_and_whisker(scale, 7, value, low, high, tone)]
    return drawing(150, 14, *parts, title=title, description="", kind="c-strip")


def interval_rows(rows: Sequence[Row], *, title: str, description: str) -> Markup:
    """Shares below each other on one axis that spans their intervals and no more, so that differences show."""
    left = 14 + _LETTER * max((len(shortened(row.name, 18)) for row in rows), default=0)
    right = 360 - 16 - _LETTER * max((len(row.note) for row in rows), default=0)
    low, high = min(row.low for row in rows), max(row.high for row in rows)
    room = max(high - low, 0.01) * 0.08
    scale = Scale(
        low - room if low < 0 else max(0.0, low - room), min(1.0, high + room), left, right
    )  # R² may be negative
    bottom = 34 * len(rows) + 6
    parts: list[Markup] = []
    for value in ticks(scale.low, scale.high, 4):
        parts.append(stroke(scale(value), 4, scale(value), bottom, "c-grid"))
        parts.append(label(f"{100 * value:.3g} %", scale(value), bottom + 16, kind="c-tick", anchor="middle"))
    for place, row in enumerate(rows):
        y = 34 * place + 21
        parts.append(label(shortened(row.name, 18), left - 10, y + 4, kind="c-row", anchor="end"))
        parts += _dot_and_whisker(scale, y, row.value, row.low, row.high, "one")
        parts.append(label(row.note, right + 16, y + 4, kind="c-note"))
    return drawing(360, bottom + 22, *parts, title=title, description=description, kind="c-rows")


def _dot_and_whisker(scale: Scale, y: float, value: float, low: float, high: float, tone: str) -> list[Markup]:
    dot: dict[str, Attribute] = {"cx": scale(value), "cy": y, "r": 4, "class": tone, "fill": "currentColor"}
    return [stroke(scale(low), y, scale(high), y, f"c-whisker {tone}"), element("circle", dot)]


def headline_strip(value: float, low: float, high: float, *, others: Sequence[Point], title: str) -> Markup:
    """The range 0 to 1 with the number, its interval, and `others` (guessing, training) as named ticks below."""
    scale = Scale(0.0, 1.0, 2.0, 358.0)
    parts = [stroke(scale.start, 14, scale.end, 14, "c-track")]
    names = [shortened(point.name, 28) for point in others]
    halves = [_LETTER * len(name) / 2 for name in names]
    middles = [min(max(scale(p.value), half), 360 - half) for p, half in zip(others, halves, strict=True)]
    middles = apart(middles, 2 * max(halves, default=0) + 10, 0, 360 - max(halves, default=0))
    for point, name, middle in zip(others, names, middles, strict=True):
        parts.append(stroke(scale(point.value), 7, scale(point.value), 21, "c-other"))
        parts.append(label(name, middle, 40, kind="c-note", anchor="middle"))
    box: dict[str, Attribute] = {"x": scale(low), "y": 8, "width": max(scale(high) - scale(low), 2), "height": 12}
    parts.append(element("rect", box | {"rx": 2, "class": "c-interval", "fill": "currentColor"}))
    parts.append(stroke(scale(value), 3, scale(value), 25, "c-value"))
    return drawing(360, 46, *parts, title=title, description="", kind="c-headline")
