"""Objects as boxes with the pixels of each."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Literal

import numpy as np

from sightline.data.dataset import Dataset
from sightline.recipes.loading import Truths
from sightline.reports.parts.boxes import MASKS
from sightline.tasks.instances import InstanceSegmentation
from sightline.tasks.regions import boxes_of

from . import regions
from .annotated import annotated_target
from .detection import DETECTION
from .kind import Exposure, Networks, Sensitivity, Setting
from .questions.exposure import count_objects, focus_objects, harm_objects
from .questions.scores import ask_object

NAME = "instances"
OUTPUT = "boxes and masks"  # of its networks, as `MODELS` files them
MODEL = "mask_rcnn_resnet18_fpn"


class InstancesSection(regions.RegionSection):
    kind: Literal["instances"] = "instances"


def _task(networks: Networks, setting: Setting) -> InstanceSegmentation:
    model = setting.normalised(networks["model"])
    return InstanceSegmentation(model, classes=len(setting.amounts), **regions.selection(setting.recipe))


def _memory(data: Dataset, ids: np.ndarray, pixels: np.ndarray, natural: np.ndarray) -> np.ndarray:
    """A plane for each object, in the network's frame and in the original."""
    objects = data.amounts_of(ids).sum(axis=1)
    return objects * (pixels + natural)


assert DETECTION.scoring is not None
INSTANCES = replace(
    DETECTION,
    name=NAME,
    section=InstancesSection,
    accepts=lambda source: source.annotations is not None and source.annotations.knows == "outlines",
    defaults=partial(regions.region_defaults, model=MODEL),
    networks=partial(regions.region_networks, output=OUTPUT),
    task=_task,
    output=OUTPUT,
    truths=Truths(partial(annotated_target, outlines=True), _memory),
    scoring=replace(DETECTION.scoring, monitors=("mask_ap", "mask_ap50", "ap", "ap50"), headline="mask_ap50"),
    answers=replace(DETECTION.answers, unknown=regions.no_outlines),
    drawings=replace(DETECTION.drawings, truth=regions.draw_outlines),
    chapter=MASKS,
    export=regions.REGION_EXPORT,
    sensitivity=Sensitivity(
        ask_object, Exposure(focus_objects, harm_objects, count_objects, "objects", hides=boxes_of)
    ),
    check=regions.check_regions,
)
