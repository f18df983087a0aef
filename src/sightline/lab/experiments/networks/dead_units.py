"""A large step can kill ReLU units for good.

How many hidden units are zero for every image after training with a small and with a large learning rate, and does a
leaky ReLU avoid it?
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor, nn

from sightline.drawing.curves import Frame, Line, line_chart
from sightline.lab.datasets import digits
from sightline.lab.descent import accuracy, descend
from sightline.lab.experiment import Claim, Experiment, Formula, Picture, Result, Table, Variation
from sightline.models.create import create_model


@dataclass(frozen=True)
class Parameters:
    units: Annotated[int, Field(ge=8, le=512)] = 100
    small: Annotated[float, Field(gt=0, le=10)] = 0.02
    large: Annotated[float, Field(gt=0, le=10)] = 0.15
    steps: Annotated[int, Field(ge=10, le=2_000)] = 200


@torch.no_grad()
def dead(layer: nn.Module, x: Tensor) -> float:
    """Share of the units of `layer` whose slope is 0 for every input: their output before the ReLU is never positive."""
    return (layer(x.flatten(1)).amax(0) <= 0).float().mean().item()


def _append(history: list[float], layer: nn.Module, x: Tensor, _: int) -> None:
    history.append(dead(layer, x))


def run(parameters: Parameters, seed: int) -> Result:
    train, test = digits()
    rows, lines, share = [], [], {}
    settings = (("ReLU, small rate", "relu", parameters.small), ("ReLU, large rate", "relu", parameters.large),
                ("leaky ReLU, large rate", "leaky_relu", parameters.large))  # fmt: skip
    for (name, kind, rate), tone in zip(settings, ("one", "two", "three"), strict=True):
        model: Any = create_model("mlp", hidden=(parameters.units,) * 2, activation=kind, image_size=(8, 8), seed=seed)
        second = nn.Sequential(model.hidden[0], model.hidden[1][0])  # up to the second layer's ReLU
        history: list[float] = []
        descend(
            model, train, steps=parameters.steps, lr=rate, seed=seed,
            after=partial(_append, history, second, train.x),
        )  # fmt: skip
        share[name] = history[-1] if history else float("nan")
        lines.append(Line(name, list(range(1, len(history) + 1)), history, tone))
        rows.append((name, rate, share[name], accuracy(model, test)))
    small, large = settings[0][0], settings[1][0]
    return Result(
        claims=[
            Claim(
                "With the large rate several times as many ReLU units die as with the small one.",
                share[large] >= 3 * max(share[small], 0.01), f"{share[large]:.0%} against {share[small]:.0%}",
            ),
            Claim(
                "A unit that is never positive still learns with a leaky ReLU: its slope is 0.1 there, not 0.",
                rows[2][3] > rows[1][3], f"test accuracy {rows[2][3]:.2f} against {rows[1][3]:.2f}",
            ),
        ],
        numbers={f"never positive: {name}": value for name, value in share.items()},
        pictures=[
            Picture(
                line_chart(
                    lines, Frame("Units never positive", "Share of the second layer's units over the steps", "step", "share")
                ),
                "Share of the second hidden layer's units that are not positive for any training image.",
            )
        ],
        tables=[Table(("network", "rate", "never positive", "test accuracy"), rows)],
    )  # fmt: skip


EXPERIMENT = Experiment(
    run=run,
    parameters=Parameters(),
    notice=(
        "The units die in the first steps, when losses and so gradients are largest: one step pushes a bias far below zero.",
        "A dead ReLU unit has gradient 0 for every image, so no later step brings it back by itself.",
    ),
    formulas=(Formula("∂L/∂w = δ · 1[w·x + b > 0] · x", "Maas, Hannun and Ng 2013, ICML workshop (leaky ReLU)"),),
    code=(dead, descend),
    variations=(
        Variation("large=0.05", "A moderate rate kills few units."),
        Variation(
            "large=2", "A rate that is much too large kills whole layers: the network answers the same for all images."
        ),
    ),
)
