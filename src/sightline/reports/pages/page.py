"""The page of an answer: its verdict, a key figure, charts, tables and pictures as one HTML file in the style of the report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from sightline.reports.build import policy
from sightline.reports.parts.figures import Chart
from sightline.reports.template import HERE, environment
from sightline.version import __version__


@dataclass(frozen=True)
class Table:
    """A table: the first column are names; `heads` say of the others whether they are figures ("num") or text ("")."""

    title: str
    heads: Sequence[tuple[str, str]]
    rows: Sequence[Sequence[str]]
    intro: str = ""
    note: str = ""


@dataclass(frozen=True)
class Thumbnail:
    """A picture with a line in bold, a line under it, and the name of its file. `tiny`: with visible pixels."""

    image: str
    width: int
    height: int
    tiny: bool
    title: str
    line: str
    name: str


@dataclass(frozen=True)
class AnswerPage:
    """What the page says. `number` is the key figure in large type, `under` what it is; `facts` are pairs for the end."""

    title: str
    name: str
    chips: Sequence[str]
    verdict: str
    sentences: Sequence[str] = ()
    number: str = ""
    under: str = ""
    charts: Sequence[Chart] = ()
    tables: Sequence[Table] = ()
    thumbnails: Sequence[Thumbnail] = ()
    thumbnails_title: str = ""
    thumbnails_intro: str = ""
    command: str = ""
    facts: Sequence[tuple[str, str]] = ()


def render_answer(page: AnswerPage) -> str:
    """The page as HTML text."""
    css = (HERE / "style.css").read_text(encoding="utf-8")
    values = {"page": page, "css": Markup(css), "policy": policy(css), "version": __version__}
    return environment().get_template("pages/page.html").render(values)
