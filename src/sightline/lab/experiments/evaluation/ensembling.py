"""Several networks together are better than one of them.

What does the mean of k networks' probabilities gain, and why do copies of the same network gain nothing?
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch
from pydantic import Field
from torch import nn

from sightline.drawing.curves import Frame, Line, line_chart
from sightline.evaluation.comparing.ensembles import error_correlation, mean_rows
from sightline.lab.datasets import Labelled, digits
from sightline.lab.descent import descend
from sightline.lab.experiment import Claim, Experiment, Formula, Picture, Result, Table, Variation
from sightline.metrics.calibration import brier_score, log_loss
from sightline.structures.predictions import ClassRows


@dataclass(frozen=True)
class Parameters:
    members: Annotated[int, Field(ge=2, le=12)] = 7
    samples: Annotated[int, Field(ge=50, le=1_297)] = 150
    steps: Annotated[int, Field(ge=10, le=2_000)] = 200


def member(data: Labelled, test: Labelled, steps: int, seed: int) -> ClassRows:
    """The answers of one network on the test images: its own start, its own order, its own resample of the training "
    "images."""
    draw = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    chosen = torch.randint(len(data.x), (len(data.x),), generator=draw)
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
    descend(network, Labelled(data.x[chosen], data.y[chosen]), steps=steps, lr=0.05, seed=seed)
    with torch.no_grad():
        probability = network(test.x).softmax(1).double().numpy()
    return ClassRows(np.arange(len(test.y)), test.y.numpy(), probability)


def accuracy(rows: ClassRows) -> float:
    return float((rows.probability.argmax(1) == rows.target).mean())


def run(parameters: Parameters, seed: int) -> Result:
    p = parameters
    train, test = digits()
    data = Labelled(train.x[: p.samples], train.y[: p.samples])
    members = [member(data, test, p.steps, 100 * seed + i) for i in range(p.members)]
    singles = [accuracy(m) for m in members]
    means = []
    for k in range(1, p.members + 1):
        mean = mean_rows(members[:k])
        assert mean is not None
        means.append(mean)
    together, copies = means[-1], mean_rows([members[0]] * p.members)
    assert copies is not None
    losses = [log_loss(m.target, m.probability) for m in members]
    briers = [brier_score(m.target, m.probability) for m in members]
    loss, brier = log_loss(together.target, together.probability), brier_score(together.target, together.probability)
    # squared error: mean of the members' = that of their mean + their spread around it
    spread = float(np.mean([((m.probability - together.probability) ** 2).sum(1).mean() for m in members]))
    identity = abs(float(np.mean(briers)) - brier - spread)
    correlation = error_correlation([(m.probability.argmax(1) == m.target).astype(float) for m in members]) or 0.0
    sizes = list(range(1, p.members + 1))
    lines = [
        Line("ensemble", sizes, [accuracy(m) for m in means]),
        Line("mean single", sizes, [float(np.mean(singles))] * p.members, "quiet"),
    ]
    frame = Frame("Accuracy by size", "Test accuracy of the mean of the first k networks", "networks", "accuracy")
    return Result(
        claims=[
            Claim("The ensemble is better than the mean of its members.", accuracy(together) > float(np.mean(singles)),
                  f"{accuracy(together):.3f} against {np.mean(singles):.3f}"),
            Claim("Its log loss is below the mean of its members', as for every convex loss.", loss < float(np.mean(losses)),
                  f"{loss:.3f} against {np.mean(losses):.3f}; the best member alone: {min(losses):.3f}"),
            Claim("What it gains in squared error is exactly how much its members differ.", identity < 1e-12,
                  f"{np.mean(briers):.4f} = {brier:.4f} + {spread:.4f}"),
            Claim("Members do not fail on the same digits only (correlation of errors below 0.9).", correlation < 0.9,
                  f"{correlation:.2f}"),
            Claim("Copies of one network gain nothing.",
                  accuracy(copies) == singles[0] and np.allclose(copies.probability, members[0].probability),
                  f"{accuracy(copies):.3f}"),
        ],
        numbers={"accuracy, ensemble": accuracy(together), "accuracy, mean member": float(np.mean(singles)),
                 "accuracy, best member": max(singles), "correlation of errors": correlation},
        pictures=[Picture(line_chart(lines, frame), "Most of the gain comes with the first few networks.")],
        tables=[Table(("", "accuracy", "log loss", "Brier score"),
                      [*((f"network {i + 1}", s, b, c) for i,
                         (s, b, c) in enumerate(zip(singles, losses, briers, strict=True))),
                                                                    ("ensemble", accuracy(together), loss, brier)])],
    )  # fmt: skip


EXPERIMENT = Experiment(
    run=run,
    parameters=Parameters(),
    notice=("The gain is what members get wrong differently; better members that agree may gain less than worse ones "
            "that differ.",
            "k networks cost k times the time at every answer."),
    formulas=(Formula("p = (1/k) Σ_i p_i      mean error of the members − error of the mean = mean (p_i − p)²",
                      "Krogh and Vedelsby 1995, NIPS 7"),
              Formula("members on resamples of the data", "Breiman 1996, Bagging Predictors")),
    code=(member, mean_rows, error_correlation),
    variations=(Variation("samples=1200 steps=600", "Much data: the members agree, and less is gained."),
                Variation("members=2", "Two of them.")),
)  # fmt: skip
