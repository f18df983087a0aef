"""Batch normalisation keeps the inputs of a layer in place while the layers before it learn.

How far do the mean and the deviation of a hidden layer's inputs wander during training, with and without batch normalisation?
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from pydantic import Field
from torch import nn

from sightline.drawing.curves import Frame, Line, line_chart
from sightline.lab.datasets import digits
from sightline.lab.descent import descend
from sightline.lab.experiment import Claim, Experiment, Formula, Picture, Result, Variation
from sightline.layers.initialise import initialise


@dataclass(frozen=True)
class Parameters:
    layers: Annotated[int, Field(ge=2, le=20)] = 5
    units: Annotated[int, Field(ge=8, le=300)] = 64
    steps: Annotated[int, Field(ge=10, le=2_000)] = 200
    lr: Annotated[float, Field(gt=0, le=1)] = 0.05


def network(layers: int, units: int, *, batch_norm: bool, seed: int) -> nn.Sequential:
    """Dense layers with ReLU; with `batch_norm` one stands before each ReLU."""
    torch.manual_seed(seed)
    parts: list[nn.Module] = [nn.Flatten()]
    for i in range(layers):
        parts += [nn.Linear(units if i else 64, units), *([nn.BatchNorm1d(units)] if batch_norm else []), nn.ReLU()]
    model = nn.Sequential(*parts, nn.Linear(units, 10))
    initialise(model, "he")
    return model


def input_statistics(model: nn.Sequential, parameters: Parameters, seed: int) -> tuple[list[float], list[float]]:
    """Mean over the units of |mean| and of the deviation of what the last ReLU reads, after each step."""
    train, _ = digits()
    watched = [m for m in model if isinstance(m, nn.ReLU)][-1]
    means: list[float] = []
    deviations: list[float] = []

    def measure(_: int) -> None:
        seen: list[torch.Tensor] = []
        handle = watched.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
        with torch.no_grad():
            model(train.x[:512])  # in training mode, as the layer sees its batches
        handle.remove()
        means.append(seen[0].mean(0).abs().mean().item())
        deviations.append(seen[0].std(0).mean().item())

    descend(model, train, steps=parameters.steps, lr=parameters.lr, seed=seed, after=measure)
    return means, deviations


def run(parameters: Parameters, seed: int) -> Result:
    lines: dict[str, list[Line]] = {"mean": [], "deviation": []}
    drift = {}
    for name, batch_norm, tone in (("without", False, "two"), ("with", True, "one")):
        model = network(parameters.layers, parameters.units, batch_norm=batch_norm, seed=seed)
        means, deviations = input_statistics(model, parameters, seed)
        steps = list(range(1, len(means) + 1))
        lines["mean"].append(Line(name, steps, means, tone))
        lines["deviation"].append(Line(name, steps, deviations, tone))
        drift[name] = max(deviations) / min(deviations)
    return Result(
        claims=[
            Claim("Without batch norm the scale of the inputs drifts by more than half.", drift["without"] > 1.5,
                  f"largest / smallest deviation {drift['without']:.2f}"),
            Claim("With it the scale moves much less.", drift["with"] - 1 < (drift["without"] - 1) / 2,
                  f"largest / smallest deviation {drift['with']:.2f}"),
        ],
        numbers={f"largest / smallest deviation, {n} batch norm": v for n, v in drift.items()},
        pictures=[
            Picture(line_chart(found, Frame(f"The {what} of the inputs", "Over the steps", "step", what)),
                    f"Mean over the units of the last hidden layer's input {what}.")
            for what, found in lines.items()
        ],
    )  # fmt: skip


EXPERIMENT = Experiment(
    run=run,
    parameters=Parameters(),
    notice=(
        "What moves with batch norm are its own γ and β, which the layer learns by itself, instead of everything below it.",
        "Whether the shift is why batch norm helps is disputed: Santurkar et al. 2018 add noise behind it and it helps all the "
        "same, by making the loss smoother.",
    ),
    formulas=(
        Formula("y = γ (x − μ_batch) / √(σ²_batch + ε) + β", "Ioffe and Szegedy 2015, arXiv:1502.03167"),
        Formula("the explanation by smoothness", "Santurkar, Tsipras, Ilyas and Mądry 2018, arXiv:1805.11604"),
    ),
    code=(network, input_statistics),
    variations=(Variation("lr=0.005", "With small steps the drift is smaller too."),),
)
