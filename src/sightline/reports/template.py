"""The page's templates. Every value is escaped and its hidden characters become visible; drawings pass unchanged."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from sightline.drawing.svg import seen, shortened

from .wording import NOTHING

HERE = Path(__file__).parent


@cache
def environment() -> jinja2.Environment:
    templates = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE), autoescape=True, undefined=jinja2.StrictUndefined, finalize=_visible
    )
    templates.filters["short"] = shortened
    templates.filters["in_full"] = _in_full
    return templates


def section(macro: str, *values: Any) -> Markup:
    """The markup of one section: a macro of `sections.html` with its values."""
    module: Any = environment().get_template("sections.html").module
    return Markup(getattr(module, macro)(*values))


def _visible(value: object) -> object:
    """A drawing unchanged; anything else with its hidden characters visible."""
    return value if isinstance(value, Markup) else seen(value)


def _in_full(value: float | None) -> str:
    """A count in full: 61,706."""
    return NOTHING if value is None else f"{value:,.0f}"
