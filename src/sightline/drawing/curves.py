"""Curves over a numeric axis: learning curves, ROC, precision-recall, reliability; every line carries its own name.

Names stand where lines end (Tufte 1983, "The Visual Display of Quantitative Information": label the data, not a key)
and make room for each other; where all lines end in one corner (ROC) the names stand in an empty corner instead. Long histories
are thinned to the least and greatest value of each column of pixels, which draws the same picture.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from markupsafe import Markup

from .axes import Scale, apart, finite_range, tick_labels
from .svg import Attribute, drawing, element, label, number, shortened, stroke

WIDTH, HEIGHT, SQUARE = 360, 250, 330
_TOP, _BOTTOM = 30, 36
_COLUMNS = 240  # a line is drawn with at most two points for each of so many columns
_LETTER = 6.4  # about the width of a letter at 12 units


@dataclass(frozen=True)
class Line:
    """`x`, `y` of equal length; a y that is not finite leaves a gap. `tone` is a CSS class: one, two, three, plain,
    quiet. With `sizes` in [0, 1], one a point, it is dots of that radius instead of a line; `intervals` are their error
    bars (low, high)."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    tone: str = "one"
    sizes: Sequence[float] = ()
    intervals: Sequence[tuple[float, float]] = ()


@dataclass(frozen=True)
class Frame:
    """What surrounds the lines. A range left out comes from the data; `square` draws equal axes and the diagonal
    (chance, perfect calibration) if `reference` is true; `names` says where the names of the lines stand."""

    title: str
    description: str
    x_label: str
    y_label: str
    x_range: tuple[float, float] | None = None
    y_range: tuple[float, float] | None = None
    log_y: bool = False
    square: bool = False
    reference: bool = False
    names: Literal["ends", "lower right", "lower left"] = "ends"


def line_chart(lines: Sequence[Line], frame: Frame) -> Markup:
    """The lines as an inline SVG."""
    height = SQUARE if frame.square else HEIGHT
    xs, ys = _scales(lines, frame, height)
    parts: list[Markup] = _axes(frame, xs, ys)
    if frame.reference:
        parts.append(stroke(xs.start, ys.start, xs.end, ys.end, "c-reference"))
    for line in lines:
        parts += _dots(line, frame, xs, ys) if line.sizes else [_path(line, xs, ys)]
    parts += _ends(lines, xs, ys) if frame.names == "ends" else _corner(lines, frame, xs, ys)
    return drawing(WIDTH, height, *parts, title=frame.title, description=frame.description, kind="c-lines")


def _scales(lines: Sequence[Line], frame: Frame, height: int) -> tuple[Scale, Scale]:
    x_low, x_high = frame.x_range or finite_range([x for line in lines for x in line.x])
    y_low, y_high = frame.y_range or finite_range([y for line in lines for y in line.y], log=frame.log_y)
    if frame.y_range is None and not frame.log_y:
        room = (y_high - y_low) * 0.05
        y_low, y_high = y_low - (room if y_low - room >= 0 or y_low < 0 else y_low), y_high + room
    ys = Scale(y_low, y_high, height - _BOTTOM, _TOP, frame.log_y)
    left = 10 + _LETTER * max((len(text) for text in tick_labels(ys.ticks(4), log=ys.log)), default=1)
    longest = max((len(shortened(line.name, 15)) for line in lines), default=0) if frame.names == "ends" else 0
    return Scale(x_low, x_high, left, WIDTH - 10 - _LETTER * longest), ys


def _axes(frame: Frame, xs: Scale, ys: Scale) -> list[Markup]:
    """Grid, ticks, and the axes' names: that of y above its axis, where it reads horizontally."""
    parts = [
        label(frame.y_label, 0, 12, kind="c-axis-name"),
        label(frame.x_label, (xs.start + xs.end) / 2, ys.start + 33, kind="c-axis-name", anchor="middle"),
    ]
    heights, places = ys.ticks(4), xs.ticks(5)
    for value, text in zip(heights, tick_labels(heights, log=ys.log), strict=True):
        at = ys(value)
        parts.append(stroke(xs.start, at, xs.end, at, "c-grid"))
        parts.append(label(text, xs.start - 6, at + 4, kind="c-tick", anchor="end"))
    for value, text in zip(places, tick_labels(places), strict=True):
        at = xs(value)
        parts.append(stroke(at, ys.start, at, ys.start + 4, "c-axis"))
        parts.append(label(text, at, ys.start + 17, kind="c-tick", anchor="middle"))
    return [*parts, stroke(xs.start, ys.start, xs.end, ys.start, "c-axis")]


