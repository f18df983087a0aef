"""Dropping pixels aliases; averaging first is a low-pass filter.

What does LeNet's trainable subsampling do to fine and coarse patterns, and what does it learn?
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from sightline.drawing.curves import Frame, Line, line_chart
from sightline.lab.descent import accuracy, descend
from sightline.lab.experiment import Claim, Experiment, Formula, Picture, Result, Variation
from sightline.lab.seeing.canvas import ink
from sightline.lab.seeing.kernels import image_kernel
from sightline.lab.seeing.pixels import grey, named_grid
from sightline.layers.convolution.convolution import correlate
from sightline.layers.convolution.pooling import TrainableSubsample, average_pool, max_pool

FREQUENCIES = [i / 40 for i in range(21)]  # cycles a pixel; 1/2 is the finest that pixels can show


@dataclass(frozen=True)
class Parameters:
    steps: Annotated[int, Field(ge=10, le=3_000)] = 300


def wave(frequency: float, phase: float = 0.3, side: int = 80, rows: int = 6) -> Tensor:
    """cos (2πfx + phase) along the rows (1, 1, rows, side), of amplitude 1."""
    x = torch.arange(side, dtype=torch.float64)
    return torch.cos(2 * math.pi * frequency * x + phase).expand(rows, side)[None, None]


def response(operation: Callable[[Tensor], Tensor]) -> list[float]:
    """What is left of a wave's amplitude, at every frequency: the root of the mean sum of squares of what becomes of its cosine
    and of its sine, which does not depend on where the pixels fall on the wave."""
    return [
        sum(operation(wave(f, phase)).square() for phase in (0.0, math.pi / 2)).mean().sqrt().item()  # type: ignore[union-attr]
        for f in FREQUENCIES[1:]
    ]


def run(parameters: Parameters, seed: int) -> Result:
    curves = {
        "every second pixel": response(lambda x: x[..., ::2, ::2]),
        "mean of 2 × 2": response(lambda x: average_pool(x, 2, stride=2)),
        "Gaussian 3 × 3, then every second": response(
            lambda x: correlate(x, image_kernel("gauss3", dtype=torch.float64)[None, None])[..., ::2, ::2]
        ),
    }
    theory = [abs(math.cos(math.pi * f)) for f in FREQUENCIES[1:]]
    error = max(abs(a - b) for a, b in zip(curves["mean of 2 × 2"], theory, strict=True))
    checker = (torch.arange(8)[:, None] + torch.arange(8)) % 2
    flat = average_pool(checker[None, None].double(), 2, stride=2)
    layer = TrainableSubsample(1)
    with torch.no_grad():
        layer.alpha.fill_(0.5)
        layer.beta.fill_(1)
        by_hand = layer(torch.arange(1.0, 17).view(1, 1, 4, 4))[0, 0]
    formula = torch.sigmoid(0.5 * torch.tensor([[3.5, 5.5], [11.5, 13.5]]) - 1)
    x = torch.zeros(1, 1, 8, 8, requires_grad=True)
    TrainableSubsample(1)(x)[0, 0, 1, 1].backward()
    assert x.grad is not None
    seen = (x.grad[0, 0] != 0).nonzero().tolist()

    train, test = ink()
    subsample = TrainableSubsample(8)
    network = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), subsample, nn.Flatten(), nn.Linear(128, 10))
    descend(network, train, steps=parameters.steps, lr=0.2, seed=seed)
    right = accuracy(network, test)
    moved = (subsample.alpha - 1).abs().max().item()
    n = wave(0.45, side=80, rows=80)
    shown = [("0.45 cycles a pixel", grey(n[0, 0, :24, :24], -1, 1)),
             ("every second pixel", grey(n[0, 0, :48:2, :48:2], -1, 1)),
             ("mean of 2 × 2", grey(average_pool(n, 2, stride=2)[0, 0, :24, :24], -1, 1)),
             ("maximum of 2 × 2", grey(max_pool(n, 2, stride=2)[0, 0, :24, :24], -1, 1))]  # fmt: skip
    tones = ("two", "one", "three")
    lines = [
        Line(name.split(",")[0], FREQUENCIES[1:], c, tone)
        for (name, c), tone in zip(curves.items(), tones, strict=True)
    ]
    frame = Frame("What is left of a wave", "Amplitude behind each way of halving, over the wave's frequency",
                  "cycles a pixel", "amplitude",
                  y_range=(0, 1.1), names="lower left")  # fmt: skip
    return Result(
        claims=[
            Claim("The mean of 2 × 2 lets coarse waves pass and weakens fine ones, by exactly cos πf.", error < 1e-9,
                  f"largest difference {error:.0e}"),
            Claim("Its response falls with every step of frequency.",
                  all(a > b for a, b in zip(curves["mean of 2 × 2"], curves["mean of 2 × 2"][1:], strict=False)),
                  f"{curves['mean of 2 × 2'][1]:.2f} at 0.05, {curves['mean of 2 × 2'][-2]:.2f} at 0.475"),
            Claim("Every second pixel weakens nothing: waves above 1/4 appear as coarse ones that are not there.",
                  min(curves["every second pixel"]) > 0.999,
                  f"{curves['every second pixel'][-3]:.2f} of the amplitude at {FREQUENCIES[-3]}"),
            Claim("A checkerboard becomes flat grey.", torch.equal(flat, torch.full_like(flat, 0.5)),
                  f"{flat.min():g} to {flat.max():g}"),
            Claim("LeNet's layer is σ(α · mean − β), by hand: .679 .852; .991 .997.", torch.allclose(by_hand, formula),
                  "; ".join(" ".join(f"{v:.3f}" for v in row) for row in by_hand.tolist())),
            Claim("Each of its outputs sees 2 × 2 pixels.", seen == [[2, 2], [2, 3], [3, 2], [3, 3]],
                  f"{len(seen)} pixels"),
            Claim("Its two numbers a map learn along with the rest: digits are read (≥ 85 %), α moves.",
                  right >= 0.85 and moved > 0.1,
                  f"accuracy {right:.3f}, α from {subsample.alpha.min():.2f} to {subsample.alpha.max():.2f}"),
        ],
        numbers={"accuracy with trainable subsampling": right, "largest change of α": moved},
        pictures=[Picture(line_chart(lines, frame), "How much of a wave three ways of halving keep."),
                  Picture(named_grid(shown, 4, 144),
                          "A fine wave, halved: dropping pixels and maxima alias, the mean does not.", wide=True)],
    )  # fmt: skip


EXPERIMENT = Experiment(
    run=run,
    parameters=Parameters(),
    notice=("A small α makes the layer a blur, a large one a switch: σ is nearly linear in between and saturates "
            "outside.",
            "Max pooling aliases too: that is one reason why networks notice a shift of one pixel."),
    formulas=(Formula("y = σ(α · mean₂ₓ₂(x) − β)",
                      "LeCun, Bottou, Bengio and Haffner 1998, section II.B, with the mean for the sum"),
              Formula("|H(f)| = |cos πf| for (x₀ + x₁)/2",
                      "Zhang 2019, Making Convolutional Networks Shift-Invariant Again, arXiv:1904.11486")),
    code=(TrainableSubsample, average_pool, response),
    variations=(Variation("steps=1000", "α moves further."),),
)  # fmt: skip
