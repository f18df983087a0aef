"""Losses of numbers differ in how hard an outlier pulls.

What do squared, absolute, smooth and Gaussian losses make of the same error, and which of them does one wrong label mislead?
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from sightline.drawing.curves import Frame, Line, line_chart
from sightline.lab.experiment import Claim, Experiment, Formula, Picture, Result, Table, Variation
from sightline.losses.regression import absolute_error, age_error, cycle_error, smooth_l1, squared_error

Loss = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class Parameters:
    beta: Annotated[float, Field(gt=0, le=10)] = 1.0
    sigma: Annotated[float, Field(gt=0, le=20)] = 3.0
    outlier: Annotated[float, Field(ge=0, le=1_000)] = 60.0


def losses(p: Parameters) -> dict[str, Loss]:
    return {
        "squared": squared_error, "absolute": absolute_error, "smooth L1": partial(smooth_l1, beta=p.beta),
        "Gaussian": partial(age_error, sigma=p.sigma, share=1.0),
    }  # fmt: skip


def slope(loss: Loss, error: float) -> float:
    d = torch.tensor([error], dtype=torch.float64, requires_grad=True)
    return torch.autograd.grad(loss(d, torch.zeros(1, dtype=torch.float64))[0], d)[0].item()


def fitted(loss: Loss, ages: Tensor, steps: int = 600) -> float:
    """The one number that is closest to all ages by this loss, by gradient descent from their median."""
    guess = ages.median().clone().requires_grad_()
    for step in range(steps):
        g = torch.autograd.grad(loss(guess.expand_as(ages), ages)[0], guess)[0]
        guess = (guess - 2.0 / (1 + step / 10) * g).detach().requires_grad_()
    return guess.item()


def run(parameters: Parameters, seed: int) -> Result:
    p, zero = parameters, torch.zeros(1, dtype=torch.float64)
    named = losses(p)
    three = torch.tensor([3.0], dtype=torch.float64)
    parts = [age_error(three, zero, sigma=3.0, share=s)[0].item() for s in (0.0, 0.5, 1.0)]
    knee = [slope(named["smooth L1"], p.beta + e) for e in (-1e-6, 1e-6)]
    ages = 30 + 2 * torch.randn(40, dtype=torch.float64)
    spoiled = torch.cat([ages, ages.new_tensor([30 + p.outlier])])
    moved = {name: abs(fitted(loss, spoiled) - fitted(loss, ages)) for name, loss in named.items()}
    by_mean = (spoiled.mean() - ages.mean()).item()
    x, y = torch.tensor([0.0, 1.0, 2.0]).double(), torch.tensor([1.0, 3.0]).double()
    there, back = (lambda v: 2 * v + 1), (lambda v: (v - 1) / 2)
    exact = cycle_error(x, back(there(x)), y, there(back(y)))[0].item()
    askew = cycle_error(x, back(there(x)) + 0.1, y, there(back(y) + 0.1))[0].item()
    errors = [i / 20 for i in range(-120, 121)]
    tones = ("two", "three", "one", "four")
    lines = [
        Line(n, errors, [loss(torch.tensor([e]).double(), zero)[0].item() for e in errors], t)
        for (n, loss), t in zip(named.items(), tones, strict=True)
    ]
    rows = [
        [
            name,
            *(loss(torch.tensor([e]).double(), zero)[0].item() for e in (0.5, 1.0, 3.0, 10.0)),
            slope(loss, 10.0),
            moved[name],
        ]
        for name, loss in named.items()
    ]
    return Result(
        claims=[
            Claim("At an error of 3 with σ = 3 the age loss is 4.5 (parabola), 0.3935 (bell) and 2.4467 (half of "
                "each).",
                all(abs(a - b) < 1e-4 for a, b in zip(parts, (4.5, 2.4467, 0.3935), strict=True)),
                ", ".join(f"{v:.4f}" for v in parts)),
            Claim("Smooth L1 has one slope on both sides of its knee.", abs(knee[0] - knee[1]) < 1e-4,
                f"{knee[0]:.5f} and {knee[1]:.5f}"),
            Claim("One wrong age moves the squared loss's answer by its share of the mean, the others' by less than "
                "a third of that.",
                abs(moved["squared"] - by_mean) < 0.05 and max(moved[n] for n in list(moved)[1:]) < by_mean / 3,
                ", ".join(f"{n} {v:.2f}" for n, v in moved.items())),
            Claim("A cycle costs 0 where each way undoes the other, and 0.3 where one is askew by 0.1.",
                abs(exact) < 1e-12 and abs(askew - 0.3) < 1e-9, f"{exact:g} and {askew:g}"),
        ],
        numbers={f"moved by one outlier, {n}": v for n, v in moved.items()},
        pictures=[Picture(line_chart(lines,
            Frame("Losses of an error", "One line a loss", "error", "loss", y_range=(0, 6))),
                "The price of an error.")],
        tables=[Table(("loss", "at 0.5", "at 1", "at 3", "at 10", "slope at 10", "moved by an outlier"), rows)],
    )  # fmt: skip


EXPERIMENT = Experiment(
    run=run,
    parameters=Parameters(),
    notice=(
        "The slope is the pull of a sample: proportional to the error, 1, or almost 0 far away.",
        "The Gaussian loss forgives what lies beyond three σ, and cannot learn from it either: it needs a start "
        "that is near.",
        "Annotators of apparent age disagree by a few years: σ is their deviation.",
    ),
    formulas=(
        Formula("smooth L1: ½d²/β inside |d| < β, |d| − ½β outside", "Girshick 2015, arXiv:1504.08083"),
        Formula("(1 − λ) ½d² + λ(1 − exp(−d²/2σ²))", "Ranjan et al. 2017, arXiv:1611.00851"),
        Formula("E|F(G(x)) − x| + E|G(F(y)) − y|", "Zhu et al. 2017, arXiv:1703.10593"),
    ),
    code=(squared_error, smooth_l1, absolute_error, age_error, cycle_error),
    variations=(
        Variation("outlier=3", "An outlier within σ moves all of them."),
        Variation("beta=5", "A wide parabola: smooth L1 becomes the squared error."),
    ),
)  # fmt: skip
