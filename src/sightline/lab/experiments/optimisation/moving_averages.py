"""A moving average starts too low, by a share that is known and can be divided out.

How many values does an average with β remember, and what does Adam's bias correction correct?
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from sightline.drawing.curves import Frame, Line, line_chart
from sightline.engine.ema import coefficients, decay_at, horizon
from sightline.lab import updates
from sightline.lab.experiment import Claim, Experiment, Formula, Picture, Result, Table, Variation


@dataclass(frozen=True)
class Parameters:
    beta: Annotated[float, Field(ge=0, lt=1)] = 0.95
    days: Annotated[int, Field(ge=10, le=2_000)] = 120
    noise: Annotated[float, Field(ge=0, le=10)] = 2.0


def averaged(values: Tensor, beta: float) -> tuple[Tensor, Tensor]:
    """V_t = βV_{t-1} + (1-β)x_t from V₀ = 0, and V_t / (1-β^t)."""
    v, raw = values.new_zeros(()), []
    for x in values:
        v = beta * v + (1 - beta) * x
        raw.append(v)
    bias = 1 - beta ** torch.arange(1, len(values) + 1, dtype=values.dtype)
    return torch.stack(raw), torch.stack(raw) / bias


def warmed(values: Tensor, beta: float) -> Tensor:
    """The product's way with averages of weights: they start at the first value, and the decay grows with the step."""
    v, kept = values[0], []
    for step, x in enumerate(values):
        decay = decay_at(step, beta)
        v = decay * v + (1 - decay) * x
        kept.append(v)
    return torch.stack(kept)


def run(parameters: Parameters, seed: int) -> Result:
    p = parameters
    t = torch.arange(p.days, dtype=torch.float64)
    true = 10 + 6 * torch.sin(2 * math.pi * t / 120 + 0.8)
    x = true + p.noise * torch.randn(p.days, dtype=torch.float64)
    raw, corrected = averaged(x, p.beta)
    sums = {n: sum(coefficients(p.beta, n)) for n in (1, 10, 50)}
    weights = torch.tensor(coefficients(p.beta, p.days), dtype=torch.float64).flip(0)
    direct = (weights @ x / weights.sum()).item()
    window = horizon(p.beta)
    age = round(window)
    c = coefficients(p.beta, age + 1)
    error = {
        name: (series[:age] - true[:age]).abs().mean().item()
        for name, series in (("raw", raw), ("corrected", corrected))
    }
    g = torch.tensor([0.3, -40.0], dtype=torch.float64)
    first = updates.adam(torch.zeros(2, dtype=torch.float64), g, {}, lr=0.1)[0]
    uncorrected = updates.adam(torch.zeros(2, dtype=torch.float64), g, {}, lr=0.1, correct_bias=False)[0]
    days = list(range(p.days))
    lines = [Line("values", days, x.tolist(), "quiet"), Line("average", days, raw.tolist(), "two"),
        Line("corrected", days, corrected.tolist(), "one"),
             Line("warmed decay", days, warmed(x, p.beta).tolist(), "three")]  # fmt: skip
    return Result(
        claims=[
            Claim("The weights of an average sum to 1 − βᵗ.",
                all(abs(s - (1 - p.beta**n)) < 1e-12 for n, s in sums.items()),
                ", ".join(f"t = {n}: {s:.4f}" for n, s in sums.items())),
            Claim("Divided by that, it is the weighted mean of all values.",
                abs(direct - corrected[-1].item()) < 1e-9, f"{direct:.4f}"),
            Claim("A value's weight falls to about 1/e in 1/(1 − β) steps.", abs(c[-1] / c[0] - math.exp(-1)) < 0.03,
                f"{window:.0f} steps: {c[-1] / c[0]:.3f}"),
            Claim("In the first window the raw average errs more than twice as much as the corrected one.",
                error["raw"] > 2 * error["corrected"], f"{error['raw']:.2f} and {error['corrected']:.2f}"),
            Claim("With the correction Adam's first step is η · sign(g).",
                bool((first + 0.1 * g.sign()).abs().max() < 1e-8), f"{first.tolist()[0]:.4f}, {first.tolist()[1]:.4f}"),
            Claim("Without it, it is (1 − β₁)/√(1 − β₂) times that: 3.16.",
                bool((uncorrected / first - 10**0.5).abs().max() < 1e-3), f"{(uncorrected / first)[0].item():.3f}"),
        ],
        numbers={"window": window, "error, raw": error["raw"], "error, corrected": error["corrected"]},
        pictures=[Picture(line_chart(lines, Frame("Noisy values", "Averages over days", "day", "value")),
            "The average starts at 0, far below its values.")],
        tables=[Table(("β", "window 1/(1 − β)", "weight at its end, over the newest"),
                      [[b, horizon(b), (k := coefficients(b, round(horizon(b)) + 1))[-1] / k[0]] for b in (0.5, 0.9,
                          0.98, 0.999)], "(1 − ε)^(1/ε) tends to 1/e = 0.3679.")],
    )  # fmt: skip


EXPERIMENT = Experiment(
    run=run,
    parameters=Parameters(),
    notice=(
        "The average before correction begins near 0: it has given the share βᵗ of its weight to values that never "
        "were.",
        "An average follows with a delay of about its window. A longer window is smoother and later.",
        "An average of weights needs no division: it starts from the weights themselves, with a decay that grows "
        "(the third curve).",
    ),
    formulas=(
        Formula("Vₜ = βVₜ₋₁ + (1 − β)xₜ = Σₖ (1 − β)βᵏ xₜ₋ₖ\nV̂ₜ = Vₜ / (1 − βᵗ)",
            "Kingma and Ba 2015, arXiv:1412.6980, section 3"),
        Formula("(1 − ε)^(1/ε) → 1/e", "so that the window is 1/(1 − β)"),
    ),
    code=(averaged, coefficients, horizon, decay_at, updates.adam),
    variations=(
        Variation("beta=0.5", "Two values: hardly an average."),
        Variation("beta=0.98", "Fifty values: smooth, and a month late."),
    ),
)  # fmt: skip
