"""A schedule begins with large steps and ends with small ones.

Which shapes are used, and what does a falling rate gain at the end of a training?
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Annotated

import torch
from pydantic import Field

from sightline.drawing.curves import Frame, Line, line_chart
from sightline.engine import schedules
from sightline.lab.experiment import Claim, Experiment, Formula, Picture, Result, Table, Variation


@dataclass(frozen=True)
class Parameters:
    steps: Annotated[int, Field(ge=20, le=5_000)] = 400
    warmup: Annotated[int, Field(ge=0, le=1_000)] = 40
    rate: Annotated[float, Field(gt=0, le=1)] = 0.5


def shapes(p: Parameters) -> dict[str, schedules.Schedule]:
    """Every schedule by name over so many steps."""
    n = p.steps
    return {
        "constant": schedules.constant,
        "step": partial(schedules.step_decay, every=max(n // 4, 1), factor=0.5),
        "exponential": partial(schedules.exponential, rate=4 / n),
        "1/t": partial(schedules.inverse_time, rate=8 / n),
        "cosine": partial(schedules.cosine, steps=n),
        "one cycle": partial(schedules.one_cycle, steps=n),
        "warm-up": schedules.warmed(partial(schedules.cosine, steps=n), warmup=p.warmup),
    }


def noisy_descent(schedule: schedules.Schedule, p: Parameters, seed: int) -> list[float]:
    """½x² from 5 with gradients of unit noise; the mean of x² over 200 runs after each step."""
    draw = torch.Generator().manual_seed(seed)
    x = torch.full((200,), 5.0, dtype=torch.float64)
    squares = []
    for step in range(p.steps):
        g = x + torch.randn(200, dtype=torch.float64, generator=draw)
        x = x - p.rate * schedule(step) * g
        squares.append(x.square().mean().item())
    return squares


def torchs(make: Callable[[torch.optim.Optimizer], torch.optim.lr_scheduler.LRScheduler], steps: int) -> list[float]:
    """The factors that a scheduler of torch gives."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    scheduler, factors = make(optimizer), []
    for _ in range(steps):
        factors.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return factors


def run(parameters: Parameters, seed: int) -> Result:
    p = parameters
    named = shapes(p)
    factors = {name: [schedule(step) for step in range(p.steps)] for name, schedule in named.items()}
    every = max(p.steps // 4, 1)
    lr = torch.optim.lr_scheduler
    same = {
        "step": torchs(lambda o: lr.StepLR(o, every, 0.5), p.steps),
        "exponential": torchs(lambda o: lr.ExponentialLR(o, 2.718281828459045 ** (-4 / p.steps)), p.steps),
        "cosine": torchs(lambda o: lr.CosineAnnealingLR(o, p.steps), p.steps),
    }
    apart = {name: max(abs(a - b) for a, b in zip(factors[name], values, strict=True)) for name, values in same.items()}
    losses = [1.0, 0.9, 0.9, 0.9, 0.9, 0.9, 0.5]
    plateau = [schedules.plateau(losses[: i + 1]) for i in range(len(losses))]
    ends = {name: noisy_descent(schedule, p, seed) for name, schedule in named.items()}
    tail = {name: sum(v[-20:]) / 20 for name, v in ends.items()}
    cosine = factors["cosine"]
    steps, tones = list(range(p.steps)), ("quiet", "two", "three", "four", "one", "five", "six")
    drawn = [Line(n, steps, f, t) for (n, f), t in zip(factors.items(), tones, strict=True)]
    effect = [Line(n, steps, ends[n], t) for n, t in (("constant", "quiet"), ("step", "two"), ("cosine", "one"))]
    floor = p.rate / (2 - p.rate)
    return Result(
        claims=[
            Claim("Step, exponential and cosine are torch's schedulers.", max(apart.values()) < 1e-9,
                ", ".join(f"{n} {v:.0e}" for n, v in apart.items())),
            Claim("The step schedule halves the rate after every quarter.",
                factors["step"][every] == 0.5 and factors["step"][every - 1] == 1,
                f"step {every - 1}: {factors['step'][every - 1]:g}, step {every}: {factors['step'][every]:g}"),
            Claim("The cosine never rises, and ends near 0.",
                all(b <= a for a, b in pairwise(cosine)) and cosine[-1] < 0.01, f"last factor {cosine[-1]:.1e}"),
            Claim("One cycle rises for three tenths of the steps and falls after.",
                abs(factors["one cycle"].index(max(factors["one cycle"])) / p.steps - 0.3) < 0.02,
                f"its peak is step {factors['one cycle'].index(max(factors['one cycle']))}"),
            Claim("A plateau of three values divides the rate by ten.", plateau == [1, 1, 1, 1, 0.1, 0.1, 0.1],
                ", ".join(f"{v:g}" for v in plateau)),
            Claim("On noisy gradients a constant rate keeps the error η/(2 − η); a cosine ends at a tenth of that "
                "or less.",
                abs(tail["constant"] / floor - 1) < 0.15 and tail["cosine"] < 0.1 * floor,
                f"{tail['constant']:.3f} (predicted {floor:.3f}) and {tail['cosine']:.4f}"),
        ],
        numbers={f"mean square at the end, {name}": value for name, value in tail.items()},
        pictures=[Picture(line_chart(drawn, Frame("Schedules", "Factors over steps", "step", "factor of the rate")),
            "The factor of the initial rate."),
                  Picture(line_chart(effect,
                      Frame("Noisy descent", "Mean squares over steps", "step", "mean of x²", log_y=True)),
                          "½x² with noisy gradients: the floor is that of the rate.")],
        tables=[Table(("validation loss", "factor"), list(zip(losses, plateau, strict=True)), "Plateau, patience 2.")],
    )  # fmt: skip


EXPERIMENT = Experiment(
    run=run,
    parameters=Parameters(),
    notice=(
        "A rate that stays large arrives fast and then trembles around the bottom; a small one trembles less and "
        "arrives late. A schedule has both.",
        "Every schedule is a function of the step, so that a training that was interrupted goes on exactly; the "
        "plateau's is one of the losses so far.",
        "A warm-up keeps the first steps small while averages and normalisations have seen little.",
    ),
    formulas=(
        Formula("step: γ^⌊t/k⌋    exponential: e^(−kt)    1/(1 + kt)",
            "the classical forms; Robbins and Monro 1951 for 1/t"),
        Formula("cosine: ½(1 + cos πt/T)", "Loshchilov and Hutter 2016, arXiv:1608.03983"),
        Formula("one cycle: up, then down to almost 0", "Smith and Topin 2017, arXiv:1708.07120"),
    ),
    code=(schedules.step_decay, schedules.exponential, schedules.inverse_time, schedules.cosine, schedules.one_cycle,
        schedules.plateau),
    variations=(
        Variation("rate=0.05", "With a small rate the floor is low from the beginning, and the way there is long."),
        Variation("warmup=200", "A warm-up over half of the training."),
    ),
)  # fmt: skip
