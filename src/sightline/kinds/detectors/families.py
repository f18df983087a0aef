"""The families of networks that the kind `detection` knows: for each class of networks its task, defaults, graphs, and how
its answer is explained and attacked. A further family is one more entry; nothing else asks which network it is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from torch import nn

from sightline.explanation.question import Ask
from sightline.exports.plan import Export
from sightline.models.boxes.faster_rcnn import RegionNetwork
from sightline.models.boxes.proposals.fast_rcnn import FastRCNN
from sightline.models.boxes.proposals.rcnn import RCNN
from sightline.models.boxes.single_shot.yolo_v1 import YoloV1
from sightline.models.boxes.single_shot.yolo_v3 import AnchorNetwork
from sightline.models.boxes.single_shot.yolox import YOLOX
from sightline.models.boxes.transformer.detr import Detr
from sightline.models.create import outline
from sightline.models.own import is_own
from sightline.preprocessing.normalise import Normalised
from sightline.recipes.defaults import Filled, Traits
from sightline.recipes.loading import Propose
from sightline.recipes.recipe import Draft, Recipe
from sightline.structures.batch import Batch
from sightline.tasks.detection import Detection
from sightline.tasks.task import Task

from .. import regions
from ..kind import Learned, Setting
from ..questions.exposure import harm_objects
from ..questions.places import ask_place, harm_places
from ..questions.scores import ask_object
from . import given, grids, single_shot
from .assignments import draw_assignment

MODEL = "faster_rcnn_resnet18_fpn"


@dataclass(frozen=True)
class Family:
    """network     the class of its networks
    task        the network with its normalisation, setting → the task over it
    options     keys of `task.` that only some families know, of those that this one does
    defaults    draft with the network's name, traits of the data → what the draft leaves open
    export      its graphs; None where it has none
    ask, harm   the score that is explained, and what an attack increases
    propose     recipe → what proposes regions of the training images before they are augmented; None: nothing does
    mixed       whether it can learn from samples made of several images
    learned     task, batch → which places learn which object, drawn; None where the drawing of this family is missing
    check       UsageError for keys that have no effect with these networks
    """

    network: type[nn.Module] | tuple[type[nn.Module], ...]
    task: Callable[[Normalised, Setting], Task]
    defaults: Callable[[Draft, Traits], Filled]
    export: Export | None
    ask: Ask
    harm: Callable[..., Any]
    options: frozenset[str] = frozenset()
    propose: Callable[[Recipe], Propose | None] = lambda recipe: None
    mixed: bool = True
    learned: Callable[[Task, Batch], Learned] | None = None
    check: Callable[[Recipe], None] = lambda recipe: None


def _regions(model: Normalised, setting: Setting) -> Detection:
    return Detection(model, classes=len(setting.amounts), **regions.selection(setting.recipe))


FAMILIES = (
    Family(
        RegionNetwork,
        task=_regions,
        defaults=partial(regions.region_defaults, model=MODEL),
        export=regions.REGION_EXPORT,
        ask=ask_object,
        harm=harm_objects,
    ),
    Family(
        YOLOX,
        task=single_shot.task,
        defaults=single_shot.defaults,
        export=single_shot.EXPORT,
        ask=ask_place,
        harm=harm_places,
        options=frozenset({"assignment"}),
        learned=draw_assignment,
    ),
    Family(
        (FastRCNN, RCNN),
        task=given.task,
        defaults=partial(regions.region_defaults, model="fast_rcnn_resnet18_fpn"),
        export=None,
        ask=given.ask,
        harm=given.harm,
        propose=given.propose,
        mixed=False,
    ),
    Family(YoloV1, grids.cell_task, grids.cell_defaults, single_shot.EXPORT, ask_place, harm_places),
    Family(AnchorNetwork, grids.anchor_task, grids.anchor_defaults, single_shot.EXPORT, ask_place, harm_places),
    Family(
        Detr,
        grids.set_task,
        grids.set_defaults,
        single_shot.EXPORT,
        ask_place,
        harm_places,
        check=grids.check_suppression,
    ),
)


def family_of(network: nn.Module) -> Family:
    """The family of a network; those of region networks, whose contract is the oldest, for a network of the user's own."""
    return next((family for family in FAMILIES if isinstance(network, family.network)), FAMILIES[0])


def family_named(name: str | None) -> Family:
    """The family of a registered network; of the default one without a name."""
    return FAMILIES[0] if name is not None and is_own(name) else family_of(outline(name or MODEL))


def family_of_task(task: Task) -> Family:
    """The family of the network in a task."""
    model = task.model
    return family_of(model.network if isinstance(model, Normalised) else model)  # type: ignore[arg-type]
