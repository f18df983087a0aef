"""Images with truth and answer beside them: the worst of the judged split and some that nobody chose, and a legend."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup

from sightline.drawing.overlay import MISSED, RIGHT, WRONG, colour
from sightline.drawing.png import data_uri, png_size
from sightline.drawing.shrunk import shrunk
from sightline.drawing.swatch import swatch
from sightline.reports.rules.learning import split_word
from sightline.reports.wording import counted, percent

from .dense_facts import image_ious
from .judged import AnyJudged, JudgedObjects, JudgedSegments
from .samples import Example, Examples

WIDEST = 1000  # pixels of three pictures side by side
MOST_NAMED = 40  # classes in a legend
IGNORED = (96, 96, 96)


@dataclass(frozen=True)
class ExampleView:
    """An example as shown; `said` is what went wrong in it."""

    picture: str
    width: int
    height: int
    name: str
    said: str


def example_values(examples: Examples | None, judged: AnyJudged | None, kind: str) -> dict[str, Any] | None:
    """The section of pictures."""
    if examples is None:
        return None
    said = _said(judged) if judged is not None and judged.split == examples.split else {}
    views = {
        worst: [_view(e, said.get(e.id, "")) for e in examples.items if e.worst is worst] for worst in (True, False)
    }
    return {"worst": views[True], "typical": views[False], "intro": _intro(examples, kind)}


def _view(example: Example, said: str) -> ExampleView:
    png = shrunk(example.png, most=WIDEST)
    width, height = png_size(png)
    return ExampleView(data_uri(png), width, height, example.name, said)


def _said(judged: AnyJudged) -> dict[int, str]:
    """id → how well that image went."""
    if isinstance(judged, JudgedSegments):
        pairs = zip(judged.rows.id.tolist(), image_ious(judged).tolist(), strict=True)
        return {i: f"mean IoU {percent(value)}" for i, value in pairs if np.isfinite(value)}
    if isinstance(judged, JudgedObjects):
        errors = judged.judgement.errors
        rows = zip(judged.rows.id.tolist(), errors.missed.tolist(), errors.false.tolist(), strict=True)
        return {i: _mistakes(missed, false) for i, missed, false in rows}
    return {}


def _mistakes(missed: int, false: int) -> str:
    parts = [f"{missed:,} missed"] if missed else []
    parts += [counted(false, "wrong box", "wrong boxes")] if false else []
    return ", ".join(parts) or "all right"


def _intro(examples: Examples, kind: str) -> str:
    where = f"From the {split_word(examples.split)} images" if examples.split else "Images"
    if kind == "segmentation":
        return f"{where}: the image as the network gets it, what is true, what the model says."
    sure = f" with a score of at least {examples.threshold:.2f}" if examples.threshold is not None else ""
    return f"{where}: the image as the network gets it, the objects that are there, what the model finds{sure}."


def class_legend(kind: str, classes: tuple[str, ...]) -> list[tuple[Markup, str]]:
    """The colours of the truth: of each class, or (instances) none that mean anything."""
    if kind == "instances":
        return []
    legend = [(swatch(colour(i)), name) for i, name in enumerate(classes[:MOST_NAMED])]
    return [*legend, (swatch(IGNORED), "not judged (darkened, grey)")] if kind == "segmentation" else legend


def answer_legend(kind: str) -> list[tuple[Markup, str]]:
    """The colours of what was found."""
    if kind == "segmentation":
        return []
    what = "outline" if kind == "instances" else "box"
    return [
        (swatch(RIGHT), f"right: {what} of the right class on its object"),
        (swatch(WRONG), "wrong: another class, badly placed, twice, or nothing there"),
        (swatch(MISSED), "missed: an object without a box"),
    ]
