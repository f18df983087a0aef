"""Images with truth and answer beside them: the worst of the judged split and some that nobody chose, and a legend."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from sightline.drawing.overlay import MISSED, RIGHT, WRONG, colour
from sightline.drawing.png import data_uri, png_size
from sightline.drawing.shrunk import shrunk
from sightline.drawing.swatch import swatch
from sightline.reports.chapter import Scene
from sightline.reports.content import RunContent
from sightline.reports.judged import JudgedSplit
from sightline.reports.rules.learning import split_word
from sightline.reports.samples import Example
from sightline.reports.wording import counted, percent

from .dense_facts import image_ious

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


def example_values(scene: Scene, notes: Callable[[JudgedSplit], dict[int, str]], intro: str) -> dict[str, Any] | None:
    """The section of pictures; `notes` says of each id how well that image went, `intro` what stands side by side."""
    examples, judged = scene.content.examples, scene.content.judged
    if examples is None:
        return None
    known = notes(judged) if judged is not None and judged.split == examples.split else {}
    views = {
        worst: [_view(e, known.get(e.id, "")) for e in examples.items if e.worst is worst] for worst in (True, False)
    }
    where = f"From the {split_word(examples.split)} images" if examples.split else "Images"
    return {"worst": views[True], "typical": views[False], "intro": f"{where}: {intro}."}


def _view(example: Example, said: str) -> ExampleView:
    png = shrunk(example.png, most=WIDEST)
    width, height = png_size(png)
    return ExampleView(data_uri(png), width, height, example.name, said)


def pixel_notes(judged: JudgedSplit) -> dict[int, str]:
    """id → mean IoU of that image."""
    pairs = zip(judged.rows.id.tolist(), image_ious(judged).tolist(), strict=True)
    return {i: f"mean IoU {percent(value)}" for i, value in pairs if np.isfinite(value)}


def object_notes(judged: JudgedSplit) -> dict[int, str]:
    """id → the mistakes in that image."""
    errors = judged.judgement.errors
    rows = zip(judged.rows.id.tolist(), errors.missed.tolist(), errors.false.tolist(), strict=True)
    return {i: _mistakes(missed, false) for i, missed, false in rows}


def _mistakes(missed: int, false: int) -> str:
    parts = [f"{missed:,} missed"] if missed else []
    parts += [counted(false, "wrong box", "wrong boxes")] if false else []
    return ", ".join(parts) or "all right"


def class_legend(content: RunContent) -> list[tuple[Any, str]]:
    """The colour of each class."""
    classes = content.judged.classes if content.judged else content.data.classes if content.data else ()
    return [(swatch(colour(i)), name) for i, name in enumerate(classes[:MOST_NAMED])]


def ignored_legend() -> list[tuple[Any, str]]:
    """The colour of pixels that count nowhere."""
    return [(swatch(IGNORED), "not judged (darkened, grey)")]


def answer_legend(what: str) -> list[tuple[Any, str]]:
    """The colours of a detector's answers, each a box or an outline (`what`)."""
    return [
        (swatch(RIGHT), f"right: {what} of the right class on its object"),
        (swatch(WRONG), "wrong: another class, badly placed, twice, or nothing there"),
        (swatch(MISSED), "missed: an object without a box"),
    ]
