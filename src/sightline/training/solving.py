"""Pipelines in a training: their solution over the training images, and when it is validated."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from sightline.classical.pipeline import Examples, Pipeline, Solving
from sightline.data.loaders import Images
from sightline.engine.state import State
from sightline.kinds.kind import Networks
from sightline.preprocessing.saved import Preprocessing
from sightline.recipes.recipe import Recipe

from .progress import Training

SMOKE_PASSES = 2


def solving_of(
    networks: Networks, images: Images, preprocessing: Preprocessing, recipe: Recipe, classes: int, *, smoke: bool
) -> Solving | None:
    """The solution of the run's pipeline; None where its networks descend a gradient."""
    pipeline = next((network for network in networks.values() if isinstance(network, Pipeline)), None)
    if pipeline is None:
        return None
    normalise = preprocessing.normaliser()

    def seen(places: Tensor) -> Tensor:
        device = next((buffer.device for buffer in pipeline.buffers()), torch.device("cpu"))
        return normalise.to(device)(images(places, places).image.to(device))

    passes = min(int(recipe.fit.epochs), SMOKE_PASSES) if smoke else int(recipe.fit.epochs)
    return Solving(pipeline, Examples(images.index, seen, recipe.seed, passes, recipe.fit.batch, classes))


def validation(training: Training) -> Callable[[State], None]:
    """The action after a chunk: a validation, once the pipeline can answer, and not after every pass of many."""
    solving = training.solving
    assert solving is not None

    def validate(state: State) -> None:
        if state.step >= solving.ready and (len(solving) - state.step) % solving.between == 0:
            training.validate(state)

    return validate
