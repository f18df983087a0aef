"""Deeper plain networks fit worse; deeper residual networks do not.

What happens to the training loss when a convolutional network becomes deeper, with and without residual connections?
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import Annotated

import torch
from pydantic import Field
from torch import nn

from sightline.drawing.curves import Frame, Line, line_chart
from sightline.lab.datasets import Labelled, digits
from sightline.lab.descent import descend
from sightline.lab.experiment import Claim, Experiment, Formula, Picture, Result, Table, Variation
from sightline.layers.initialise import he_out
from sightline.models.residual.resnet_cifar import PaddedBlock


@dataclass(frozen=True)
class Parameters:
    shallow: Annotated[int, Field(ge=1, le=10)] = 2
    deep: Annotated[int, Field(ge=2, le=40)] = 16
    steps: Annotated[int, Field(ge=10, le=2_000)] = 120


def network(blocks: int, *, residual: bool, seed: int) -> nn.Sequential:
    """A stem and `blocks` of ResNet's blocks of two 3x3 convolutions with 8 channels; 2 · blocks + 2 layers."""
    torch.manual_seed(seed)
    body = [PaddedBlock(8, 8, 1, residual) for _ in range(blocks)]
    model = nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1), *body, nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(32, 10)
    )
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d):
            he_out(layer.weight)
    return model


def run(parameters: Parameters, seed: int) -> Result:
    train, _ = digits()
    data = Labelled(train.x[:640], train.y[:640])
    rows, curves, ends = [], {}, {}
    for kind in ("plain", "residual"):
        for blocks in (parameters.shallow, parameters.deep):
            model = network(blocks, residual=kind == "residual", seed=seed)
            losses = descend(model, data, steps=parameters.steps, lr=0.05, batch=64, seed=seed)
            ends[kind, blocks] = statistics.fmean(losses[-20:])
            curves[f"{kind}, {2 * blocks + 2} layers"] = losses
            rows.append((f"{kind}, {2 * blocks + 2} layers", ends[kind, blocks]))
    shallow, deep = parameters.shallow, parameters.deep
    lines = [Line(name.replace(" layers", ""), list(range(1, len(v) + 1)), v, tone)
             for (name, v), tone in zip(curves.items(), ("three", "two", "quiet", "one"), strict=True)]  # fmt: skip
    plain, residual = ends["plain", deep] - ends["plain", shallow], ends["residual", deep] - ends["residual", shallow]
    return Result(
        claims=[
            Claim("The deeper plain network has the higher training loss.", plain > 0.1,
                  f"{ends['plain', shallow]:.2f} → {ends['plain', deep]:.2f}"),
            Claim("With residual connections depth costs much less or nothing.", residual < plain / 2,
                  f"{ends['residual', shallow]:.2f} → {ends['residual', deep]:.2f}"),
        ],
        numbers={"cost of depth, plain": plain, "cost of depth, residual": residual},
        pictures=[Picture(line_chart(lines, Frame("Training loss", "Of four networks", "step", "cross-entropy")),
                          "Equal data, steps and learning rate.", wide=False)],
        tables=[Table(("network", "mean loss of the last 20 steps"), rows)],
    )  # fmt: skip


EXPERIMENT = Experiment(
    run=run,
    parameters=Parameters(),
    notice=(
        "This is not over-fitting: the deep plain network is worse on the very images that it is trained on, although it could "
        "copy the shallow one and pass the rest through.",
        "Batch norm is in all four, so gradients do not vanish here; plain layers are hard to make into an identity.",
    ),
    formulas=(Formula("y = F(x) + x", "He, Zhang, Ren and Sun 2015, arXiv:1512.03385, figures 1 and 6"),),
    code=(network, PaddedBlock),
    variations=(Variation("deep=4 steps=400", "Moderate depth and patience: the difference shrinks."),),
)
