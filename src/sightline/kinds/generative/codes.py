"""The autoencoder of another run, in whose codes a network works.

Its options and weights are copied into the run that uses it, which then needs the other no more.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from sightline.engine.checkpoints import load_weights
from sightline.errors import UsageError
from sightline.models.create import create_model
from sightline.recipes.recipe import Recipe
from sightline.runs.run import Run
from sightline.storage.tensors import unpack

USUAL = "autoencoder_conv"
_WEIGHTS = "model/model.safetensors"


def require_codes(place: str, recipe: Recipe) -> None:
    """UsageError unless `place` is a finished run of an autoencoder with codes in rows and columns, for such images."""
    run = _run(place)
    if run.recipe.task.kind != "autoencoder" or run.recipe.model.name != USUAL:
        what = f"{run.recipe.task.kind} with {run.recipe.model.name}"
        raise UsageError(
            f"task.autoencoder={place} is {what}", f"train one with task.kind=autoencoder and model.name={USUAL}"
        )
    if run.recipe.input.shape != recipe.input.shape:
        sides = "x".join(map(str, run.recipe.input.shape))
        raise UsageError(f"task.autoencoder={place} reads images of {sides}", "set input.size and input.channels to it")
    if not (run.folder / _WEIGHTS).is_file():
        raise UsageError(f"task.autoencoder={place} is not finished", f"sightline train --resume {place}")


def code_options(place: str) -> dict[str, Any]:
    """The options of the run's network. UsageError where there is no run."""
    return dict(_run(place).recipe.model.options)


def code_shape(options: Mapping[str, Any], recipe: Recipe) -> tuple[int, int, int]:
    """(k, i, j) of the codes of the recipe's images."""
    network: Any = _network(options, recipe)
    shape: tuple[int, int, int] = network.shape(recipe.input.size, recipe.input.width)
    return shape


def code_network(place: str, options: Mapping[str, Any], recipe: Recipe) -> nn.Module:
    """The autoencoder, with its weights where that run is still there: a run that uses it has a copy of them."""
    network, file = _network(options, recipe), Path(place) / _WEIGHTS
    if file.is_file():
        load_weights(network, unpack(Run(Path(place)).sealed_bytes(_WEIGHTS), {}, str(file)), str(file))
    return network


def _network(options: Mapping[str, Any], recipe: Recipe) -> nn.Module:
    return create_model(USUAL, in_channels=recipe.input.channels, **options)


def _run(place: str) -> Run:
    if not (Path(place) / "run.json").is_file():
        raise UsageError(f"task.autoencoder={place} is no run", "train one with task.kind=autoencoder")
    return Run(Path(place))
