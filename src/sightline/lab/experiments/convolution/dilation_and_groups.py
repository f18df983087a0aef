"""Dilation widens a window without weights, groups narrow its depth.

What do both options change in a convolution, a pooling and a transposed convolution, and what do they cost?
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import torch
from pydantic import Field
from torch.nn import functional as F

from sightline.lab.experiment import Claim, Experiment, Formula, Picture, Result, Table, Variation
from sightline.lab.seeing.pixels import named_grid, signed
from sightline.layers.arithmetic import Window, convolution_parameters, receptive_field
from sightline.layers.convolution.convolution import correlate
from sightline.layers.convolution.pooling import max_pool
from sightline.layers.convolution.upsampling import spread


@dataclass(frozen=True)
class Parameters:
    dilation: Annotated[int, Field(ge=1, le=4)] = 2
    groups: Annotated[int, Field(ge=1, le=12)] = 3
    layers: Annotated[int, Field(ge=1, le=6)] = 4


def seen(dilations: list[int]) -> torch.Tensor:
    """The pixels (h, w) that one output of 3 x 3 layers with these dilations depends on: the gradient, with all "
    "weights 1."""
    reach = sum(dilations)
    x = torch.zeros(1, 1, 2 * reach + 1, 2 * reach + 1, dtype=torch.float64, requires_grad=True)
    y = x
    for dilation in dilations:
        y = F.conv2d(y, torch.ones(1, 1, 3, 3, dtype=torch.float64), dilation=dilation)
    y.sum().backward()  # one output is left
    assert x.grad is not None
    return x.grad[0, 0]


def run(parameters: Parameters, seed: int) -> Result:
    p = parameters
    channels = 4 * p.groups
    x = torch.randn(2, channels, 13, 11, dtype=torch.float64)
    kernel = torch.randn(2 * p.groups, 4, 3, 3, dtype=torch.float64)
    transposed = torch.randn(channels, 2, 3, 3, dtype=torch.float64)
    options: dict[str, Any] = {"dilation": p.dilation, "groups": p.groups}
    pairs = {
        "convolution": (correlate(x, kernel, **options), F.conv2d(x, kernel, **options)),
        "max pooling": (max_pool(x, 3, stride=2, dilation=p.dilation), F.max_pool2d(x, 3, 2, dilation=p.dilation)),
        "transposed convolution": (
            spread(x, transposed, stride=2, padding=1, **options),
            F.conv_transpose2d(x, transposed, stride=2, padding=1, **options),
        ),
    }
    differences = {name: (ours - torchs).abs().max().item() for name, (ours, torchs) in pairs.items()}
    doubling = [2**i for i in range(p.layers)]
    plain, atrous = seen([1] * p.layers), seen(doubling)
    fields = [receptive_field(Window(3, dilation=d) for d in ds).size for ds in ([1] * p.layers, doubling)]
    gaps = seen([2] * p.layers)
    moved = x.clone()
    moved[:, :4] += 1  # the first group alone
    changed = (F.conv2d(moved, kernel, **options) - pairs["convolution"][1]).abs().amax((0, 2, 3)) > 0
    parameters_of = {g: convolution_parameters(channels, 2 * p.groups, 3, groups=g, bias=False) for g in (1, p.groups)}
    pictures = [(f"dilation 1: {len(plain)} pixels", signed(plain.sign())),
                (f"dilation 2: {len(gaps)} pixels", signed(gaps.sign())),
                (f"dilations {', '.join(map(str, doubling))}: {len(atrous)} pixels",
                 signed(atrous.sign()))]  # fmt: skip
    return Result(
        claims=[
            *(Claim(f"Loops agree with torch: {name}.", difference < 1e-10, f"largest difference {difference:.0e}")
              for name, difference in differences.items()),
            Claim("Doubling dilations make the field grow exponentially, 2^(L+1) - 1, with the same number of weights.",
                  fields[1] == 2 ** (p.layers + 1) - 1 == len(atrous) and bool((atrous > 0).all()),
                  f"{fields[1]} pixels instead of {fields[0]}, none left out"),
            Claim("Dilation 2 in every layer leaves holes: of its field it reads every other row and column only.",
                  (gaps > 0).sum().item() == len(range(0, len(gaps), 2)) ** 2,
                  f"{(gaps > 0).double().mean():.0%} of the field is read"),
            Claim("Groups divide the weights by their number, and no group reads another's channels.",
                  parameters_of[p.groups] * p.groups == parameters_of[1]
                  and changed.tolist() == [i < 2 for i in range(2 * p.groups)],
                  f"{parameters_of[1]:,} → {parameters_of[p.groups]:,} weights"),
        ],
        numbers={"field, dilation 1": fields[0], "field, doubling dilations": fields[1]},
        pictures=[Picture(named_grid(pictures, 3, 180), f"The pixels that one output of {p.layers} layers reads.",
                          wide=True)],
        tables=[Table(("operation", "largest difference to torch"), list(differences.items()))],
    )  # fmt: skip


EXPERIMENT = Experiment(
    run=run,
    parameters=Parameters(),
    notice=(
        "The same dilation in every layer reads a grid and never what is between: neighbouring outputs see different "
        "images.",
        "One group for each channel is a depthwise convolution.",
    ),
    formulas=(
        Formula("reach = d (F − 1) + 1", "Dumoulin and Visin 2016, arXiv:1603.07285, section 5.1"),
        Formula("field of L layers with d = 1, 2, 4, …: 2^(L+1) − 1", "Yu and Koltun 2015, arXiv:1511.07122"),
    ),
    code=(spread, max_pool, seen),
    variations=(Variation("layers=6", "Six layers see 127 pixels."),
                Variation("dilation=3 groups=1", "A wider window, all channels.")),
)  # fmt: skip
