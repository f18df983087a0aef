"""Tune on validation data; open the test data once.

Which rate, width, depth and activation suit the digits, and how far is the winner's score from what it is worth?
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
import torch
from pydantic import Field

from sightline.drawing.curves import Frame, Line, line_chart
from sightline.lab.datasets import Labelled, digits
from sightline.lab.descent import accuracy, descend
from sightline.lab.experiment import Claim, Experiment, Formula, Picture, Result, Table, Variation
from sightline.models.early.mlp import MLP

VALIDATION = 300


@dataclass(frozen=True)
class Parameters:
    trials: Annotated[int, Field(ge=4, le=100)] = 16
    steps: Annotated[int, Field(ge=10, le=2_000)] = 150


class Sealed:
    """Data that count how often they are opened."""

    def __init__(self, data: Labelled) -> None:
        self._data, self.opened = data, 0

    def open(self) -> Labelled:
        self.opened += 1
        return self._data


def candidate(draw: np.random.Generator) -> dict[str, Any]:
    """Random hyper-parameters; the learning rate evenly over its logarithm."""
    return {
        "lr": float(10 ** draw.uniform(-4, 0.5)),
        "width": int(2 ** draw.integers(2, 7)),
        "depth": int(draw.integers(1, 4)),
        "activation": str(draw.choice(["relu", "tanh", "sigmoid"])),
    }


def trained(choice: Mapping[str, Any], train: Labelled, steps: int, seed: int) -> MLP:
    torch.manual_seed(seed)
    network = MLP(image_size=(8, 8), hidden=(choice["width"],) * choice["depth"], activation=choice["activation"])
    descend(network, train, steps=steps, lr=choice["lr"], momentum=0.0, seed=seed)
    return network


def search(train: Labelled, validation: Labelled, p: Parameters, seed: int) -> list[tuple[float, dict[str, Any], MLP]]:
    """Candidates with their validation accuracy and network, the best first. The test data are no argument of it."""
    draw = np.random.default_rng(seed)
    tried = []
    for _ in range(p.trials):
        choice = candidate(draw)
        network = trained(choice, train, p.steps, seed)
        tried.append((accuracy(network, validation), choice, network))
    return sorted(tried, key=lambda row: -row[0])


def run(parameters: Parameters, seed: int) -> Result:
    rest, unseen = digits()
    sealed = Sealed(unseen)
    order = torch.randperm(len(rest.y))
    held, kept = order[:VALIDATION], order[VALIDATION:]
    tried = search(Labelled(rest.x[kept], rest.y[kept]), Labelled(rest.x[held], rest.y[held]), parameters, seed)
    during = sealed.opened
    best, choice, network = tried[0]
    final = sealed.open()
    found = accuracy(network, final)
    of_middle = accuracy(tried[len(tried) // 2][2], final)  # to show what choosing gained; nothing is chosen by it
    opened = sealed.opened
    rates = sorted((math.log10(row[1]["lr"]), row[0]) for row in tried)
    frame = Frame(
        "Candidates", "Validation accuracy over the learning rate", "log₁₀ of the learning rate", "validation accuracy"
    )
    dots = Line("candidates", [r for r, _ in rates], [a for _, a in rates], "one", sizes=[0.25] * len(rates))
    rows = [[c["lr"], c["width"], c["depth"], c["activation"], a] for a, c, _ in tried]
    return Result(
        claims=[
            Claim("The search never opened the test data; they were opened once, behind the choice.",
                during == 0 and opened == 1, f"{during} times, then {opened}"),
            Claim("The chosen network beats the median candidate on the test data by two points or more.",
                found >= of_middle + 0.02, f"{found:.1%} and {of_middle:.1%}"),
            Claim("The winner scores higher on the data that it was chosen by than on the test data.", best > found,
                f"validation {best:.1%}, test {found:.1%}"),
        ],
        numbers={"validation accuracy of the best": best, "its test accuracy": found,
            "test accuracy of the median": of_middle, "its learning rate": choice["lr"]},
        pictures=[Picture(line_chart([dots], frame),
            "Every candidate. Width, depth and activation differ from dot to dot.")],
        tables=[Table(("learning rate", "width", "depth", "activation", "validation"), rows[:8], "The best eight.")],
    )  # fmt: skip


EXPERIMENT = Experiment(
    run=run,
    parameters=Parameters(),
    notice=(
        "The learning rate decides almost everything: below 0.01 no width or activation helps within so few steps.",
        "The best of many is lucky too: its validation score is higher than its score on data that nothing was "
        "chosen by. (Here the 500 "
        "test digits are also by other writers, which adds to the gap.)",
        "A random search tries a new value of every hyper-parameter in each trial; a grid of sixteen tries only "
        "four rates.",
    ),
    formulas=(Formula("lr = 10^u,  u uniform", "Bergstra and Bengio 2012, JMLR 13"),),
    code=(search, candidate, trained),
    variations=(
        Variation("trials=50", "More candidates: a better winner, and a more flattered one."),
        Variation("steps=600", "With four times the steps small rates catch up."),
    ),
)  # fmt: skip
