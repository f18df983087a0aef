"""Run folder → one HTML file: read, judge, draw, fill the page.

The page runs no script and loads nothing: its content security policy allows pictures inside the file and the one
style sheet whose hash it names. Everything that came from outside (names, settings, messages) goes through `seen`,
which writes hidden characters out, and through the template's escaping; only drawings made here are markup.
"""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from pathlib import Path

import jinja2
from markupsafe import Markup

from sightline.drawing.svg import seen, shortened
from sightline.reports.parts.figures import Pictures
from sightline.reports.parts.page import page_values
from sightline.version import __version__

from .content import Content, read_content
from .facts import facts_of
from .headline import headline_of
from .thresholds import thresholds_of
from .verdict import verdict
from .wording import NOTHING

_HERE = Path(__file__).parent


def build_report(folder: Path, *, picture: Pictures) -> str:
    """The report of a run as HTML text; nothing is written.

    `picture(name)` gives the uint8 (h, w, c) image of that name in the data, None when it is gone. Raises
    DamagedError when the folder is no run.
    """
    return render(read_content(folder), picture=picture)


def render(content: Content, *, picture: Pictures) -> str:
    """The page of what was read."""
    limits = thresholds_of(headline_of(content.kind))
    facts = facts_of(content, limits)
    css = (_HERE / "style.css").read_text(encoding="utf-8")
    values = page_values(content, facts, verdict(facts, limits), limits, picture=picture)
    values |= {"css": Markup(css), "policy": policy(css), "version": __version__}
    return _environment().get_template("page.html").render(values)


def policy(css: str) -> str:
    """The content security policy: nothing but pictures inside the file and this very style sheet."""
    digest = base64.b64encode(hashlib.sha256(css.encode("utf-8")).digest()).decode("ascii")
    return f"default-src 'none'; img-src data:; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE), autoescape=True, undefined=jinja2.StrictUndefined, finalize=_seen
    )
    environment.filters["short"] = shortened
    environment.filters["whole"] = _whole
    return environment


def _seen(value: object) -> object:
    """Every value on its way into the page: drawings pass, anything else loses its hidden characters."""
    return value if isinstance(value, Markup) else seen(value)


def _whole(value: float | None) -> str:
    """A count in full: 61,706."""
    return NOTHING if value is None else f"{value:,.0f}"
