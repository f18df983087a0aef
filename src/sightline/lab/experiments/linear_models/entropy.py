"""Entropy is the mean surprise; cross-entropy is that of someone who expects the wrong thing.

How many bits has an event, and what does a wrong expectation cost?
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

import torch
from pydantic import Field

from sightline.drawing.curves import Frame, Line, line_chart
from sightline.lab.experiment import Claim, Experiment, Formula, Picture, Result, Table, Variation
from sightline.losses.information import cross_entropy_between, entropy, information


@dataclass(frozen=True)
class Parameters:
    classes: Annotated[int, Field(ge=2, le=1_000)] = 4
    distributions: Annotated[int, Field(ge=10, le=10_000)] = 1_000


def run(parameters: Parameters, seed: int) -> Result:
    k, n = parameters.classes, parameters.distributions
    p = torch.linspace(0, 1, 201, dtype=torch.float64)
    coin = entropy(torch.stack([p, 1 - p], 1))
    pure, fair = entropy(torch.tensor([1.0, 0.0])).item(), entropy(torch.tensor([0.5, 0.5])).item()
    even = entropy(torch.full((k,), 1 / k, dtype=torch.float64)).item()
    one, two = (torch.distributions.Dirichlet(torch.ones(k, dtype=torch.float64)).sample((n,)) for _ in range(2))
    own = entropy(one) * math.log(2)  # bits → nats
    cross = cross_entropy_between(one, two)
    gap = cross - own
    itself = (cross_entropy_between(one, one) - own).abs().max().item()
    independent = (information(torch.tensor([0.5 * 0.2])) - information(torch.tensor([0.5, 0.2])).sum()).abs().item()
    guesses = p[1:-1]
    true = torch.tensor([0.7, 0.3], dtype=torch.float64).expand(len(guesses), 2)
    costs = cross_entropy_between(true, torch.stack([guesses, 1 - guesses], 1)) / math.log(2)
    best = guesses[costs.argmin()].item()
    lines = [
        Line("entropy of p", p.tolist(), coin.tolist(), "one"),
        Line("for p = 0.7", guesses.tolist(), costs.tolist(), "two"),
    ]
    events = (("sure", 1.0), ("a coin", 0.5), ("a die", 1 / 6), ("one in a thousand", 0.001))
    return Result(
        claims=[
            Claim("A sure event has 0 bits, a fair coin 1.", pure == 0 and abs(fair - 1) < 1e-6,
                f"{abs(pure):g} and {fair:g}"),
            Claim("Of all coins the fair one has the most.", abs(p[coin.argmax()].item() - 0.5) < 1e-9,
                f"at p = {p[coin.argmax()].item():g}"),
            Claim("k equal classes have log₂ k bits.", abs(even - math.log2(k)) < 1e-9, f"{even:.4f}"),
            Claim("Cross-entropy is never below entropy, and equal for a right expectation.",
                bool((gap >= -1e-12).all()) and itself < 1e-12,
                f"least gap of {n}: {gap.min().item():.1e}; to itself {itself:.0e}"),
            Claim("Cross-entropy is least where the guess is the truth.", abs(best - 0.7) < 0.006,
                f"at {best:.3f} for a truth of 0.7"),
            Claim("Surprises of independent events add up.", independent < 1e-6, f"difference {independent:.0e}"),
        ],
        numbers={"mean cost of a wrong expectation, nats": gap.mean().item()},
        pictures=[Picture(line_chart(lines,
            Frame("Bits", "Entropy and cross-entropy over p", "p", "bits", y_range=(0, 3))),
                "Entropy of a coin, and what a guess p costs if the truth is 0.7.")],
        tables=[Table(("event", "probability", "nats", "bits"),
            [[name, q, information(torch.tensor(q)).item() + 0.0,
                information(torch.tensor(q)).item() / math.log(2) + 0.0] for name, q in events])],
    )  # fmt: skip


EXPERIMENT = Experiment(
    run=run,
    parameters=Parameters(),
    notice=(
        "With one-hot labels the truth has no entropy of its own: the whole loss is the cost of a wrong expectation.",
        "A guess of 0 for what then happens costs infinitely much. Label smoothing and calibration are about that.",
        "The curve of entropy is flat at the top and steep at the ends: a coin of 0.6 is almost as uncertain as a "
        "fair one.",
    ),
    formulas=(
        Formula("I(x) = −log p(x)\nH(p) = −Σ p log p\nH(p, q) = −Σ p log q = H(p) + KL(p‖q)",
            "Shannon 1948, Bell System Technical Journal 27"),
    ),
    code=(information, entropy, cross_entropy_between),
    variations=(
        Variation("classes=1000", "ImageNet's classes: guessing costs 6.9 nats."),
        Variation("classes=2", "Coins only."),
    ),
)  # fmt: skip
