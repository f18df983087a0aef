"""Elements as escaped text: the only place where the markup of charts is assembled.

Charts are plain SVG because the report's page runs no script and loads nothing. They use presentation attributes and
class names only (the page's content security policy forbids `style` attributes); colours come from `currentColor` and
the page's CSS, so one drawing serves light, dark and print.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from markupsafe import Markup, escape

from sightline.storage.text import printable

Attribute = str | int | float


def seen(text: object) -> str:
    """Text with hidden characters written out. Most text has none, and `isprintable` says so quickly."""
    plain = str(text)
    return plain if plain.isprintable() else printable(plain)


def shortened(text: object, length: int) -> str:
    """The visible text in at most `length` characters. The middle is left out: both ends of a file name are informative."""
    whole = seen(text)
    if len(whole) <= length:
        return whole
    tail = (length - 1) // 2
    return f"{whole[: length - 1 - tail]}…{whole[len(whole) - tail :] if tail else ''}"


def number(value: float) -> str:
    """A coordinate with at most two decimals. ValueError for NaN and infinities, which would make the drawing vanish."""
    if not math.isfinite(value):
        raise ValueError(f"a coordinate must be finite, not {value}")
    text = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def element(name: str, attributes: Mapping[str, Attribute] | None = None, *children: object) -> Markup:
    """`<name …>children</name>`; text children and attribute values are made visible and escaped, Markup is kept."""
    pairs = (f' {key}="{_value(value)}"' for key, value in (attributes or {}).items())
    return Markup(f"<{name}{''.join(pairs)}>{joined(children)}</{name}>")  # all parts are escaped


def _value(value: Attribute) -> str:
    if isinstance(value, Markup):
        return str(value)
    return str(escape(seen(value))) if isinstance(value, str) else number(value)


def joined(children: Iterable[object]) -> Markup:
    """The children one after the other: Markup as it is, anything else visible and escaped."""
    return Markup("".join(str(c if isinstance(c, Markup) else escape(seen(c))) for c in children))


def label(text: object, x: float, y: float, *, kind: str = "c-label", anchor: str = "start") -> Markup:
    """Text at (x, y); `kind` is its CSS class, `anchor` start, middle or end."""
    at: dict[str, Attribute] = {"x": x, "y": y, "class": kind, "text-anchor": anchor, "fill": "currentColor"}
    return element("text", at, text)


def stroke(x1: float, y1: float, x2: float, y2: float, kind: str) -> Markup:
    """A straight line of CSS class `kind`."""
    return element("line", {"x1": x1, "y1": y1, "x2": x2, "y2": y2, "class": kind, "stroke": "currentColor"})


def drawing(width: float, height: float, *children: object, title: str, description: str, kind: str) -> Markup:
    """An inline `<svg>` that scales with its column and has a title and a description for screen readers."""
    frame: dict[str, Attribute] = {
        "class": f"chart {kind}",
        "viewBox": f"0 0 {number(width)} {number(height)}",
        "width": width,
        "height": height,
        "role": "img",
    }
    return element("svg", frame, element("title", None, title), element("desc", None, description), *children)
