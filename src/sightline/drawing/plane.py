"""The plane: points by class, a coloured surface under them, level lines, paths. For decision boundaries, loss surfaces and
the trajectories of optimisers.

The surface is a small picture inside the drawing; level lines are those of marching squares (`skimage.measure.find_contours`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, UInt8
from markupsafe import Markup
from skimage.measure import find_contours

from .axes import Scale, tick_labels
from .png import data_uri, png_bytes
from .svg import Attribute, drawing, element, label, number, stroke

SIZE = 340
_LEFT, _RIGHT, _TOP, _BOTTOM = 40, 14, 26, 38
TONES = ("one", "two", "three", "four", "five", "six", "seven", "eight")
_TINTS = np.array(
    [
        (29, 95, 168),
        (181, 86, 15),
        (79, 122, 42),
        (138, 63, 143),
        (179, 32, 44),
        (12, 124, 134),
        (107, 90, 30),
        (75, 79, 85),
    ],
    float,
)  # of TONES, on white paper
_PALE = 0.28


@dataclass(frozen=True)
class Window:
    """The part of the plane that is drawn."""

    x_low: float
    x_high: float
    y_low: float
    y_high: float

    def grid(self, n: int = 120) -> Float[np.ndarray, "n n 2"]:
        """Centres of n × n cells as (x, y), the top row first, as an image has them."""
        xs = self.x_low + (np.arange(n) + 0.5) / n * (self.x_high - self.x_low)
        ys = self.y_high - (np.arange(n) + 0.5) / n * (self.y_high - self.y_low)
        return np.stack(np.meshgrid(xs, ys), -1)


@dataclass(frozen=True)
class Points:
    """(n, 2) points; `classes` choose their tones (all the first one if left out). `name` is written beside the last one."""

    at: Float[np.ndarray, "n 2"]
    classes: Int[np.ndarray, "n"] | None = None
    radius: float = 3.0


@dataclass(frozen=True)
class Path:
    """A way through the plane with a name, such as an optimiser's; a dot at its start and a larger one at its end."""

    at: Float[np.ndarray, "n 2"]
    name: str
    tone: str = "one"


@dataclass(frozen=True)
class Surface:
    """Values over `window.grid(n)`, (n, n): classes (integers) are tinted; numbers get level lines at `levels`."""

    values: Float[np.ndarray, "n n"] | Int[np.ndarray, "n n"]
    levels: Sequence[float] = ()


def plane_chart(
    window: Window,
    *,
    title: str,
    description: str,
    surface: Surface | None = None,
    points: Sequence[Points] = (),
    paths: Sequence[Path] = (),
    axes: tuple[str, str] = ("x", "y"),
) -> Markup:
    """All of it as an inline SVG of equal sides. Anything outside of the window is cut off at its edge."""
    xs = Scale(window.x_low, window.x_high, _LEFT, SIZE - _RIGHT)
    ys = Scale(window.y_low, window.y_high, SIZE - _BOTTOM, _TOP)
    parts: list[Markup] = []
    if surface is not None:
        parts += _surface(surface, xs, ys)
    parts += _axes(axes, xs, ys)
    for group in points:
        parts += _points(group, xs, ys)
    for row, path in enumerate(paths):
        parts += _path(path, xs, ys)
        parts.append(label(path.name, xs.end - 4, ys.end + 14 + 15 * row, kind=f"c-name {path.tone}", anchor="end"))
    return drawing(SIZE, SIZE, *parts, title=title, description=description, kind="c-plane")


def _surface(surface: Surface, xs: Scale, ys: Scale) -> list[Markup]:
    values = np.asarray(surface.values)
    n = len(values)
    at: dict[str, Attribute] = {
        "x": xs.start, "y": ys.end, "width": xs.end - xs.start, "height": ys.start - ys.end,
        "preserveAspectRatio": "none", "href": data_uri(png_bytes(_tinted(values, bool(surface.levels)))),
    }  # fmt: skip
    parts = [element("image", at)]
    for level in surface.levels:
        for line in find_contours(values.astype(float), level):  # rows and columns, of the cells' centres
            x = xs.start + (line[:, 1] + 0.5) / n * (xs.end - xs.start)
            y = ys.end + (line[:, 0] + 0.5) / n * (ys.start - ys.end)
            parts.append(_polyline(x, y, "c-level"))
    return parts


def _tinted(values: np.ndarray, is_height: bool) -> UInt8[np.ndarray, "n n 3"]:
    """Classes in pale tints; heights from white (low) to grey, by rank, so that steep walls do not hide the valley."""
    if not is_height:
        tint = _TINTS[values.astype(int) % len(_TINTS)]
        return (255 - _PALE * (255 - tint)).round().astype(np.uint8)
    ranks = values.ravel().argsort(kind="stable").argsort(kind="stable").reshape(values.shape) / max(values.size - 1, 1)
    return np.repeat((255 - 70 * ranks)[..., None], 3, -1).round().astype(np.uint8)


def _axes(names: tuple[str, str], xs: Scale, ys: Scale) -> list[Markup]:
    parts = [
        label(names[1], 0, 12, kind="c-axis-name"),
        label(names[0], (xs.start + xs.end) / 2, ys.start + 33, kind="c-axis-name", anchor="middle"),
        stroke(xs.start, ys.start, xs.end, ys.start, "c-axis"),
        stroke(xs.start, ys.start, xs.start, ys.end, "c-axis"),
    ]
    across, up = xs.ticks(5), ys.ticks(5)
    parts += [
        label(text, xs(v), ys.start + 17, kind="c-tick", anchor="middle")
        for v, text in zip(across, tick_labels(across), strict=True)
    ]
    parts += [
        label(text, xs.start - 6, ys(v) + 4, kind="c-tick", anchor="end")
        for v, text in zip(up, tick_labels(up), strict=True)
    ]
    return parts


def _points(group: Points, xs: Scale, ys: Scale) -> list[Markup]:
    classes = group.classes if group.classes is not None else np.zeros(len(group.at), int)
    return [
        element(
            "circle",
            {
                "cx": xs(float(x)), "cy": ys(float(y)), "r": group.radius,
                "class": f"c-point {TONES[int(c) % len(TONES)]}", "fill": "currentColor",
            },
        )
        for (x, y), c in zip(group.at, classes, strict=True)
    ]  # fmt: skip


def _path(path: Path, xs: Scale, ys: Scale) -> list[Markup]:
    finite = path.at[np.isfinite(path.at).all(1)]
    x = np.array([xs(float(v)) for v in finite[:, 0]])
    y = np.array([ys(float(v)) for v in finite[:, 1]])
    if not len(x):
        return []
    ends: list[tuple[int, float]] = [(0, 2.5), (-1, 4.5)]
    dots = [
        element("circle", {"cx": x[i], "cy": y[i], "r": r, "class": f"c-point {path.tone}", "fill": "currentColor"})
        for i, r in ends
    ]
    return [_polyline(x, y, f"c-line {path.tone}"), *dots]


def _polyline(x: np.ndarray, y: np.ndarray, kind: str) -> Markup:
    steps = " ".join(f"{'L' if i else 'M'}{number(a)} {number(b)}" for i, (a, b) in enumerate(zip(x, y, strict=True)))
    return element("path", {"d": Markup(steps), "class": kind, "fill": "none", "stroke": "currentColor"})
