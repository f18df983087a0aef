"""Single-shot networks behind the kind `detection`: their task, defaults and graph."""

from __future__ import annotations

from typing import Any

from sightline.decoding.detections import MIN_SIDE
from sightline.exports.agreement import box_difference
from sightline.exports.plan import IMAGE, Export, Graph, Shape
from sightline.models.boxes.single_shot.graph import AllPlaces
from sightline.preprocessing.normalise import Normalised
from sightline.recipes.augmenting import closing
from sightline.recipes.defaults import Filled, Traits, dense_defaults
from sightline.recipes.recipe import Draft
from sightline.recipes.section import CLOSE
from sightline.tasks.single_shot import SingleShot
from sightline.tasks.task import Task

from .. import regions
from ..kind import Setting

NETWORK = "yolox_nano"
BATCH, STEPS, RATE = 8, 800, 2e-3
EMA = 0.99
SHIFT = 1.0  # weight of the L1 loss in Megvii's code


def task(model: Normalised, setting: Setting) -> SingleShot:
    """In the closing part of a training, the L1 loss of shifts joins the others, whether or not there were mosaics before."""
    section: Any = setting.recipe.task
    return SingleShot(
        model,
        classes=len(setting.amounts),
        assignment=section.assignment or "simota",
        shift=SHIFT if setting.steps else 0.0,
        closing=closing(setting.recipe, setting.steps, share=CLOSE),
        **regions.selection(setting.recipe),
    )


def defaults(draft: Draft, traits: Traits) -> Filled:
    """Many short steps on small batches, and an average of the weights: it is what is validated and kept."""
    filled = dense_defaults(
        draft, traits, model=NETWORK, pixels=regions.PIXELS_OF_INPUT, batch=BATCH, steps=STEPS, adamw=RATE
    )
    if "ema" not in draft.fit.model_fields_set:
        filled["fit"]["ema"] = EMA
    return filled


def _graphs(task: Task, shape: Shape) -> dict[str, Graph]:
    assert isinstance(task.model, Normalised)
    outputs: dict[str, str | None] = {"boxes": "batch", "score": "batch"}
    return {"model": Graph(AllPlaces(task.model).eval(), {IMAGE: "batch"}, outputs, logits=("score",))}


def _settings(task: Task, classes: int) -> dict[str, Any]:
    rule: Any = task.selection_rule
    return {"score": rule.score, "overlap": rule.overlap, "limit": rule.limit, "smallest_box": MIN_SIDE}


EXPORT = Export(
    decoding="places",
    graphs=_graphs,
    settings=_settings,
    prediction=regions.exported_detections,
    difference=box_difference,
    figure="max_1_minus_iou",
    allowed=1.0,
)
