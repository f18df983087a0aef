"""Batch normalisation forgives a bad start and a high learning rate.

Does a network of ten layers learn from weights that are far too small, and at which learning rates, with and without
batch normalisation?
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
from sightline.lab.experiment import Claim, Experiment, Formula, Picture, Result, Table, Variation
from sightline.layers.initialise import initialise

from .covariate_shift import network


@dataclass(frozen=True)
class Parameters:
    layers: Annotated[int, Field(ge=2, le=30)] = 10
    steps: Annotated[int, Field(ge=20, le=2_000)] = 150


_RATES = (0.01, 0.1, 1.0)


def last_loss(start: str, lr: float, *, batch_norm: bool, layers: int, steps: int, seed: int) -> float:
    """Mean loss of the last 20 steps; infinite if it diverged."""
    train, _ = digits()
    model = network(layers, 64, batch_norm=batch_norm, seed=seed)
    torch.manual_seed(seed)
    initialise(model, start)
    return statistics.fmean(descend(model, train, steps=steps, lr=lr, seed=seed)[-20:])


def run(parameters: Parameters, seed: int) -> Result:
    size = {"layers": parameters.layers, "steps": parameters.steps, "seed": seed}
    bad = {bn: last_loss("normal", 0.05, batch_norm=bn, **size) for bn in (False, True)}
    rates = {bn: [last_loss("he", lr, batch_norm=bn, **size) for lr in _RATES] for bn in (False, True)}
    shown = [min(v, 10.0) for v in rates[False]]
    return Result(
        claims=[
            Claim("Weights of deviation 0.01: without batch norm the loss stays at chance.", abs(bad[False] - 2.3026) < 0.05,
                  f"last loss {bad[False]:.3f}"),
            Claim("With batch norm the same start learns.", bad[True] < 0.7, f"last loss {bad[True]:.3f}"),
            Claim("At a learning rate of 1 only the normalised network learns.",
                  rates[True][-1] < 1.5 and not rates[False][-1] < 2, f"{rates[True][-1]:.2f} against {rates[False][-1]:.2f}"),
        ],
        numbers={"small weights, without": bad[False], "small weights, with": bad[True]},
        pictures=[
            Picture(
                line_chart(
                    [Line("without", _RATES, shown, "two"), Line("with", _RATES, rates[True], "one")],
                    Frame("Last loss by learning rate", "Two networks at three rates", "learning rate", "loss"),
                ),
                "Mean loss of the last twenty steps from He's start; 10 stands for anything larger.",
            )
        ],
        tables=[Table(("learning rate", "without", "with"),
        [(str(r), a, b) for r, a, b in zip(_RATES, *rates.values(), strict=True)])],
    )  # fmt: skip


EXPERIMENT = Experiment(
    run=run,
    parameters=Parameters(),
    notice=(
        "Scaling the weights of a normalised layer changes nothing but the size of its steps: BN(aWx) = BN(Wx).",
        "The same property explains the high rates: as the weights grow, the steps become relatively smaller by themselves.",
    ),
    formulas=(
        Formula("BN((aW)x) = BN(Wx),   ∂BN((aW)x)/∂(aW) = (1/a) ∂BN(Wx)/∂W", "Ioffe and Szegedy 2015, section 3.3"),
    ),
    code=(last_loss, network),
    variations=(Variation("layers=3", "Three layers learn from small weights even without it, later."),),
)
