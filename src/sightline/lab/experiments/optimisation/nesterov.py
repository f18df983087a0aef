"""Nesterov's momentum takes the gradient where the velocity leads; torch walks those places.

What is the difference between the published rule and the one that frameworks compute?
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from sightline.drawing.curves import Frame, Line, line_chart
from sightline.engine.optimizers import make_optimizer
from sightline.lab import updates
from sightline.lab.experiment import Claim, Experiment, Formula, Picture, Result, Table, Variation


@dataclass(frozen=True)
class Parameters:
    start: Annotated[float, Field(ge=-100, le=100)] = 2.0
    lr: Annotated[float, Field(gt=0, le=1)] = 0.1
    mu: Annotated[float, Field(ge=0, lt=1)] = 0.9
    steps: Annotated[int, Field(ge=3, le=500)] = 40


def published(p: Parameters) -> tuple[list[float], list[float]]:
    """θ after each step on θ², and the place θ + μv to which its velocity leads from there."""
    theta = torch.tensor(p.start, dtype=torch.float64)
    memory: updates.Memory = {}
    places, ahead = [], []
    for _ in range(p.steps):
        theta, memory = updates.nesterov(theta, lambda t: 2 * t, memory, lr=p.lr, beta=p.mu)
        places.append(theta.item())
        ahead.append((theta + p.mu * memory["v"]).item())
    return places, ahead


def by_rule(p: Parameters, rule: updates.Form) -> list[float]:
    """θ after each step of a rule that takes the gradient at θ itself."""
    step = partial(updates.momentum, lr=p.lr, beta=p.mu, form=rule)
    theta = torch.tensor(p.start, dtype=torch.float64)
    memory: updates.Memory = {}
    places = []
    for _ in range(p.steps):
        theta, memory = step(theta, 2 * theta, memory)
        places.append(theta.item())
    return places


def by_torch(p: Parameters) -> list[float]:
    """θ after each step of the optimiser that trains."""
    module = torch.nn.Module()
    module.theta = torch.nn.Parameter(torch.tensor(p.start, dtype=torch.float64))
    optimizer = make_optimizer("sgd", [module], lr=p.lr, momentum=p.mu, nesterov=p.mu > 0)
    places = []
    for _ in range(p.steps):
        theta: Tensor = module.get_parameter("theta")
        theta.grad = 2 * theta.detach()
        optimizer.step()
        places.append(theta.item())
    return places


def run(parameters: Parameters, seed: int) -> Result:
    p = parameters
    places, ahead = published(p)
    torchs, momentum = by_torch(p), by_rule(p, "sum")
    apart = max(abs(a - b) for a, b in zip(ahead, torchs, strict=True))
    v, by_hand, theta = 0.0, [], p.start
    for _ in range(3):
        v = p.mu * v - p.lr * 2 * (theta + p.mu * v)
        theta += v
        by_hand.append(theta)
    half = p.steps // 2
    swing = {"Nesterov": max(map(abs, places[half:])), "momentum": max(map(abs, momentum[half:]))}
    steps = list(range(p.steps + 1))
    lines = [Line("momentum", steps, [p.start, *momentum], "quiet"),
        Line("published", steps, [p.start, *places], "one"),
             Line("torch", steps, [p.start, *torchs], "two")]  # fmt: skip
    return Result(
        claims=[
            Claim("The first three places are those by hand.",
                max(abs(a - b) for a, b in zip(places, by_hand, strict=False)) < 1e-12,
                ", ".join(f"{value:.4g}" for value in places[:3])),
            Claim("torch is at θ + μv of the published rule after every step.", apart < 1e-12,
                f"largest distance {apart:.1e}"),
            Claim("torch is not at the published place itself.", abs(torchs[0] - places[0]) > 1e-3,
                ", ".join(f"{value:.4g}" for value in torchs[:3])),
            Claim("In the second half Nesterov swings less than momentum.", swing["Nesterov"] < swing["momentum"],
                f"{swing['Nesterov']:.3g} and {swing['momentum']:.3g}"),
        ],
        numbers={"swing, Nesterov": swing["Nesterov"], "swing, momentum": swing["momentum"]},
        pictures=[Picture(line_chart(lines, Frame("Three rules on θ²", "θ over steps", "step", "θ")),
            "θ on the parabola θ².")],
        tables=[Table(("step", "published θ", "θ + μv", "torch", "momentum"),
                      [[i + 1, places[i], ahead[i], torchs[i], momentum[i]] for i in range(3)],
                          f"From θ = {p.start:g}, η = {p.lr:g}, μ = {p.mu:g}.")],
    )  # fmt: skip


EXPERIMENT = Experiment(
    run=run,
    parameters=Parameters(),
    notice=(
        "The published rule needs the gradient at a second place, which no loop over `backward` has.",
        "Renaming θ + μv to θ makes that place the current one: the update is then g + μv. The weights that torch "
        "keeps, tests and saves "
        "are the places ahead; near the end v is almost 0 and both agree.",
        "The look ahead sees the slope rise behind the bottom and brakes before momentum does.",
    ),
    formulas=(
        Formula("v ← μv − η∇L(θ + μv)\nθ ← θ + v", "Nesterov 1983; Sutskever, Martens, Dahl and Hinton 2013, ICML"),
        Formula("v ← μv + g\nθ ← θ − η(g + μv)",
            "Bengio, Boulanger-Lewandowski and Pascanu 2013, arXiv:1212.0901; torch.optim.SGD"),
    ),
    code=(updates.nesterov, published, by_torch),
    variations=(
        Variation("mu=0.99 steps=200", "Heavier: momentum swings for long, Nesterov much less."),
        Variation("lr=0.02", "With a small rate the two are close: μηλ is what the look ahead adds."),
    ),
    random=False,
)  # fmt: skip
