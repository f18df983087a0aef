"""Units that start alike stay alike.

What does a network learn whose weights all start at zero, at one constant, or with a few random connections a unit?
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import nn

from sightline.lab.datasets import digits
from sightline.lab.descent import accuracy, descend
from sightline.lab.experiment import Claim, Experiment, Formula, Result, Table, Variation
from sightline.layers.initialise import initialise, sparse, zeros
from sightline.models.create import create_model


@dataclass(frozen=True)
class Parameters:
    units: Annotated[int, Field(ge=2, le=256)] = 32
    steps: Annotated[int, Field(ge=1, le=5_000)] = 300
    connections: Annotated[int, Field(ge=1, le=64)] = 15


@torch.no_grad()
def distinct_units(layer: nn.Linear) -> int:
    """How many units have weights of their own; two count as one when no weight differs by 1e-6."""
    kept: list[torch.Tensor] = []
    for row in torch.cat([layer.weight, layer.bias[:, None]], 1):
        if all((row - other).abs().max() > 1e-6 for other in kept):
            kept.append(row)
    return len(kept)


def run(parameters: Parameters, seed: int) -> Result:
    train, test = digits()
    rows = []
    for name in ("zeros", "constant", "sparse", "he"):
        model: Any = create_model("mlp", hidden=(parameters.units,), image_size=(8, 8), seed=seed)
        first = model.hidden[0][0]
        with torch.no_grad():
            if name == "zeros":
                initialise(model, "zeros")
            elif name == "constant":
                for parameter in model.parameters():
                    parameter.fill_(0.1)
            elif name == "sparse":
                sparse(first.weight, parameters.connections, std=0.3)
            incoming = int((first.weight != 0).sum(1).float().mean())
        descend(model, train, steps=parameters.steps, lr=0.05, seed=seed)
        rows.append((name, incoming, distinct_units(first), accuracy(model, test)))
    zero, constant, few, he = rows
    return Result(
        claims=[
            Claim("All zero: nothing but the last bias learns, so accuracy stays near chance.", zero[3] < 0.2,
                  f"accuracy {zero[3]:.2f}"),
            Claim("One constant: however many units, they remain one.", constant[2] == 1,
                  f"{constant[2]} of {parameters.units}"),
            Claim("Random weights break the symmetry: every unit becomes its own.",
                  he[2] == parameters.units and he[3] > 0.9, f"{he[2]} distinct, accuracy {he[3]:.2f}"),
            Claim("A sparse start has the set number of connections a unit and learns too.",
                  few[1] == min(parameters.connections, 64) and few[3] > 0.85, f"{few[1]} a unit, accuracy {few[3]:.2f}"),
        ],
        numbers={f"test accuracy, {name}": right for name, _, _, right in rows},
        tables=[Table(("start", "connections a unit", "distinct units after training", "test accuracy"), rows)],
    )  # fmt: skip


EXPERIMENT = Experiment(
    run=run,
    parameters=Parameters(),
    notice=(
        "Two units with the same weights receive the same gradient, so no step can part them: only their start can.",
        "With all weights at zero the hidden layer's gradient is zero as well; with a constant it is not, but it is "
        "the same for "
        "all units.",
    ),
    formulas=(
        Formula("wᵢ = wⱼ and vᵢ = vⱼ  ⇒  ∂L/∂wᵢ = ∂L/∂wⱼ", "Rumelhart, Hinton and Williams 1986"),
        Formula("k incoming connections a unit, the rest 0", "Martens 2010, ICML"),
    ),
    code=(zeros, sparse, distinct_units),
    variations=(Variation("connections=1", "With one pixel a unit, 32 units see at most half of the image."),),
)
