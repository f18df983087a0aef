"""The page of an attack: its verdict, curves, examples and tables as one HTML file in the style of the report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from sightline.reports.build import policy
from sightline.reports.parts.examples import ExampleView
from sightline.reports.parts.figures import Chart
from sightline.reports.template import HERE, environment
from sightline.version import __version__


@dataclass(frozen=True)
class PageTable:
    """A table: the first column are names, the others figures."""

    title: str
    heads: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""


@dataclass(frozen=True)
class AttackPage:
    """What the page says. `number` is the key figure in large type, `under` what it is; `facts` are pairs for the end."""

    title: str
    source: str
    name: str
    chips: Sequence[str]
    verdict: str
    number: str
    under: str
    command: str
    charts: Sequence[Chart] = ()
    curves_title: str = "Accuracy over the budget"
    examples: Sequence[ExampleView] = ()
    examples_title: str = "Images"
    examples_intro: str = (
        "From left to right: the image, the image that was saved, and their difference enlarged around grey."
    )
    tables: Sequence[PageTable] = ()
    facts: Sequence[tuple[str, str]] = ()


def render_attack(page: AttackPage) -> str:
    """The page as HTML text."""
    css = (HERE / "style.css").read_text(encoding="utf-8")
    values = {"page": page, "css": Markup(css), "policy": policy(css), "version": __version__}
    return environment().get_template("attacks/page.html").render(values)