def _path(line: Line, xs: Scale, ys: Scale) -> Markup:
    """The line as one path; a lone point as a dot."""
    runs = _runs(line, xs, ys)
    if sum(len(run) for run in runs) == 1:
        x, y = runs[0][0]
        return element("circle", {"cx": x, "cy": y, "r": 3.5, "class": line.tone, "fill": "currentColor"})
    steps = " ".join(f"{'L' if i else 'M'}{number(x)} {number(y)}" for run in runs for i, (x, y) in enumerate(run))
    shape: dict[str, Attribute] = {
        "d": Markup(steps),
        "class": f"c-line {line.tone}",
        "fill": "none",
        "stroke": "currentColor",
    }
    return element("path", shape)


def _dots(line: Line, frame: Frame, xs: Scale, ys: Scale) -> list[Markup]:
    """A dot a point, its radius up to 11, with its error bar, or on a stem from the diagonal where there is one."""
    parts: list[Markup] = []
    bars: Sequence[tuple[float, float] | None] = line.intervals or [None] * len(line.x)
    for x, y, size, bar in zip(line.x, line.y, line.sizes, bars, strict=True):
        at: dict[str, Attribute] = {"cx": xs(x), "cy": ys(y), "r": 1.5 + 9.5 * size}
        parts.append(element("circle", at | {"class": f"c-size {line.tone}", "fill": "currentColor"}))
        if bar is not None:
            parts += _error_bar(xs(x), ys(bar[0]), ys(bar[1]))
        elif frame.reference:
            parts.append(stroke(xs(x), ys(x), xs(x), ys(y), "c-stem"))
    return parts


def _error_bar(x: float, low: float, high: float) -> list[Markup]:
    ends = [stroke(x - 3.5, y, x + 3.5, y, "c-error") for y in (low, high)]
    return [stroke(x, low, x, high, "c-error"), *ends]


def _runs(line: Line, xs: Scale, ys: Scale) -> list[list[tuple[float, float]]]:
    """Stretches of drawable points in the drawing's own coordinates, thinned."""
    runs: list[list[tuple[float, float]]] = [[]]
    for x, y in zip(line.x, line.y, strict=True):
        if math.isfinite(x) and math.isfinite(y) and (y > 0 or not ys.log):
            runs[-1].append((xs(x), ys(y)))
        elif runs[-1]:
            runs.append([])
    return [_thinned(run) for run in runs if run]


def _thinned(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """At most the lowest and highest point of each column, and both ends."""
    if len(points) <= 2 * _COLUMNS:
        return points
    width = math.ceil(len(points) / _COLUMNS)
    kept = [points[0]]
    for start in range(1, len(points) - 1, width):
        column = points[start : min(start + width, len(points) - 1)]
        ends = {column.index(min(column, key=lambda p: p[1])), column.index(max(column, key=lambda p: p[1]))}
        kept += [column[i] for i in sorted(ends)]
    return [*kept, points[-1]]


def _ends(lines: Sequence[Line], xs: Scale, ys: Scale) -> list[Markup]:
    """Each line's name beside its last point, moved apart where they would overlap."""
    ends = [(line, runs[-1][-1]) for line in lines if line.name and (runs := _runs(line, xs, ys))]
    heights = apart([y + 4 for _, (_, y) in ends], 14, ys.end + 4, ys.start)
    return [
        label(shortened(line.name, 15), xs.end + 6, y, kind=f"c-name {line.tone}")
        for (line, _), y in zip(ends, heights, strict=True)
    ]


def _corner(lines: Sequence[Line], frame: Frame, xs: Scale, ys: Scale) -> list[Markup]:
    """The names under each other in a corner, each with a piece of its line."""
    parts: list[Markup] = []
    named = [line for line in lines if line.name]
    for row, line in enumerate(reversed(named)):
        y = ys.start - 12 - 16 * row
        right = frame.names == "lower right"
        x = xs.end - 8 if right else xs.start + 10
        parts.append(stroke(x - 18 if right else x, y - 4, x if right else x + 18, y - 4, f"c-line {line.tone}"))
        text = shortened(line.name, 24)
        parts.append(label(text, x - 24 if right else x + 24, y, kind="c-name", anchor="end" if right else "start"))
    return parts
