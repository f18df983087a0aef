"""YOLO v1, YOLOv3 and DETR behind the kind `detection`: their tasks and defaults."""

from __future__ import annotations

from sightline.errors import UsageError
from sightline.models.create import outline
from sightline.preprocessing.normalise import Normalised
from sightline.recipes.defaults import Filled, Traits, dense_defaults
from sightline.recipes.recipe import Draft, Recipe
from sightline.tasks.boxes.anchors import AnchorDetection
from sightline.tasks.boxes.cells import CellDetection
from sightline.tasks.boxes.sets import SetDetection

from .. import regions
from ..kind import Setting
from .anchors import KMEANS, anchors_from_boxes

BATCH, STEPS = 8, 900
RATE, SET_RATE = 1e-3, 1e-4  # AdamW; DETR's is its paper's
SIDE = 448  # of the images of YOLO v1
EACH = 3  # anchors of a map


def cell_task(model: Normalised, setting: Setting) -> CellDetection:
    return CellDetection(model, classes=len(setting.amounts), **regions.selection(setting.recipe))


def anchor_task(model: Normalised, setting: Setting) -> AnchorDetection:
    return AnchorDetection(model, classes=len(setting.amounts), **regions.selection(setting.recipe))


def set_task(model: Normalised, setting: Setting) -> SetDetection:
    return SetDetection(
        model, classes=len(setting.amounts), **regions.selection(setting.recipe) | {"nms_threshold": 1.0}
    )


def cell_defaults(draft: Draft, traits: Traits) -> Filled:
    """Images of the published size, whatever their own: the dense layers see one size only."""
    filled = _defaults(draft, traits, "yolo_v1", RATE)
    if draft.input.size is None and draft.input.width is None:
        filled["input"] |= {"size": SIDE, "width": SIDE}
    return filled


def anchor_defaults(draft: Draft, traits: Traits) -> Filled:
    """Three anchors for each map of the network, from the training boxes, unless the recipe has some."""
    filled = _defaults(draft, traits, "yolo_v3", RATE)
    options = draft.model.options
    if options.get("anchors", KMEANS) == KMEANS:
        maps = len(outline(filled["model"]["name"]).anchors)  # type: ignore[arg-type]
        anchors = anchors_from_boxes(traits, filled, maps * EACH, maps)
        filled["model"]["options"] = {**options, "anchors": [round(v, 1) for v in anchors.sizes.flatten().tolist()]}
    return filled


def set_defaults(draft: Draft, traits: Traits) -> Filled:
    return _defaults(draft, traits, "detr_resnet18", SET_RATE)


def _defaults(draft: Draft, traits: Traits, model: str, rate: float) -> Filled:
    return dense_defaults(
        draft, traits, model=model, pixels=regions.PIXELS_OF_INPUT, batch=BATCH, steps=STEPS, adamw=rate
    )


def check_suppression(recipe: Recipe) -> None:
    """UsageError where suppression is asked of a network that has none."""
    section = recipe.task
    assert isinstance(section, regions.RegionSection)
    default = regions.RegionSection.model_fields["nms_threshold"].default
    if section.nms_threshold != default:
        raise UsageError(f"task.nms_threshold has no effect with {recipe.model.name}", "leave it out")
