"""What a stranger's data gets where the recipe is silent: the rule table of `docs/defaults.md`, as code.

Rules read what the audit saw of the training split: how many images, how large, grey or colour, how many classes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from .recipe import Recipe

SMALL_SIDE = 40  # pixels: up to here an image is a sign or a thumbnail
MEDIUM_SIDE = 72
LARGE_INPUT = 96  # side that larger images are brought to
_IMAGES_SEEN = 60_000  # a training of a small data set shows about this many images


@dataclass(frozen=True)
class Facts:
    """What the rules know: `n` training images, their median (height, width), `grey`, `classes`, same aspect or not."""

    n: int
    height: int
    width: int
    grey: bool
    one_aspect: bool
    classes: int


def complete(recipe: Recipe, facts: Facts) -> Recipe:
    """The recipe with every None filled; what the user set stays."""
    side = max(facts.height, facts.width)
    channels = recipe.input.channels or (1 if facts.grey else 3)
    name = recipe.model.name or _model(side, channels)
    size = recipe.input.size or _input(name, side)
    optimizer = recipe.optim.name or ("adamw" if name in ("lenet5", "linear", "mlp") else "sgd")
    batch = recipe.fit.batch or (32 if facts.n < 1_000 else 64 if facts.n < 10_000 else 128)
    filled: dict[str, dict[str, Any]] = {
        "model": {"name": name},
        "input": {
            "size": size,
            "channels": channels,
            "fit": recipe.input.fit or ("stretch" if facts.one_aspect else "crop"),
        },
        "augment": {
            "preset": recipe.augment.preset or ("standard" if facts.n < 2_000 and channels == 3 else "light"),
            "flip": recipe.augment.flip if recipe.augment.flip is not None else channels == 3,
        },
        "optim": {"name": optimizer, **_optimizer(recipe, optimizer, batch)},
        "fit": {"batch": batch, "epochs": recipe.fit.epochs or _epochs(facts.n)},
    }
    sections = {key: getattr(recipe, key).model_copy(update=values) for key, values in filled.items()}
    return recipe.model_copy(update=sections)


def _model(side: int, channels: int) -> str:
    if side <= SMALL_SIDE and channels == 1:
        return "lenet5"
    return "resnet20" if side <= MEDIUM_SIDE else "resnet18"


def _input(model: str, side: int) -> int:
    if model == "lenet5":
        return 32
    return max(side + -side % 4, 8) if side <= MEDIUM_SIDE else LARGE_INPUT


def _epochs(n: int) -> int:
    return int(min(max(math.ceil(_IMAGES_SEEN / max(n, 1)), 15), 60))


def _optimizer(recipe: Recipe, name: str, batch: int) -> dict[str, Any]:
    given = recipe.optim
    if name == "sgd":
        values = {"lr": 0.1 * batch / 128, "momentum": 0.9, "nesterov": True, "weight_decay": 5e-4}
        if given.momentum == 0:
            values["nesterov"] = False
    else:
        rate = {"adagrad": 0.01, "adadelta": 1.0}.get(name, 2e-3)
        values = {"lr": rate, "momentum": 0.0, "nesterov": False, "weight_decay": 0.01 if name == "adamw" else 0.0}
    return {key: value if getattr(given, key) is None else getattr(given, key) for key, value in values.items()}
