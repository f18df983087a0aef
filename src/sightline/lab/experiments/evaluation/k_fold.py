"""K folds: every sample is tested once, and the spread tells how much a single split hides.

How far can the accuracy of one random split be off, and what do five folds cost and give?
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch
from pydantic import Field
from torch import nn

from sightline.data.folds import k_fold
from sightline.drawing.bars import Row, interval_rows
from sightline.lab.datasets import Labelled, digits
from sightline.lab.descent import accuracy, descend
from sightline.lab.experiment import Claim, Experiment, Formula, Picture, Result, Table, Variation
from sightline.metrics.proportions import wilson


@dataclass(frozen=True)
class Parameters:
    k: Annotated[int, Field(ge=2, le=20)] = 5
    samples: Annotated[int, Field(ge=50, le=800)] = 200
    steps: Annotated[int, Field(ge=10, le=2_000)] = 150


def fitted(data: Labelled, steps: int, seed: int) -> nn.Module:
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    descend(network, data, steps=steps, lr=0.02, seed=seed)
    return network


def part(data: Labelled, mask: np.ndarray) -> Labelled:
    chosen = torch.as_tensor(mask)
    return Labelled(data.x[chosen], data.y[chosen])


def run(parameters: Parameters, seed: int) -> Result:
    p = parameters
    pool, last = digits()
    order = torch.randperm(len(pool.x))
    data, rest = (Labelled(pool.x[i], pool.y[i]) for i in (order[: p.samples], order[p.samples :]))
    labels = data.y.numpy()
    folds = k_fold(p.samples, p.k, seed=seed, labels=labels)
    scores = [accuracy(fitted(part(data, folds != f), p.steps, seed), part(data, folds == f)) for f in range(p.k)]
    whole = fitted(data, p.steps, seed)
    truth, elsewhere = accuracy(whole, rest), accuracy(whole, last)
    mean = statistics.fmean(scores)
    error = (truth * (1 - truth) * (1 / p.samples + 1 / len(rest.y))) ** 0.5  # of the difference of two proportions
    singles = []
    for i in range(8):  # one random fifth each, as a single split would have
        one = k_fold(p.samples, p.k, seed=1000 * (seed + 1) + i, labels=labels)
        singles.append(accuracy(fitted(part(data, one != 0), p.steps, seed), part(data, one == 0)))
    sizes, by_class = np.bincount(folds), np.array([np.bincount(labels[folds == f], minlength=10) for f in range(p.k)])
    plain = k_fold(p.samples, p.k, seed=seed)
    unequal = np.array([np.bincount(labels[plain == f], minlength=10) for f in range(p.k)])
    low, high = wilson(mean, p.samples, 1.96)
    rows = [Row(f"fold {f + 1}", s, *wilson(s, int(sizes[f]), 1.96), f"n = {sizes[f]}") for f, s in enumerate(scores)]
    rows.append(Row("all folds", mean, low, high, f"n = {p.samples}"))
    return Result(
        claims=[
            Claim("Every sample is tested exactly once.",
                  int(sizes.sum()) == p.samples and set(folds.tolist()) == set(range(p.k)),
                  f"{p.samples} samples, folds of {sizes.min()} to {sizes.max()}"),
            Claim("Stratified folds have equal shares of each class, up to one sample; plain ones have not.",
                  int(np.ptp(by_class, axis=0).max()) <= 1 < int(np.ptp(unequal, axis=0).max()),
                  f"largest difference {np.ptp(by_class, axis=0).max()} against {np.ptp(unequal, axis=0).max()}"),
            Claim("One fold alone may be off by 0.02 and more.", max(abs(s - truth) for s in scores) >= 0.02,
                  f"folds {min(scores):.3f} to {max(scores):.3f}, on unseen digits {truth:.3f}"),
            Claim("The mean over the folds is within three standard errors of the accuracy on unseen digits.",
                  abs(mean - truth) <= 3 * error, f"{mean:.3f} against {truth:.3f}; standard error {error:.3f}"),
            Claim("Folds know nothing of other sources: on the file's last 500 digits, which were not drawn with "
                  "these, accuracy is lower.",
                  elsewhere < truth, f"{elsewhere:.3f} against {truth:.3f}"),
            Claim("Eight single splits spread over at least 0.02.", max(singles) - min(singles) >= 0.02,
                  f"{min(singles):.3f} to {max(singles):.3f}"),
        ],
        numbers={"mean over the folds": mean, "deviation of a fold": statistics.stdev(scores),
                 "deviation of single splits": statistics.stdev(singles), "accuracy on unseen digits": truth,
                 "on the last 500": elsewhere},
        pictures=[Picture(interval_rows(rows, title="Accuracy of the folds",
                                        description="Accuracy of each fold with its 95 % interval"),
                                        f"The interval of all {p.samples} is narrower than that of any fold.")],
        tables=[Table(("class", *(f"fold {f + 1}" for f in range(p.k))),
                      [(str(c), *map(int, by_class[:, c])) for c in range(10)], "Samples of each class")],
    )  # fmt: skip


EXPERIMENT = Experiment(
    run=run,
    parameters=Parameters(),
    notice=("Each fold's network has seen a little less than all data: the mean is slightly pessimistic.",
            "Folds share training data, so their deviation divided by √k is too small an error of the mean."),
    formulas=(Formula("CV = (1/k) Σ_f accuracy of the network trained without fold f, on fold f",
                      "Stone 1974, JRSS B 36(2)"),
              Formula("no unbiased estimate of its variance exists", "Bengio and Grandvalet 2004, JMLR 5")),
    code=(k_fold, part),
    variations=(Variation("k=10", "More training data for each, twice the work."),
                Variation("samples=60", "Few samples: folds of twelve, wide intervals.")),
)  # fmt: skip
