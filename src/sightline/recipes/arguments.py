"""What a recipe tells the constructor of its network."""

from __future__ import annotations

from typing import Any

from sightline.errors import UsageError
from sightline.models import MODELS
from sightline.models.options import model_options, parse_option

from .recipe import Draft

SMALL_PATCHES = 64  # side up to which networks for large images are built for small ones

# What `create_model` takes beside a network's own options, and which key of a recipe it follows.
ELSEWHERE = {
    "num_classes": "the number of the data's classes",
    "in_channels": "input.channels",
    "seed": "seed",
    "weights": "model.weights",
    "allow_network": "model.allow_network",
}


def model_arguments(recipe: Draft, classes: int, output: str) -> dict[str, Any]:
    """Keywords of `create_model`, for a recipe whose model and input are known. UsageError for a network that is not
    registered under `output`, the kind of its answers, and for an option that is a key elsewhere."""
    assert recipe.model.name and recipe.input.size and recipe.input.width and recipe.input.channels
    name, options = recipe.model.name, dict(recipe.model.options)
    if (answers := MODELS.heading(name)) != output:
        fitting = ", ".join(MODELS.matching(heading=output)[:6])
        raise UsageError(f"{name} outputs {answers}, and the task needs {output}", f"use a network such as {fitting}")
    for key, own in ELSEWHERE.items():
        if key in options:
            raise UsageError(f"model.options.{key} is no option of a network here", f"it is {own}")
    known, side = model_options(name), max(recipe.input.size, recipe.input.width)
    if "image_size" in known:
        options.setdefault("image_size", (recipe.input.size, recipe.input.width))
    if "small_images" in known and side <= SMALL_PATCHES and recipe.model.weights is None:  # weights fit the large one
        options.setdefault("small_images", True)
    return {"num_classes": classes, "in_channels": recipe.input.channels, **options}


def require_options(recipe: Draft) -> None:
    """UsageError where there is no network of that name, or it has no such option: known before any data are read."""
    if (name := recipe.model.name) is None:
        return
    model_options(name)
    for key, value in recipe.model.options.items():
        if key not in ELSEWHERE:
            parse_option(name, key, value)


def model_options_of(recipe: Draft, classes: int, output: str) -> dict[str, Any]:
    """The network's options, those that follow from the input's size included."""
    return {name: value for name, value in model_arguments(recipe, classes, output).items() if name not in ELSEWHERE}
