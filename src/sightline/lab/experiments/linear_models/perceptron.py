"""The perceptron learns AND and OR, and never XOR.

What can the rule of 1958 learn, how many corrections does it need, and what did its 400 photocells see?
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch
from markupsafe import Markup
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from sightline.drawing.curves import Frame, Line, line_chart
from sightline.drawing.plane import Points, Surface, Window, plane_chart
from sightline.drawing.png import grid
from sightline.lab.datasets import Labelled, digits
from sightline.lab.experiment import Claim, Experiment, Formula, Picture, Result, Table, Variation
from sightline.lab.perceptron import Learning, Perceptron, learn

CORNERS = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
TABLES = {"AND": [0, 0, 0, 1], "OR": [0, 1, 1, 1], "XOR": [0, 1, 1, 0]}


@dataclass(frozen=True)
class Parameters:
    first: Annotated[int, Field(ge=0, le=9)] = 0
    second: Annotated[int, Field(ge=0, le=9)] = 1
    epochs: Annotated[int, Field(ge=1, le=1_000)] = 100


def photocells(data: Labelled, p: Parameters) -> Labelled:
    """Two digits as the Mark I saw its pictures: 20 × 20 cells that are lit or not; class 1 is the second digit."""
    chosen = (data.y == p.first) | (data.y == p.second)
    large = F.interpolate(data.x[chosen], (20, 20), mode="bilinear")
    return Labelled((large > 0.3).float().flatten(1), (data.y[chosen] == p.second).long())


def right(unit: Perceptron, data: Labelled) -> float:
    return (unit(data.x) == data.y).float().mean().item()


def best_line() -> float:
    """The most of the four rows of XOR that any of many lines gets right."""
    angle = torch.linspace(0, 2 * torch.pi, 181)
    normals = torch.stack([angle.cos(), angle.sin()], 1)
    offsets = torch.linspace(-2, 2, 161)
    answers = (CORNERS @ normals.T)[:, :, None] + offsets > 0  # (4, 181, 161)
    return (answers == torch.tensor(TABLES["XOR"])[:, None, None].bool()).float().mean(0).max().item()


def by_two_units(x: Tensor) -> Tensor:
    """XOR by a layer of two rectified units: relu(a + b) - 2 relu(a + b - 1)."""
    hidden = (x @ torch.ones(2, 2) + torch.tensor([0.0, -1.0])).relu()
    return (hidden @ torch.tensor([1.0, -2.0]) > 0.5).long()


def picture(learning: Learning, name: str) -> Markup:
    window = Window(-0.5, 1.5, -0.5, 1.5)
    cells = learning.unit(torch.tensor(window.grid().reshape(-1, 2), dtype=torch.float32)).numpy().reshape(120, 120)
    points = Points(CORNERS.numpy().astype(float), np.array(TABLES[name]), radius=7)
    return plane_chart(window, title=name, description="Two regions and four points", surface=Surface(cells),
        points=[points], axes=("a", "b"))  # fmt: skip


def run(parameters: Parameters, seed: int) -> Result:
    p = parameters
    gates = {name: learn(CORNERS, torch.tensor(y), epochs=p.epochs) for name, y in TABLES.items()}
    shares = {name: right(found.unit, Labelled(CORNERS, torch.tensor(TABLES[name]))) for name, found in gates.items()}
    hidden = (by_two_units(CORNERS) == torch.tensor(TABLES["XOR"])).float().mean().item()
    train, test = (photocells(part, p) for part in digits())
    order = torch.randperm(len(train.y))
    mark = learn(train.x[order], train.y[order], epochs=p.epochs)
    reads = right(mark.unit, test)
    weights = mark.unit.weight.reshape(20, 20)
    grey = (127.5 + 127.5 * weights / weights.abs().max().clamp(min=1e-9)).round().byte().numpy()[..., None]
    samples = [(255 * (1 - train.x[i].reshape(20, 20))).byte().numpy()[..., None] for i in range(7)]
    signs = (2 * train.y - 1).float()
    spread = torch.cat([train.x, torch.ones(len(train.y), 1)], 1)
    direction = torch.cat([mark.unit.weight, torch.tensor([float(mark.unit.bias)])])
    margin = (signs * (spread @ direction)).min().item() / direction.norm().item()
    bound = (spread.norm(dim=1).max().item() / margin) ** 2 if margin > 0 else float("inf")
    epochs = list(range(1, min(p.epochs, 30) + 1))
    curves = [
        Line(n, epochs[: len(f.errors)], f.errors[:30], t)
        for (n, f), t in zip(gates.items(), ("one", "three", "two"), strict=True)
    ]
    return Result(
        claims=[
            Claim("AND and OR are learned without an error.", gates["AND"].converged and gates["OR"].converged,
                f"after {len(gates['AND'].errors)} and {len(gates['OR'].errors)} passes"),
            Claim("XOR is not, however long it goes on, and no line has more than three of four right.",
                not gates["XOR"].converged and shares["XOR"] <= 0.75 and best_line() == 0.75,
                f"{shares['XOR']:g}; the best of 29,141 lines: {best_line():g}"),
            Claim("Two hidden units solve XOR.", hidden == 1, f"{hidden:g}"),
            Claim("The rule separates two digits of 20 × 20 cells, and reads nine of ten new ones.",
                mark.converged and reads >= 0.9, f"after {len(mark.errors)} passes; {reads:.1%} of {len(test.y)}"),
            Claim("It needs fewer corrections than the theorem allows.", mark.corrections <= bound,
                f"{mark.corrections} ≤ (R/γ)² = {bound:.0f}"),
        ],
        numbers={"accuracy on new digits": reads, "corrections": mark.corrections, "cells": train.x.shape[1]},
        pictures=[*(Picture(picture(found, name),
            f"{name}: {shares[name]:.0%} after {len(found.errors)} passes.") for name, found in gates.items()),
                  Picture(line_chart(curves,
                      Frame("Errors", "Errors over passes", "pass", "errors of 4", y_range=(0, 4.5))),
                          "Errors of each pass."),
                  Picture(grid([*samples, grey], columns=4),
                      "Seven pictures of 400 cells, and the weights: bright for the second digit.")],
        tables=[Table(("a, b", *TABLES),
            [[f"{int(a)}, {int(b)}", *(TABLES[n][i] for n in TABLES)] for i, (a, b) in enumerate(CORNERS.tolist())])],
    )  # fmt: skip


EXPERIMENT = Experiment(
    run=run,
    parameters=Parameters(),
    notice=(
        "The rule changes nothing while it is right: a wrong sample is added to the weights or taken from them, and "
        "that is all.",
        "If any line separates the data, it ends after at most (R/γ)² corrections; if none does, it never ends.",
        "XOR is 1 where the inputs differ. The line would have to cut a square into its diagonals.",
    ),
    formulas=(
        Formula("w ← w + (y − ŷ)x,    ŷ = [w·x + b > 0]", "Rosenblatt 1958, Psychological Review 65"),
        Formula("corrections ≤ (R/γ)²", "Novikoff 1962"),
        Formula("XOR = relu(a + b) − 2 relu(a + b − 1)", "Minsky and Papert 1969; Goodfellow et al. 2016, section 6.1"),
    ),
    code=(learn, photocells, by_two_units),
    variations=(
        Variation("first=3 second=8", "Digits that look alike need more corrections."),
        Variation("epochs=1", "One pass is not enough: claims fail."),
    ),
)  # fmt: skip
