"""Without a non-linear activation, depth adds nothing.

Can a network of three linear layers separate what one line cannot, and what does a ReLU between them change?
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
import torch
from markupsafe import Markup
from pydantic import Field
from torch import nn

from sightline.drawing.plane import Points, Surface, Window, plane_chart
from sightline.lab.datasets import Labelled, rings, spirals, xor
from sightline.lab.descent import accuracy, descend
from sightline.lab.experiment import Claim, Experiment, Formula, Picture, Result, Variation
from sightline.layers.activations import activation

_DATA = {"xor": xor, "rings": rings, "spirals": spirals}


@dataclass(frozen=True)
class Parameters:
    data: Literal["xor", "rings", "spirals"] = "xor"
    hidden: Annotated[int, Field(ge=1, le=256)] = 16
    steps: Annotated[int, Field(ge=1, le=20_000)] = 600
    points: Annotated[int, Field(ge=20, le=2_000)] = 300


def network(hidden: int, name: str) -> nn.Sequential:
    """2 → hidden → hidden → 2 with the activation of that name behind each hidden layer."""
    layers: list[nn.Module] = []
    for width, out in ((2, hidden), (hidden, hidden)):
        layers += [nn.Linear(width, out), activation(name)]
    return nn.Sequential(*layers, nn.Linear(hidden, 2))


def collapsed(linear: nn.Sequential) -> tuple[torch.Tensor, torch.Tensor]:
    """Weight (2, 2) and bias (2,) of the one layer that a stack of linear layers equals."""
    weight, bias = torch.eye(2), torch.zeros(2)
    for layer in linear:
        if isinstance(layer, nn.Linear):
            weight, bias = layer.weight @ weight, layer.weight @ bias + layer.bias
    return weight, bias


def run(parameters: Parameters, seed: int) -> Result:
    data = _DATA[parameters.data](parameters.points, seed)
    right, drawings = {}, []
    for name, title in (("identity", "Three linear layers"), ("relu", "The same with ReLU")):
        model = network(parameters.hidden, name)
        descend(model, data, steps=parameters.steps, lr=0.05, seed=seed)
        right[name] = accuracy(model, data)
        drawings.append(Picture(_boundary(model, data, title), f"{title}: accuracy {right[name]:.2f}."))
        if name == "identity":
            weight, bias = collapsed(model)
            difference = (model(data.x) - (data.x @ weight.T + bias)).abs().max().item()
    return Result(
        claims=[
            Claim("A line gets three of the four clusters right at most.", right["identity"] <= 0.85,
                  f"accuracy {right['identity']:.2f}"),
            Claim("The ReLU network separates the classes.", right["relu"] >= 0.97, f"accuracy {right['relu']:.2f}"),
            Claim(
                "Three linear layers are one linear layer.", difference < 1e-4, f"largest difference {difference:.1e}"
            ),
        ],
        numbers={"accuracy, linear": right["identity"], "accuracy, ReLU": right["relu"]},
        pictures=drawings,
    )  # fmt: skip


@torch.no_grad()
def _boundary(model: nn.Module, data: Labelled, title: str) -> Markup:
    window = Window(-2, 2, -2, 2)
    grid = torch.tensor(window.grid().reshape(-1, 2), dtype=torch.float32)
    classes = model(grid).argmax(1).numpy().reshape(120, 120)
    x, y = data.numpy()
    return plane_chart(
        window,
        title=title,
        description=f"Regions of the two predicted classes and {len(x)} points",
        surface=Surface(classes.astype(np.int64)),
        points=[Points(x, y)],
    )


EXPERIMENT = Experiment(
    run=run,
    parameters=Parameters(),
    notice=(
        "The border of the linear network is a straight line, however many layers it has: a product of matrices is a matrix.",
        "With ReLU the border consists of straight pieces, one for each unit that switches on or off.",
    ),
    formulas=(
        Formula("W₃(W₂(W₁x)) = (W₃W₂W₁)x", "Minsky and Papert 1969, Perceptrons"),
        Formula("ReLU(z) = max(0, z)", "Nair and Hinton 2010, ICML"),
    ),
    code=(network, collapsed, descend),
    variations=(
        Variation("data=spirals hidden=64 steps=5000", "Two spirals need a wider network and more steps."),
        Variation("hidden=2", "Two units draw two lines: hardly enough, and whether it succeeds depends on the start."),
    ),
)
