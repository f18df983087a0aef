"""A colour as a small square for legends, and a share of a whole as a bar for table cells."""

from __future__ import annotations

from markupsafe import Markup

from .axes import Scale
from .svg import Attribute, drawing, element, stroke


def swatch(colour: tuple[int, int, int]) -> Markup:
    """A 12 × 12 square of an RGB colour. Hidden from screen readers: the name stands beside it."""
    red, green, blue = colour
    box: dict[str, Attribute] = {"width": 12, "height": 12, "rx": 2, "fill": f"rgb({red},{green},{blue})"}
    frame: dict[str, Attribute] = {"class": "swatch", "viewBox": "0 0 12 12", "width": 12, "height": 12}
    return element("svg", frame | {"aria-hidden": "true"}, element("rect", box))


def share_bar(share: float, *, title: str) -> Markup:
    """A 150 × 14 bar from 0 to `share` of its track, which is 1."""
    scale = Scale(0.0, 1.0, 1.0, 149.0)
    bar: dict[str, Attribute] = {"x": scale.start, "y": 3, "width": max(scale(share) - scale.start, 0.5), "height": 8}
    parts = [
        stroke(scale.start, 7, scale.end, 7, "c-track"),
        element("rect", bar | {"class": "c-bar", "fill": "currentColor"}),
    ]
    return drawing(150, 14, *parts, title=title, description="", kind="c-strip")
