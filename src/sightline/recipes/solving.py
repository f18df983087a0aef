"""Recipes of pipelines that are solved: their defaults, and the keys that mean nothing to them."""

from __future__ import annotations

from typing import Any

from torch import nn

from sightline.classical.pipeline import Pipeline
from sightline.errors import UsageError
from sightline.models.catalogue import MODELS, SOLVED

from .recipe import Draft, Recipe

PASSES = 20  # of a learner that passes over the images several times
BATCH = 64  # images of one of its steps
# Keys of `fit` with what they must be. `optim`, `schedule` and `augment` are about gradient descent altogether.
_FIT = {"accumulate": 1, "clip": None, "ema": 0.0, "compile": False, "precision": ("auto", "fp32")}
_MODEL = ("weights", "freeze", "freeze_norms", "head_first")
_NO_DESCENT = {"name": "sgd", "lr": 1.0, "momentum": 0.0, "nesterov": False, "weight_decay": 0.0}


def is_solved(name: str | None) -> bool:
    """Whether this model is a pipeline that is solved."""
    return name in MODELS and MODELS.heading(str(name)) == SOLVED


def solved_sections(recipe: Draft, network: nn.Module) -> dict[str, dict[str, Any]]:
    """What `augment`, `optim` and `fit` of a pipeline's recipe say. The values of `optim` have no effect."""
    passes = PASSES if getattr(network, "iterates", False) else 1
    return {
        "augment": {"preset": "none", "flip": False, "close": None},
        "optim": dict(_NO_DESCENT),
        "fit": {"batch": recipe.fit.batch or BATCH, "epochs": recipe.fit.epochs or passes, "precision": "fp32"},
    }


def require_solvable(draft: Draft, recipe: Recipe, network: nn.Module, *, able: bool) -> None:
    """UsageError for settings of gradient descent, which would have no effect on a pipeline; and where the kind of task is not
    `able` to solve one."""
    if not isinstance(network, Pipeline):
        return
    name = recipe.model.name
    if not able:
        raise UsageError(
            f"{name} is solved for one class an image, which {recipe.task.kind} does not ask for", "use another model"
        )
    for key, value in _without_effect(draft, recipe):
        raise UsageError(
            f"{key}={value} has no effect on {name}, which is solved and not trained by gradient", "leave it out"
        )
    if not network.iterates and recipe.fit.epochs != 1:
        raise UsageError(f"fit.epochs has no effect on {name}, which is solved in one pass", "leave it out")
    if recipe.fit.epochs != int(recipe.fit.epochs):
        raise UsageError(f"fit.epochs={recipe.fit.epochs:g} is no whole number of passes", "use a whole number")


def _without_effect(draft: Draft, recipe: Recipe) -> list[tuple[str, Any]]:
    """Keys that the draft sets to anything but what a pipeline's recipe says."""
    fixed = solved_sections(recipe, nn.Identity())
    found: list[tuple[str, Any]] = []
    for section, own in (("optim", fixed["optim"]), ("augment", fixed["augment"]), ("schedule", {})):
        given = getattr(draft, section)
        for key, field in type(given).model_fields.items():
            value = getattr(given, key)
            if value not in (None, field.default, own.get(key)):
                found.append((f"{section}.{key}", value))
    for key, usual in _FIT.items():
        value = getattr(draft.fit, key)
        if value not in (usual if isinstance(usual, tuple) else (usual,)):
            found.append((f"fit.{key}", value))
    found += [
        (f"model.{key}", getattr(draft.model, key)) for key in _MODEL if getattr(draft.model, key) not in (None, "none")
    ]
    if draft.task is not None:
        usual_task = type(draft.task)(kind=draft.task.kind)
        found += [
            (f"task.{key}", value)
            for key, value in draft.task.model_dump().items()
            if value != getattr(usual_task, key)
        ]
    if draft.data.balance != "none":
        found.append(("data.balance", draft.data.balance))
    return found
