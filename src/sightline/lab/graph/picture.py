"""A computational graph as a drawing: forward values above its nodes, gradients below."""

from __future__ import annotations

from markupsafe import Markup

from sightline.drawing.figures.graph import Vertex, layered_graph

from .gates import Array
from .node import Node, topological_order


def graph_picture(root: Node, *, title: str, description: str, digits: int = 4) -> Markup:
    """The graph behind `root` as an SVG. Scalars are written with so many significant digits, arrays as their shape."""
    order = topological_order(root)
    place = {id(node): i for i, node in enumerate(order)}
    vertices = [
        Vertex(
            text=node.gate.symbol if node.gate else node.name or _text(node.value, digits),
            above=_text(node.value, digits),
            below=_text(node.gradient, digits),
            leaf=node.gate is None,
        )
        for node in order
    ]
    edges = [(place[id(parent)], place[id(node)]) for node in order for parent in node.parents]
    return layered_graph(vertices, edges, title=title, description=description)


def _text(value: Array, digits: int) -> str:
    if value.size == 1:
        return f"{float(value.reshape(())):.{digits}g}".replace("-", "−")
    return " × ".join(map(str, value.shape))
