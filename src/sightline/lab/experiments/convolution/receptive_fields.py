"""The receptive field of a unit can be computed, and its gradient measures it.

Which pixels can a unit deep in a network see, and how much does each of them count?
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from sightline.drawing.curves import Frame, Line, line_chart
from sightline.lab.experiment import Claim, Experiment, Formula, Picture, Result, Table, Variation
from sightline.lab.seeing.pixels import named_grid, signed
from sightline.layers.arithmetic import Window, receptive_field
from sightline.layers.receptive import ReceptiveFields

# kernel, stride, padding
STACKS = {
    "3 × (3 × 3)": ((3, 1, 1),) * 3,
    "one 7 × 7": ((7, 1, 3),),
    "two blocks of VGG": ((3, 1, 1), (3, 1, 1), (2, 2, 0)) * 2,
    "a ResNet's stem": ((7, 2, 3), (3, 2, 1), (3, 1, 1), (3, 1, 1)),
}


@dataclass(frozen=True)
class Parameters:
    layers: Annotated[int, Field(ge=1, le=16)] = 8


def measured(network: nn.Module, side: int) -> Tensor:
    """|∂ output in the middle / ∂ pixel| (side, side), summed over the output's channels."""
    x = torch.randn(1, 1, side, side, dtype=torch.float64, requires_grad=True)
    y = network(x)
    y[0, :, y.shape[2] // 2, y.shape[3] // 2].sum().backward()
    assert x.grad is not None
    return x.grad[0, 0].abs()


def extent(gradient: Tensor) -> int:
    """The side of the square that holds all pixels with a gradient."""
    rows = (gradient.amax(1) > 0).nonzero().flatten()
    return int(rows[-1] - rows[0] + 1)


def stack(windows: tuple[tuple[int, int, int], ...], channels: int = 4) -> nn.Sequential:
    """Convolutions of positive weights (so that nothing cancels), an average where the kernel is 2."""
    layers: list[nn.Module] = []
    depth = 1
    for kernel, stride, padding in windows:
        if kernel == 2:
            layers.append(nn.AvgPool2d(2))
            continue
        layer = nn.Conv2d(depth, channels, kernel, stride, padding, bias=False)
        nn.init.uniform_(layer.weight, 0.5, 1.5)
        layers.append(layer)
        depth = channels
    return nn.Sequential(*layers).double()


def run(parameters: Parameters, seed: int) -> Result:
    side, rows = 65, []
    for name, windows in STACKS.items():
        network = stack(windows)
        x = torch.randn(1, 1, side, side, dtype=torch.float64)
        with ReceptiveFields(x) as traced:
            view = traced.of(network(x))
        formula = receptive_field(Window(k, s, p) for k, s, p in windows).size
        rows.append((name, formula, view.height.size if view else 0, extent(measured(network, side))))
    deep = measured(stack(((3, 1, 1),) * parameters.layers), side)
    field = 1 + 2 * parameters.layers
    profile = (deep.sum(0) / deep.sum()).tolist()
    offsets = list(range(-(side // 2), side // 2 + 1))
    theory = 2 * (2 * parameters.layers / 3) ** 0.5  # ± standard deviation of a sum of uniform draws from {-1, 0, 1}
    deviation = (sum(p * o * o for p, o in zip(profile, offsets, strict=True))) ** 0.5
    within = sum(p for p, o in zip(profile, offsets, strict=True) if abs(o) <= theory / 2)
    pixels_in = (theory + 1) / field
    mean3, mean7 = 3 * 9, 49
    line = Line("share of the gradient", offsets, profile)
    frame = Frame("How much each column counts",
                  f"Gradient of the middle unit behind {parameters.layers} layers of 3 × 3",
                  "pixels from the middle", "share", x_range=(-field, field))  # fmt: skip
    middle = slice(side // 2 - field // 2 - 2, side // 2 + field // 2 + 3)
    return Result(
        claims=[
            Claim("Formula, trace through the network and gradient agree for every stack.",
                  all(a == b == c for _, a, b, c in rows),
                  "; ".join(f"{name}: {a}, {b}, {c}" for name, a, b, c in rows)),
            Claim("Three 3 × 3 layers see as much as one 7 × 7, with 27 weights instead of 49 a pair of channels.",
                  rows[0][1] == rows[1][1] == 7 and mean3 < mean7,
                  f"{mean3} / {mean7} = {mean3 / mean7:.0%} of the weights"),
            Claim(f"{parameters.layers} layers of 3 × 3 reach 1 + 2L pixels.", extent(deep) == min(field, side),
                  f"{extent(deep)} pixels"),
            Claim("The pixels do not count equally: the gradient is bell-shaped, its deviation grows with √L (within "
                  "10 %).",
                  abs(deviation - theory / 2) <= 0.1 * theory / 2,
                  f"deviation {deviation:.2f}, √(2L/3) = {theory / 2:.2f}"),
            Claim("More than half of the gradient falls on fewer than half of the columns.",
                  parameters.layers < 4 or (within > 0.5 and pixels_in < 0.5),
                  f"{within:.0%} of it on {pixels_in:.0%} of them"),
        ],
        numbers={"field of the deep stack": float(extent(deep)), "deviation of its gradient": deviation},
        pictures=[Picture(line_chart([line], frame), f"Columns of the field of {field} pixels."),
                  Picture(named_grid([("|gradient|", signed(deep[middle, middle]))], 1, 200),
                          "The field of the deep stack, seen from above.")],
        tables=[Table(("stack", "formula", "trace", "gradient"), rows, "Side of the receptive field in pixels")],
    )  # fmt: skip


EXPERIMENT = Experiment(
    run=run,
    parameters=Parameters(),
    notice=(
        "A stride multiplies what every later layer adds: striding early is the cheap way to see far.",
        "The effective field is smaller than the computed one: the middle is reached along many more paths than the "
        "border.",
    ),
    formulas=(Formula("r = 1 + Σ_l (F_l − 1) · Π_(i<l) S_i      equal layers: r = 1 + L (F − 1)",
                      "Araujo, Norris and Sim 2019, Distill"),
              Formula("effective width ~ √L", "Luo, Li, Urtasun and Zemel 2016, arXiv:1701.04128")),
    code=(receptive_field, ReceptiveFields, measured),
    variations=(Variation("layers=2", "Few layers: the bell is a triangle."),
                Variation("layers=16", "The bell narrows relative to the field.")),
)  # fmt: skip
