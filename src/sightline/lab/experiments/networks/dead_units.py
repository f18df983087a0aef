"""One step that is too large can kill ReLU units for good.

What happens to hidden units that a step of the wrong size has made negative for every image, with ReLU and with leaky ReLU?
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from sightline.drawing.curves import Frame, Line, line_chart
from sightline.lab.datasets import Labelled, digits
from sightline.lab.descent import accuracy, descend
from sightline.lab.experiment import Claim, Experiment, Formula, Picture, Result, Table, Variation
from sightline.models.create import create_model


@dataclass(frozen=True)
class Parameters:
    units: Annotated[int, Field(ge=8, le=512)] = 100
    step: Annotated[float, Field(gt=0, le=1_000)] = 30.0
    steps: Annotated[int, Field(ge=10, le=2_000)] = 200


@torch.no_grad()
def dead(layer: nn.Module, x: Tensor) -> Tensor:
    """Which units of `layer` are negative for every input, (units,): a ReLU behind them has slope 0 everywhere."""
    return layer(x.flatten(1)).amax(0) <= 0


def one_step(model: nn.Module, data: Labelled, size: float) -> None:
    """A single step of gradient descent with that learning rate, on 64 images."""
    loss = F.cross_entropy(model(data.x[:64]), data.y[:64])
    gradients = torch.autograd.grad(loss, list(model.parameters()))
    with torch.no_grad():
        for parameter, gradient in zip(model.parameters(), gradients, strict=True):
            parameter.sub_(size * gradient)


def run(parameters: Parameters, seed: int) -> Result:
    train, test = digits()
    rows, lines, found = [], [], {}
    for name, kind, tone in (("ReLU", "relu", "two"), ("leaky ReLU", "leaky_relu", "one")):
        model: Any = create_model("mlp", hidden=(parameters.units,), activation=kind, image_size=(8, 8), seed=seed)
        first = model.hidden[0][0]
        healthy = dead(first, train.x).float().mean().item()
        one_step(model, train, parameters.step)
        which, before = dead(first, train.x), copy.deepcopy(first)
        curve: list[float] = []
        descend(
            model, train, steps=parameters.steps, lr=0.02, momentum=0.0, seed=seed,
            after=lambda _, layer=first, c=curve: c.append(dead(layer, train.x).float().mean().item()),  # type: ignore[misc]
        )  # fmt: skip
        moved = (first.weight - before.weight)[which].abs().sum(1) > 0
        found[name] = (
            which.float().mean().item(),
            moved.float().mean().item() if which.any() else float("nan"),
            curve[-1],
        )
        rows.append((name, healthy, *found[name], accuracy(model, test)))
        lines.append(Line(name, list(range(1, len(curve) + 1)), curve, tone))
    relu, leaky = found["ReLU"], found["leaky ReLU"]
    return Result(
        claims=[
            Claim("One step that is too large makes many units negative for every image.", relu[0] >= 0.2,
                  f"{relu[0]:.0%} of the units"),
            Claim("With ReLU their weights do not move any more, not by a bit.", relu[1] == 0.0,
                  f"{relu[1]:.0%} of them moved"),
            Claim("With leaky ReLU they all move: the slope is 0.1 there, not 0.", leaky[1] == 1.0,
                  f"{leaky[1]:.0%} of them moved"),
        ],
        numbers={"always negative at the end, ReLU": relu[2], "always negative at the end, leaky ReLU": leaky[2]},
        pictures=[
            Picture(
                line_chart(
                    lines,
                    Frame("Units never positive", "Share over the steps", "step", "share", y_range=(0.0, 1.0)),
                ),
                "Share of the hidden units that are negative for every training image, after the large step.",
            )
        ],
        tables=[
            Table(("activation", "negative at first", "after the step", "of these moved", "at the end", "accuracy"), rows)
        ],
    )  # fmt: skip


EXPERIMENT = Experiment(
    run=run,
    parameters=Parameters(),
    notice=(
        "A dead unit has gradient 0 for every image: only the layers below it, if there are any, could wake it.",
        "The network goes on with the units that are left, which for this small task are enough.",
    ),
    formulas=(Formula("∂L/∂w = δ · 1[w·x + b > 0] · x", "Maas, Hannun and Ng 2013, ICML workshop (leaky ReLU)"),),
    code=(dead, one_step, descend),
    variations=(
        Variation("step=3", "A step a tenth as large kills few units."),
        Variation("step=300", "One ten times as large kills nearly all: the network answers the same for every image."),
    ),
)
