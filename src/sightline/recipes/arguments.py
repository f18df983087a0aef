"""From a recipe to the arguments of its network's constructor, and checks of the network's name and options."""

from __future__ import annotations

from typing import Any

from sightline.errors import UsageError
from sightline.models import MODELS
from sightline.models.options import model_options, parse_option
from sightline.models.own import is_own

from .names import require_network
from .recipe import Draft

SMALL_PATCHES = 64  # pixels; up to this side, networks for large images are built in their variant for small ones

# Arguments of `create_model` besides a network's own options, and where a recipe sets them.
ELSEWHERE = {
    "num_classes": "the number of the data's classes",
    "in_channels": "input.channels",
    "seed": "seed",
    "weights": "model.weights",
    "allow_network": "model.allow_network",
}


def model_arguments(recipe: Draft, classes: int, output: str) -> dict[str, Any]:
    """Keyword arguments of `create_model` for a recipe whose model and input are known. UsageError for a network whose
    output is not `output`, and for an option that is set elsewhere in the recipe."""
    assert recipe.model.name and recipe.input.size and recipe.input.width and recipe.input.channels
    name, options = recipe.model.name, dict(recipe.model.options)
    answers = MODELS.heading(name)
    if answers not in (output, f"{output}, solved") and not is_own(name):
        fitting = ", ".join(MODELS.matching(heading=output)[:6])
        raise UsageError(f"{name} outputs {answers}, and the task needs {output}", f"use a network such as {fitting}")
    for key, own in ELSEWHERE.items():
        if key in options:
            raise UsageError(
                f"model.options.{key} cannot be set", f"it is {own}" if " " in own else f"set {own} instead"
            )
    known, side = model_options(name), max(recipe.input.size, recipe.input.width)
    if "image_size" in known:
        options.setdefault("image_size", (recipe.input.size, recipe.input.width))
    if "small_images" in known and side <= SMALL_PATCHES and recipe.model.start is None:  # weights fit the large one
        options.setdefault("small_images", True)
    return {"num_classes": classes, "in_channels": recipe.input.channels, **options}


def require_options(recipe: Draft) -> None:
    """UsageError for an unknown network or option, before any data are read."""
    if (name := recipe.model.name) is None:
        return
    require_network(name)
    for key, value in recipe.model.options.items():
        if key not in ELSEWHERE:
            parse_option(name, key, value)


def model_options_of(recipe: Draft, classes: int, output: str) -> dict[str, Any]:
    """The network's options, including those that follow from the size of the input."""
    return {name: value for name, value in model_arguments(recipe, classes, output).items() if name not in ELSEWHERE}
