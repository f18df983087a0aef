"""Too low a learning rate wastes steps, too high a one diverges; the good one is just below.

How do the losses of one network look at five learning rates?
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

import torch
from pydantic import Field

from sightline.drawing.curves import Frame, Line, line_chart
from sightline.lab import updates
from sightline.lab.datasets import digits
from sightline.lab.descent import accuracy, descend
from sightline.lab.experiment import Claim, Experiment, Formula, Picture, Result, Table, Variation
from sightline.models.early.mlp import MLP

REGIMES = (
    ("very low", 1e-4, "quiet"),
    ("low", 1e-2, "three"),
    ("good", 0.3, "one"),
    ("high", 3.0, "two"),
    ("very high", 30.0, "five"),
)
LOST = 10.0  # losses above this are drawn at the upper edge


@dataclass(frozen=True)
class Parameters:
    steps: Annotated[int, Field(ge=50, le=5_000)] = 300
    hidden: Annotated[int, Field(ge=1, le=256)] = 32
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.0


def parabola(lr: float, steps: int = 20) -> list[float]:
    """|x| on x² from 1, step by step."""
    x, path = torch.tensor(1.0, dtype=torch.float64), [1.0]
    for _ in range(steps):
        x, _ = updates.sgd(x, 2 * x, {}, lr=lr)
        path.append(abs(x.item()))
    return path


def smoothed(losses: list[float], window: int = 15) -> list[float]:
    """Means over the last `window` values, of losses cut at LOST."""
    cut = [min(v, LOST) if math.isfinite(v) else LOST for v in losses]
    return [
        sum(cut[max(0, i - window + 1) : i + 1]) / len(cut[max(0, i - window + 1) : i + 1]) for i in range(len(cut))
    ]


def run(parameters: Parameters, seed: int) -> Result:
    train, test = digits()
    curves, right = {}, {}
    for name, lr, _ in REGIMES:
        torch.manual_seed(seed)
        network = MLP(image_size=(8, 8), hidden=(parameters.hidden,))
        losses = descend(network, train, steps=parameters.steps, lr=lr, momentum=parameters.momentum, seed=seed)
        curves[name] = smoothed(losses + [math.inf] * (parameters.steps - len(losses)))
        right[name] = accuracy(network, test)
    last = {name: curve[-1] for name, curve in curves.items()}
    valley = {lr: parabola(lr)[-1] for lr in (1.1, 0.01, 0.4)}
    steps = list(range(1, parameters.steps + 1))
    lines = [Line(name, steps, curves[name], tone) for name, _, tone in REGIMES]
    frame = Frame("Training loss", "One line a learning rate", "step", "loss", y_range=(0, 4))
    return Result(
        claims=[
            Claim("The very low rate keeps at least three quarters of the first loss.",
                last["very low"] > 0.75 * curves["very low"][0],
                f"{curves['very low'][0]:.2f} to {last['very low']:.2f}"),
            Claim("The low rate is still above the good one at the end.", last["low"] > 2 * last["good"],
                f"{last['low']:.3f} and {last['good']:.3f}"),
            Claim("The good rate has the lowest loss of all five.", min(last, key=last.__getitem__) == "good",
                ", ".join(f"{n} {v:.2f}" for n, v in last.items())),
            Claim("The very high rate ends no better than guessing.", last["very high"] > math.log(10),
                f"{last['very high']:.2f}, guessing {math.log(10):.2f}"),
            Claim("On x² a rate of 1.1 grows, 0.01 creeps and 0.4 arrives.",
                abs(valley[1.1] - 1.2**20) < 1e-9 and abs(valley[0.01] - 0.98**20) < 1e-12 and valley[0.4] < 1e-13,
                ", ".join(f"{lr}: {v:.3g}" for lr, v in valley.items())),
        ],
        numbers={f"accuracy on the test digits, {name}": value for name, value in right.items()},
        pictures=[Picture(line_chart(lines, frame), "Means over fifteen steps; losses above 4 are cut off.")],
        tables=[Table(("regime", "rate", "loss at the end", "accuracy"),
            [[n, lr, last[n], right[n]] for n, lr, _ in REGIMES]),
                Table(("rate on x²", "factor 1 − 2η", "|x| after 20 steps from 1"),
                    [[lr, 1 - 2 * lr, v] for lr, v in valley.items()])],
    )  # fmt: skip


EXPERIMENT = Experiment(
    run=run,
    parameters=Parameters(),
    notice=(
        "A loss that falls in a straight line asks for a larger rate; one that stops high or jumps asks for a smaller.",
        "On a parabola of curvature λ a step multiplies the distance by 1 − ηλ: above η = 2/λ it grows. The "
        "steepest direction sets the limit.",
        "The scale is logarithmic: the useful rates lie within a factor of ten or so.",
    ),
    formulas=(Formula("x ← x − ηλx = (1 − ηλ)x,    stable for η < 2/λ",
        "LeCun, Bottou, Orr and Müller 1998, Efficient BackProp"),),
    code=(parabola, descend),
    variations=(
        Variation("momentum=0.9", "Momentum multiplies the steps by ten: every regime moves by as much."),
        Variation("steps=3000", "Given the time, the low rate arrives too."),
    ),
)  # fmt: skip
