"""What a stranger's data gets where the recipe is silent: the rule table of `docs/defaults.md`, as code.

Rules read what the audit saw of the training split: how many images, how large, grey or colour, how many classes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from torch import nn

from sightline.errors import UsageError
from sightline.models.create import default_input, outline
from sightline.models.options import model_options

from .arguments import SMALL_PATCHES, model_arguments
from .recipe import TASKS, Recipe

SMALL_SIDE = 40  # pixels: up to here an image is a sign or a thumbnail
MEDIUM_SIDE = 72
OWN_SIZE = {"lenet_1989": 16, "lenet5": 32, "lenet5_original": 32}  # sides of digits' networks, whatever the images'
LARGE_INPUT = 96  # side that larger images are brought to
SMALL_INPUT = 32  # least side for networks that were made for large images
HEAVY = 1_000_000  # parameters from which adamw goes slower
SEGMENTER, DETECTOR, INSTANCER = "unet_resnet18", "faster_rcnn_resnet18_fpn", "mask_rcnn_resnet18_fpn"
LIGHT = {"width": 128, "hidden": 256, "samples": [256, 128], "proposals": [500, 300]}
SEGMENTED_PIXELS, DETECTED_PIXELS = 192 * 256, 256 * 320  # of the input where nobody says how large
SEGMENTING_STEPS, DETECTING_STEPS = 700, 400
_IMAGES_SEEN = 60_000  # a training of a small data set shows about this many images


# What data of a kind can answer, the likeliest first; and by which metric a validation decides.
ANSWERS = {
    "classification": ("classification",),
    "segmentation": ("segmentation",),
    "detection": ("detection",),
    "instances": ("instances", "detection"),
}
HEADLINES = {"classification": "accuracy", "segmentation": "mean_iou", "detection": "ap50", "instances": "mask_ap50"}


@dataclass(frozen=True)
class Facts:
    """What the rules know: `n` training images, their median (height, width), `grey`, `classes`, same aspect or not, the
    `question` that the data answer, and the side of a small object as a share of its image's."""

    n: int
    height: int
    width: int
    grey: bool
    one_aspect: bool
    classes: int
    question: str = "classification"
    small_object: float = 0.1


def complete(recipe: Recipe, facts: Facts) -> Recipe:
    """The recipe with every None filled; what the user set stays. UsageError where the data do not answer the task."""
    recipe = recipe.model_copy(update={"task": _task(recipe, facts)})
    rules = {"classification": _classification, "segmentation": _segmentation}
    filled = rules.get(recipe.task.kind, _regions)(recipe, facts)
    filled["fit"]["monitor"] = recipe.fit.monitor or HEADLINES[recipe.task.kind]
    sections = {key: getattr(recipe, key).model_copy(update=values) for key, values in filled.items()}
    return recipe.model_copy(update=sections)


def _task(recipe: Recipe, facts: Facts) -> Any:
    """The task that was asked for, if the data can answer it; where none was, the likeliest."""
    answers = ANSWERS[facts.question]
    if "task" not in recipe.model_fields_set:
        return TASKS[answers[0]].model_validate({"kind": answers[0]})
    if recipe.task.kind not in answers:
        raise UsageError(
            f"task.kind={recipe.task.kind}, but the data answer {facts.question}", f"leave it out, or {answers[0]}"
        )
    return recipe.task


Filled = dict[str, dict[str, Any]]


def _classification(recipe: Recipe, facts: Facts) -> Filled:
    side = max(facts.height, facts.width)
    channels = recipe.input.channels or (1 if facts.grey else 3)
    name = recipe.model.name or _model(side, channels)
    size = recipe.input.size or _input(recipe, name, side)
    shape = {"size": size, "width": recipe.input.width or size, "channels": channels}
    network = _network(recipe, name, shape, facts.classes)
    optimizer = recipe.optim.name or ("sgd" if _is_normed(network) else "adamw")
    batch = recipe.fit.batch or (32 if facts.n < 1_000 else 64 if facts.n < 10_000 else 128)
    optim = _optimizer(recipe, optimizer, batch, adamw=_adamw_rate(network))
    epochs = _epochs(facts.n)
    if recipe.model.weights is not None:  # they know most of it already
        epochs = max(math.ceil(epochs / 3), 5)
        optim["lr"] = recipe.optim.lr or 0.1 * optim["lr"]
    return {
        "model": {"name": name},
        "input": {**shape, "fit": recipe.input.fit or ("stretch" if facts.one_aspect else "crop")},
        "augment": {
            "preset": recipe.augment.preset or ("standard" if facts.n < 2_000 and channels == 3 else "light"),
            "flip": recipe.augment.flip if recipe.augment.flip is not None else channels == 3,
        },
        "optim": {"name": optimizer, **optim},
        "fit": {"batch": batch, "epochs": recipe.fit.epochs or epochs},
    }


def _segmentation(recipe: Recipe, facts: Facts) -> Filled:
    return _dense(recipe, facts, model=SEGMENTER, pixels=SEGMENTED_PIXELS, batch=8, steps=SEGMENTING_STEPS)


