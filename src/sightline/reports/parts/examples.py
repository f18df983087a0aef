"""Images beside their ground truth and prediction: the worst of the evaluated split and some others, and a legend."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from sightline.drawing.overlay import MISSED, RIGHT, WRONG, colour
from sightline.drawing.swatch import swatch
from sightline.reports.chapter import Scene
from sightline.reports.content import RunContent
from sightline.reports.rules.learning import split_word
from sightline.reports.samples import Example
from sightline.reports.split_evaluation import SplitEvaluation
from sightline.reports.wording import percent, plural

from .dense_facts import image_ious
from .picture import KILOBYTE, page_picture

WIDEST, LIMIT = 1400, 200 * KILOBYTE  # pixels of three images side by side, bytes
MOST_CLASSES = 40  # in a legend
IGNORE_GREY = (96, 96, 96)


@dataclass(frozen=True)
class ExampleView:
    """An example as the page shows it; `note` is its score or its mistakes."""

    image: str
    width: int
    height: int
    name: str
    note: str


def example_values(
    scene: Scene, notes: Callable[[SplitEvaluation], dict[int, str]], intro: str
) -> dict[str, Any] | None:
    """The section of examples; `notes` gives the score or the mistakes by id, `intro` describes the three columns."""
    examples, evaluation = scene.content.examples, scene.content.evaluation
    if examples is None:
        return None
    known = notes(evaluation) if evaluation is not None and evaluation.split == examples.split else {}
    views = {
        worst: [_view(e, known.get(e.id, "")) for e in examples.items if e.worst is worst] for worst in (True, False)
    }
    where = f"From the {split_word(examples.split)} images" if examples.split else "Images"
    return {"worst": views[True], "typical": views[False], "intro": f"{where}: {intro}."}


def _view(example: Example, note: str) -> ExampleView:
    picture = page_picture(example.png, most=WIDEST, limit=LIMIT)
    return ExampleView(picture.image, picture.width, picture.height, example.name, note)


def pixel_notes(evaluation: SplitEvaluation) -> dict[int, str]:
    """id → mean IoU of that image."""
    pairs = zip(evaluation.rows.id.tolist(), image_ious(evaluation).tolist(), strict=True)
    return {i: f"mean IoU {percent(value)}" for i, value in pairs if np.isfinite(value)}


def object_notes(evaluation: SplitEvaluation) -> dict[int, str]:
    """id → the mistakes in that image."""
    errors = evaluation.judgement.errors
    rows = zip(evaluation.rows.id.tolist(), errors.missed.tolist(), errors.false.tolist(), strict=True)
    return {i: _mistakes(missed, false) for i, missed, false in rows}


def _mistakes(missed: int, false: int) -> str:
    parts = [f"{missed:,} missed"] if missed else []
    parts += [plural(false, "wrong box", "wrong boxes")] if false else []
    return ", ".join(parts) or "no mistakes"


def class_legend(content: RunContent) -> list[tuple[Any, str]]:
    """The colour of each class."""
    classes = content.evaluation.classes if content.evaluation else content.data.classes if content.data else ()
    return [(swatch(colour(i)), name) for i, name in enumerate(classes[:MOST_CLASSES])]


def ignore_legend() -> list[tuple[Any, str]]:
    """The colour of pixels that no metric counts."""
    return [(swatch(IGNORE_GREY), "ignored by the metrics (darkened, grey)")]


def prediction_legend(what: str) -> list[tuple[Any, str]]:
    """The colours of a detector's predictions, each a box or an outline (`what`)."""
    dashed = " (dashed)" if what == "box" else ""
    return [
        (swatch(RIGHT), f"correct: {what} of the right class on its object"),
        (swatch(WRONG), f"wrong{dashed}: wrong class, poorly localised, duplicate or background"),
        (swatch(MISSED), "missed (dotted): an object without a box"),
    ]
