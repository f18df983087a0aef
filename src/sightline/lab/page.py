"""An experiment that ran → one HTML page; several → a book with an index. No scripts, nothing loaded."""

from __future__ import annotations

import base64
import inspect
import math
import statistics
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup, escape

from sightline.drawing.png import data_uri, fitted, png_bytes
from sightline.drawing.svg import seen
from sightline.reports.build import policy
from sightline.reports.template import HERE as REPORTS
from sightline.version import __version__

from .experiment import Picture, Table
from .running import Outcome

HERE = Path(__file__).parent
_LEAST, _MOST = 120, 900  # pixels of a picture's longer side


def experiment_page(outcome: Outcome, *, index: bool = False) -> str:
    """The page as HTML text; with `index` it links back to the book's index."""
    first, entry, experiment = outcome.results[0], outcome.entry, outcome.experiment
    defaults = asdict(experiment.parameters)
    return _rendered(
        "page.html",
        entry=entry,
        holds=outcome.holds,
        seeds=list(outcome.seeds),
        random=experiment.random,
        claims=[_claim(claims) for claims in outcome.claims()],
        pictures=[_picture(picture) for picture in first.pictures],
        tables=[_table(table) for table in first.tables],
        numbers=[(name, *_spread([r.numbers[name] for r in outcome.results])) for name in first.numbers],
        notice=experiment.notice,
        formulas=[(escape(formula.text), formula.source) for formula in experiment.formulas],
        code=[(f"{f.__module__}.{f.__qualname__}", escape(inspect.getsource(f))) for f in experiment.code],
        parameters=[(k, v, v != defaults[k]) for k, v in asdict(outcome.parameters).items()],
        variations=[(f"sightline lab {entry.name} {v.overrides}", v.effect) for v in experiment.variations],
        command=_command(outcome),
        seconds=f"{outcome.seconds:.1f}",
        index=index,
    )


def index_page(rows: Sequence[dict[str, Any]], *, extras: Sequence[tuple[str, str, str]] = ()) -> str:
    """The index of a book: `rows` have topic, name, title, question, holds, claims, seconds. `extras` are (address, title,
    sentence) of further pages."""
    topics: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        topics.setdefault(row["topic"], []).append(row)
    return _rendered(
        "index.html",
        topics=topics,
        extras=extras,
        claims=sum(row["claims"] for row in rows),
        failing=[row for row in rows if not row["holds"]],
    )


def _rendered(template: str, **values: Any) -> str:
    css = "\n".join(path.read_text(encoding="utf-8") for path in (REPORTS / "style.css", HERE / "lab.css"))
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=lambda value: value if isinstance(value, Markup) else seen(value),
    )
    page = environment.get_template(template)
    return page.render(css=Markup(css), policy=policy(css), version=__version__, **values)


def _command(outcome: Outcome) -> str:
    defaults = asdict(outcome.experiment.parameters)
    changed = [f" {k}={v}" for k, v in asdict(outcome.parameters).items() if v != defaults[k]]
    return f"sightline lab {outcome.entry.name}{''.join(changed)}"


def _claim(claims: Sequence[Any]) -> dict[str, Any]:
    """One claim over the seeds; seeds that measured the same say it once."""
    held = sum(claim.holds for claim in claims)
    measured = [claim.measured for claim in claims]
    return {
        "sentence": claims[0].sentence,
        "holds": held == len(claims),
        "share": f"{held} of {len(claims)} seeds" if len(claims) > 1 else "",
        "measured": measured[:1] if len(set(measured)) == 1 else measured,
    }


def _picture(picture: Picture) -> dict[str, Any]:
    content: Any = picture.content
    if isinstance(content, bytes):
        mark = Markup('<img alt="{}" src="{}">')
        content = mark.format(picture.caption, f"data:image/gif;base64,{base64.b64encode(content).decode('ascii')}")
    elif not isinstance(content, Markup):
        source = data_uri(png_bytes(fitted(content, least=_LEAST, most=_MOST)))
        content = Markup('<img alt="{}" src="{}">').format(picture.caption, source)
    return {"content": content, "caption": picture.caption, "wide": picture.wide}


def _table(table: Table) -> dict[str, Any]:
    return {"header": table.header, "rows": [[_cell(c) for c in row] for row in table.rows], "caption": table.caption}


def _cell(value: str | int | float | None) -> str:
    if value is None:
        return "–"
    return value if isinstance(value, str) else number_text(value)


def _spread(values: Sequence[float]) -> tuple[str, str]:
    """Mean and range over the seeds, as text."""
    mean = number_text(statistics.fmean(values))
    if len(values) < 2 or min(values) == max(values):
        return mean, ""
    return mean, f"{number_text(min(values))} to {number_text(max(values))}"


def number_text(value: float) -> str:
    """At most four significant digits; whole numbers in full."""
    if isinstance(value, bool) or not math.isfinite(value):
        return str(value)
    if float(value).is_integer() and abs(value) < 1e15:
        return f"{value:,.0f}".replace("-", "−")
    return f"{value:,.4g}".replace("-", "−")