def _regions(recipe: Recipe, facts: Facts) -> Filled:
    model = DETECTOR if recipe.task.kind == "detection" else INSTANCER
    filled = _dense(recipe, facts, model=model, pixels=DETECTED_PIXELS, batch=4, steps=DETECTING_STEPS)
    if recipe.model.name is None:  # what a processor can train; anchors from the size of the small objects on
        side = facts.small_object * math.sqrt(filled["input"]["size"] * filled["input"]["width"])
        first = 2 ** min(max(math.floor(math.log2(max(side, 1.0))), 2), 5)
        own = {"anchor_sizes": [first * 2**level for level in range(5)]}
        filled["model"]["options"] = {**LIGHT, **own, **recipe.model.options}
    return filled


def _dense(recipe: Recipe, facts: Facts, *, model: str, pixels: int, batch: int, steps: int) -> Filled:
    """Pixels and boxes: the image's own shape, shrunk to a budget of pixels (never enlarged), sides multiples of 32;
    as many epochs as make about `steps` steps."""
    channels = recipe.input.channels or (1 if facts.grey else 3)
    shrink = min(1.0, math.sqrt(pixels / (facts.height * facts.width)))
    height, width = (max(round(side * shrink / 32), 1) * 32 for side in (facts.height, facts.width))
    if recipe.input.size:  # alone it is a square
        height, width = recipe.input.size, recipe.input.width or recipe.input.size
    elif recipe.input.width:  # alone it shrinks the shape
        height = max(round(recipe.input.width * facts.height / facts.width / 32), 1) * 32
        width = recipe.input.width
    name, optimizer = recipe.model.name or model, recipe.optim.name or "adamw"
    batch = recipe.fit.batch or batch
    values = _optimizer(recipe, optimizer, batch, adamw=1e-3 if model == SEGMENTER else 3e-4)
    return {
        "model": {"name": name},
        "input": {
            "size": height,
            "width": width,
            "channels": channels,
            "fit": recipe.input.fit or ("stretch" if facts.one_aspect else "letterbox"),
        },
        "augment": {
            "preset": recipe.augment.preset or "light",
            "flip": recipe.augment.flip if recipe.augment.flip is not None else True,
        },
        "optim": {"name": optimizer, **values},
        "fit": {
            "batch": batch,
            "epochs": recipe.fit.epochs or min(max(math.ceil(steps * batch / max(facts.n, 1)), 5), 100),
            "clip": 10.0 if recipe.fit.clip is None else recipe.fit.clip,
        },
    }


def _model(side: int, channels: int) -> str:
    if side <= SMALL_SIDE and channels == 1:
        return "lenet5"
    return "resnet20" if side <= MEDIUM_SIDE else "resnet18"


def _input(recipe: Recipe, model: str, side: int) -> int:
    if recipe.model.weights is not None:
        return max(default_input(model)[1:])
    if model in OWN_SIZE:
        return OWN_SIZE[model]
    if model.startswith("vit_") and side > SMALL_PATCHES:
        return LARGE_INPUT
    least = SMALL_INPUT if "small_images" in model_options(model) else 8
    size = max(side + -side % 4, least) if side <= MEDIUM_SIDE else LARGE_INPUT
    shape = {"size": size, "width": size, "channels": recipe.input.channels or 3}
    network: Any = _network(recipe, model, shape, 2)
    needed = max(getattr(network, "smallest", 0), getattr(network, "smallest_to_train", 0))
    return max(size, needed + -needed % 4)


def _network(recipe: Recipe, model: str, shape: dict[str, int], classes: int) -> nn.Module:
    """The network that the recipe will train, as shapes."""
    parts = {"model": {"name": model}, "input": shape}
    known = {key: getattr(recipe, key).model_copy(update=values) for key, values in parts.items()}
    return outline(model, **model_arguments(recipe.model_copy(update=known), max(classes, 1)))


def _epochs(n: int) -> int:
    return int(min(max(math.ceil(_IMAGES_SEEN / max(n, 1)), 15), 60))


def _is_normed(network: nn.Module) -> bool:
    """Has the network batch or group norms, so that a high rate does it good?"""
    return any(isinstance(layer, nn.BatchNorm2d | nn.GroupNorm) for layer in network.modules())


def _adamw_rate(network: nn.Module) -> float:
    return 5e-4 if sum(p.numel() for p in network.parameters()) > HEAVY else 2e-3


def _optimizer(recipe: Recipe, name: str, batch: int, *, adamw: float) -> dict[str, Any]:
    given = recipe.optim
    if name == "sgd":
        values = {"lr": 0.1 * batch / 128, "momentum": 0.9, "nesterov": True, "weight_decay": 5e-4}
        if given.momentum == 0:
            values["nesterov"] = False
    else:
        rate = {"adamw": adamw, "adagrad": 0.01, "adadelta": 1.0}.get(name, 2e-3)
        values = {"lr": rate, "momentum": 0.0, "nesterov": False, "weight_decay": 0.01 if name == "adamw" else 0.0}
    return {key: value if getattr(given, key) is None else getattr(given, key) for key, value in values.items()}
