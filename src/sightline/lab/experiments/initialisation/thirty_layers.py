"""Thirty ReLU layers train from He's start and stall from Xavier's.

Does a plain network of thirty ReLU layers learn digits, depending on nothing but the variance of its first weights?
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import Annotated

import torch
from pydantic import Field

from sightline.drawing.curves import Frame, Line, line_chart
from sightline.lab.datasets import digits
from sightline.lab.descent import descend
from sightline.lab.experiment import Claim, Experiment, Formula, Picture, Result, Variation
from sightline.layers.initialise import initialise
from sightline.models.create import create_model


@dataclass(frozen=True)
class Parameters:
    layers: Annotated[int, Field(ge=1, le=60)] = 30
    units: Annotated[int, Field(ge=10, le=300)] = 200
    steps: Annotated[int, Field(ge=20, le=3_000)] = 400
    lr: Annotated[float, Field(gt=0, le=1)] = 0.005


def losses_from(start: str, parameters: Parameters, seed: int) -> list[float]:
    """The losses of a deep perceptron that starts so."""
    train, _ = digits()
    model = create_model("mlp", hidden=(parameters.units,) * parameters.layers, image_size=(8, 8), seed=seed)
    torch.manual_seed(seed)
    initialise(model, start)
    return descend(model, train, steps=parameters.steps, lr=parameters.lr, seed=seed)


def run(parameters: Parameters, seed: int) -> Result:
    losses = {start: losses_from(start, parameters, seed) for start in ("he", "xavier")}
    ends = {start: statistics.fmean(found[-20:]) for start, found in losses.items()}
    chance = 2.3026  # log 10: the loss of a network that knows nothing
    lines = [
        Line({"he": "He", "xavier": "Xavier"}[s], list(range(1, len(v) + 1)), v, tone)
        for (s, v), tone in zip(losses.items(), ("one", "two"), strict=True)
    ]
    return Result(
        claims=[
            Claim("From He's start the loss falls below three quarters of chance.", ends["he"] < 0.75 * chance,
                  f"last loss {ends['he']:.2f}"),
            Claim("From Xavier's it stays within 0.1 of chance.", abs(ends["xavier"] - chance) < 0.1,
                  f"last loss {ends['xavier']:.3f}; log 10 = {chance:.3f}"),
        ],
        numbers={"last loss, He": ends["he"], "last loss, Xavier": ends["xavier"]},
        pictures=[
            Picture(line_chart(lines, Frame("The loss", "Loss of two starts", "step", "cross-entropy")),
                    "The same network, data and steps; only the first weights differ.")
        ],
    )  # fmt: skip


EXPERIMENT = Experiment(
    run=run,
    parameters=Parameters(),
    notice=(
        "Xavier's start is half of He's in variance. Over thirty layers this is a factor of 2³⁰ in the mean square of the "
        "scores, so they hardly depend on the image.",
        "Batch normalisation would hide the difference: it rescales every layer.",
    ),
    formulas=(Formula("Var[w] = 2 / in against 1 / in", "He, Zhang, Ren and Sun 2015, arXiv:1502.01852, figure 3"),),
    code=(losses_from, initialise),
    variations=(Variation("layers=5", "Five layers learn from either start."),),
)
