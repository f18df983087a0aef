"""Directed acyclic graphs in layers, from left to right: computational graphs, with a number above and one below each vertex.

A vertex stands one layer left of the first vertex that reads it, so that leaves are beside their first use; within a
layer vertices follow the mean place of their readers, which keeps edges from crossing where that is easy (Sugiyama,
Tagawa and Toda 1981).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from ..svg import Attribute, drawing, element, label, number, stroke

_STEP, _ROW, _RADIUS, _LETTER = 104, 92, 19, 8.2
_ROUNDS = 4


@dataclass(frozen=True)
class Vertex:
    """`text` is inside, `above` and `below` are the numbers; a leaf is framed, an operation is round."""

    text: str
    above: str = ""
    below: str = ""
    leaf: bool = False


def layered_graph(
    vertices: Sequence[Vertex], edges: Sequence[tuple[int, int]], *, title: str, description: str
) -> Markup:
    """The graph as an inline SVG; an edge (i, j) leads from vertex i to vertex j. ValueError where there is a cycle."""
    depth = _depths(len(vertices), edges)
    rows = _rows(depth, edges)
    last, tallest = max(depth), max(len(row) for row in rows)
    step = max(_STEP, round(max(_width(v) for v in vertices)) + 44)
    places = {}
    for layer, row in enumerate(rows):
        top = (tallest - len(row)) / 2
        for place, vertex in enumerate(row):
            places[vertex] = (step * (last - layer) + step / 2, _ROW * (top + place) + _ROW / 2)
    parts = [_arrow(places[a], places[b], vertices[a], vertices[b]) for a, b in edges]
    parts += [piece for i, vertex in enumerate(vertices) for piece in _vertex(vertex, *places[i])]
    return drawing(
        step * (last + 1), _ROW * tallest, *parts, title=title, description=description, kind="c-graph"
    )  # fmt: skip


def _depths(n: int, edges: Sequence[tuple[int, int]]) -> list[int]:
    """Each vertex's distance to the end: 0 where nothing reads it, else one more than its farthest reader."""
    depth = [0] * n
    for _ in range(n + 1):
        moved = False
        for a, b in edges:
            if depth[a] <= depth[b]:
                depth[a], moved = depth[b] + 1, True
        if not moved:
            return depth
    raise ValueError("a layered graph has no cycle")


def _rows(depth: Sequence[int], edges: Sequence[tuple[int, int]]) -> list[list[int]]:
    """The vertices of each layer from top to bottom."""
    rows: list[list[int]] = [[] for _ in range(max(depth) + 1)]
    for vertex, layer in enumerate(depth):
        rows[layer].append(vertex)
    place = {vertex: float(i) for row in rows for i, vertex in enumerate(row)}
    for _ in range(_ROUNDS):
        for row in rows:
            wanted = {}
            for vertex in row:
                readers = [place[b] for a, b in edges if a == vertex]
                wanted[vertex] = sum(readers) / len(readers) if readers else place[vertex]
            row.sort(key=lambda vertex: (wanted[vertex], vertex))
            middle = sum(wanted.values()) / len(row)
            place |= {vertex: middle + i - (len(row) - 1) / 2 for i, vertex in enumerate(row)}
    return rows


def _width(vertex: Vertex) -> float:
    """Of its shape: a circle, or as wide as its text needs."""
    return max(2 * _RADIUS, _LETTER * len(vertex.text) + 14)


def _arrow(start: tuple[float, float], end: tuple[float, float], a: Vertex, b: Vertex) -> Markup:
    """From border to border, with its point."""
    x1, x2 = start[0] + _width(a) / 2, end[0] - _width(b) / 2
    y1, y2 = start[1], end[1]
    y2 += math.copysign(min(abs(y1 - y2) / 8, 10), y1 - y2) if y1 != y2 else 0  # edges into one vertex arrive apart
    length = math.hypot(x2 - x1, y2 - y1)
    across, along = (x2 - x1) / length, (y2 - y1) / length
    left = (x2 - 9 * across + 4 * along, y2 - 9 * along - 4 * across)
    right = (x2 - 9 * across - 4 * along, y2 - 9 * along + 4 * across)
    point = " ".join(f"{k}{number(x)} {number(y)}" for k, (x, y) in zip("MLL", (left, (x2, y2), right), strict=True))
    tip = element("path", {"d": Markup(point), "class": "c-arrow", "fill": "none", "stroke": "currentColor"})
    return Markup("{}{}").format(stroke(x1, y1, x2, y2, "c-arrow"), tip)


def _vertex(vertex: Vertex, x: float, y: float) -> list[Markup]:
    width = _width(vertex)
    shape: dict[str, Attribute] = {
        "x": x - width / 2, "y": y - _RADIUS, "width": width, "height": 2 * _RADIUS, "rx": 4 if vertex.leaf else _RADIUS,
        "class": "c-node", "fill": "none", "stroke": "currentColor",
    }  # fmt: skip
    return [
        element("rect", shape),
        label(vertex.text, x, y + 5, kind="c-operation", anchor="middle"),
        label(vertex.above, x, y - _RADIUS - 7, kind="c-forward", anchor="middle"),
        label(vertex.below, x, y + _RADIUS + 17, kind="c-backward", anchor="middle"),
    ]
