"""The page's templates. Every value is escaped on its way in, and loses its hidden characters; drawings pass."""

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
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE), autoescape=True, undefined=jinja2.StrictUndefined, finalize=_visible
    )
    made.filters["short"] = shortened
    made.filters["whole"] = _whole
    return made


def section(macro: str, *values: Any) -> Markup:
    """The markup of one section: a macro of `sections.html` with its values."""
    module: Any = environment().get_template("sections.html").module
    return Markup(getattr(module, macro)(*values))


def _visible(value: object) -> object:
    """A drawing as it is; of anything else hidden characters are written out."""
    return value if isinstance(value, Markup) else seen(value)


def _whole(value: float | None) -> str:
    """A count in full: 61,706."""
    return NOTHING if value is None else f"{value:,.0f}"
