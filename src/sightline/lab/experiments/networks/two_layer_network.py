"""A perceptron with hidden layers is a chain of matrices and bends.

Which shapes do the weights of a multilayer perceptron have, how many parameters does that make, and does it learn digits?
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field
from torch.nn import functional as F

from sightline.drawing.curves import Frame, Line, line_chart
from sightline.lab.datasets import digits
from sightline.lab.descent import accuracy, descend
from sightline.lab.experiment import Claim, Experiment, Formula, Picture, Result, Table, Variation
from sightline.models.create import create_model
from sightline.models.early.mlp import MLP


@dataclass(frozen=True)
class Parameters:
    units: Annotated[int, Field(ge=1, le=1_000)] = 64
    steps: Annotated[int, Field(ge=1, le=5_000)] = 400


def run(parameters: Parameters, seed: int) -> Result:
    tiny = create_model("mlp", in_channels=1, image_size=(1, 3), hidden=(4,), num_classes=1)
    count = sum(p.numel() for p in tiny.parameters())
    train, test = digits()
    model: Any = create_model("mlp", image_size=(8, 8), hidden=(parameters.units,), seed=seed)
    losses = descend(model, train, steps=parameters.steps, lr=0.05, seed=seed)
    right = accuracy(model, test)
    first, last = model.hidden[0][0], model.fc
    a0 = test.x[:5].flatten(1)
    a1 = F.relu(a0 @ first.weight.T + first.bias)
    difference = (a1 @ last.weight.T + last.bias - model(test.x[:5])).abs().max().item()
    shapes = [(name, str(tuple(p.shape)), p.numel()) for name, p in model.named_parameters()]
    return Result(
        claims=[
            Claim("A network of 3, 4 and 1 units has 21 parameters.", count == 21, f"(3 + 1)·4 + (4 + 1)·1 = {count}"),
            Claim(
                "Writing out the two matrix products gives the network's scores.", difference < 1e-5,
                f"largest difference {difference:.0e}",
            ),
            Claim("It learns handwritten digits.", right >= 0.9, f"test accuracy {right:.3f}"),
        ],
        numbers={"test accuracy": right},
        pictures=[
            Picture(
                line_chart(
                    [Line("loss", list(range(1, len(losses) + 1)), losses, "one")],
                    Frame("The loss", "Loss of every step", "step", "cross-entropy", log_y=True),
                ),
                "The loss of each mini-batch of 64 images.",
            )
        ],
        tables=[Table(("tensor", "shape", "numbers"), shapes, "A weight is (units of its layer, units of the layer before).")],
    )  # fmt: skip


EXPERIMENT = Experiment(
    run=run,
    parameters=Parameters(),
    notice=(
        "The shape of a weight is (outputs, inputs), so one row holds everything that a unit reads.",
        "The bias has one number a unit: a layer of n inputs and m units has (n + 1)·m parameters.",
    ),
    formulas=(
        Formula(
            "z¹ = W¹ a⁰ + b¹,  a¹ = g(z¹),  z² = W² a¹ + b²\nW¹: (n¹, n⁰),  b¹: (n¹)",
            "Rumelhart, Hinton and Williams 1986, Nature 323",
        ),
    ),
    code=(MLP, descend),
    variations=(
        Variation("units=4", "Four units are too few for ten classes."),
        Variation("units=1000 steps=100", "A wide layer learns in fewer steps."),
    ),
)
