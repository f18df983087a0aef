"""Dropout narrows the gap between training and test.

What does a dropout mask do to activations and gradients, and does it help a network that is too large for its data?
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Annotated

import torch
from pydantic import Field
from torch import nn

from sightline.drawing.curves import Frame, Line, line_chart
from sightline.lab.datasets import Labelled, digits
from sightline.lab.descent import accuracy, descend
from sightline.lab.experiment import Claim, Experiment, Formula, Picture, Result, Table, Variation
from sightline.layers.dropout import inverted_dropout
from sightline.models.create import create_model


@dataclass(frozen=True)
class Parameters:
    rate: Annotated[float, Field(ge=0, le=0.9)] = 0.5
    units: Annotated[int, Field(ge=16, le=1_000)] = 300
    images: Annotated[int, Field(ge=20, le=1_297)] = 100
    steps: Annotated[int, Field(ge=10, le=5_000)] = 500


def _append(curve: list[tuple[int, float]], model: nn.Module, data: Labelled, step: int) -> None:
    if step % 20 == 0:
        curve.append((step, 1 - accuracy(model, data)))


def run(parameters: Parameters, seed: int) -> Result:
    keep = 1 - parameters.rate
    x = torch.ones(200_000, requires_grad=True)
    kept = torch.rand(len(x)) < keep
    y = inverted_dropout(x, kept, keep)
    y.sum().backward()  # type: ignore[no-untyped-call]
    assert x.grad is not None
    masked = torch.equal(x.grad != 0, kept)
    mean = y.mean().item()

    train, test = digits()
    part = Labelled(train.x[: parameters.images], train.y[: parameters.images])
    rows, lines = [], []
    for name, rate, tone in (("without", 0.0, "two"), ("with", parameters.rate, "one")):
        model = create_model("mlp", hidden=(parameters.units,) * 2, image_size=(8, 8), dropout=rate, seed=seed)
        curve: list[tuple[int, float]] = []
        torch.manual_seed(seed)
        descend(
            model, part, steps=parameters.steps, lr=0.02, seed=seed,
            after=partial(_append, curve, model, test),
        )  # fmt: skip
        rows.append((name, accuracy(model, part), accuracy(model, test)))
        lines.append(Line(name, [s for s, _ in curve], [e for _, e in curve], tone))
    gaps = [train_right - test_right for _, train_right, test_right in rows]
    return Result(
        claims=[
            Claim("The mean of the output is that of the input: the kept values are divided by the share kept.",
                  abs(mean - 1) < 0.01, f"mean {mean:.3f} of ones"),
            Claim("The gradient passes through the kept units only.", masked, f"{kept.float().mean():.1%} of the units"),
            Claim("With dropout the gap between training and test accuracy is not larger.", gaps[1] <= gaps[0] + 0.005,
                  f"{gaps[0]:.3f} without, {gaps[1]:.3f} with"),
        ],
        numbers={"gap without": gaps[0], "gap with": gaps[1], "test accuracy without": rows[0][2],
                 "test accuracy with": rows[1][2]},
        pictures=[Picture(line_chart(lines, Frame("Test error", "Over the steps", "step", "error")),
                          f"Error on 500 test digits of a network of {parameters.units} units a layer, trained on "
                          f"{parameters.images}.")],
        tables=[Table(("dropout", "training accuracy", "test accuracy"), rows)],
    )  # fmt: skip


EXPERIMENT = Experiment(
    run=run,
    parameters=Parameters(),
    notice=(
        "Nothing is dropped at test time. Because the scale was applied in training, nothing needs to be scaled either.",
        "On a data set this small the gain is a point or two, and it differs from seed to seed: look at the range.",
    ),
    formulas=(Formula("y = x ∘ m / p,   m ~ Bernoulli(p)   ⇒   E[y] = x", "Srivastava et al. 2014, JMLR 15"),),
    code=(inverted_dropout,),
    variations=(
        Variation("images=1000", "With enough images the gap is small and dropout has nothing to do."),
        Variation("rate=0.9", "With nine units of ten dropped the network underfits."),
    ),
)
