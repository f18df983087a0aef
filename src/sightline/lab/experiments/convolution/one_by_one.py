"""A 1 × 1 convolution is a dense layer at every pixel, and makes an inception module affordable.

What does a kernel without neighbours compute, and why do networks put it in front of the large ones?
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from pydantic import Field
from torch import nn

from sightline.lab.experiment import Claim, Experiment, Formula, Result, Table, Variation
from sightline.layers.convolution.convolution import linear_as_convolution
from sightline.layers.convolution.inception import Inception, NaiveInception
from sightline.models.describe import describe


@dataclass(frozen=True)
class Parameters:
    reduction: Annotated[int, Field(ge=8, le=256)] = 64
    channels: Annotated[int, Field(ge=16, le=512)] = 256


def operations(module: nn.Module, channels: int) -> dict[str, int]:
    """Multiply-adds by branch on 28 x 28 maps, and in total."""
    table = describe(module, input=(channels, 28, 28))
    found = {"total": int(table["multiply_adds"])}
    for row in table["layers"]:
        branch = row["name"].split(".")[0]
        found[branch] = found.get(branch, 0) + int(row["multiply_adds"] or 0)
    return found


def run(parameters: Parameters, seed: int) -> Result:
    c, r = parameters.channels, parameters.reduction
    dense = nn.Linear(6, 4).double()
    x = torch.randn(2, 6, 5, 7, dtype=torch.float64)
    one = linear_as_convolution(dense, 6, 1, 1)
    by_pixel = dense(x.movedim(1, 3)).movedim(3, 1)
    difference = (one(x) - by_pixel).abs().max().item()
    shuffle = torch.randperm(35)
    moved = (
        (one(x.flatten(2)[:, :, shuffle].unflatten(2, (5, 7))) - one(x).flatten(2)[:, :, shuffle].unflatten(2, (5, 7)))
        .abs()
        .max()
    )

    naive, reduced = NaiveInception(c, 128, 192, 96), Inception(c, 128, r, 192, r, 96, r)
    work = {"naive": operations(naive, c), "reduced": operations(reduced, c)}
    maps = {"naive": 128 + 192 + 96 + c, "reduced": 128 + 192 + 96 + r}
    with torch.no_grad():
        got = {"naive": naive(torch.zeros(1, c, 4, 4)).shape[1], "reduced": reduced(torch.zeros(1, c, 4, 4)).shape[1]}
    published = (c, r) != (256, 64) or (work["naive"]["total"], work["reduced"]["total"]) == (854_196_224, 271_351_808)
    five = 28 * 28 * 96 * 25 * c, 28 * 28 * (r * c + 96 * 25 * r)
    rows = [(label, work["naive"].get(key, 0), work["reduced"].get(key, 0))
            for key, label in (("branch1", "1 × 1"), ("branch2", "3 × 3"), ("branch3", "5 × 5"), ("branch4", "pooling"),
                               ("total", "together"))]  # fmt: skip
    weights = 256 * 64 + 64 * 64 * 9 + 64 * 256, 64 * 64 * 9 * 2
    return Result(
        claims=[
            Claim("A 1 × 1 convolution equals a dense layer, pixel by pixel.", difference < 1e-10,
                  f"largest difference {difference:.0e}"),
            Claim("It knows nothing of neighbours: shuffled pixels give shuffled answers.", moved.item() < 1e-10,
                  f"largest difference {moved.item():.0e}"),
            Claim("On 28 × 28 × 256 the naive inception module takes 854,196,224 multiply-adds, the reduced one "
                  "271,351,808.", published,
                  f"{work['naive']['total']:,} and {work['reduced']['total']:,}, "
                  f"{work['naive']['total'] / work['reduced']['total']:.1f} times fewer"),
            Claim("The 5 × 5 branch counts as by hand.", (work["naive"]["branch3"], work["reduced"]["branch3"]) == five,
                  f"{five[0]:,} and {five[1]:,}"),
            Claim("The pooling branch lets the naive module only grow; a 1 × 1 behind it stops that.",
                  got == maps and got["naive"] > got["reduced"],
                  f"{c} maps in; {got['naive']} and {got['reduced']} out"),
            Claim("A bottleneck block of 256 maps has fewer weights than two 3 × 3 layers of 64.",
                  weights[0] < weights[1], f"{weights[0]:,} and {weights[1]:,}"),
        ],
        numbers={"naive, million multiply-adds": work["naive"]["total"] / 1e6,
                 "reduced, million multiply-adds": work["reduced"]["total"] / 1e6},
        tables=[Table(("branch", "naive", "reduced"), rows, f"Multiply-adds on 28 × 28 × {c}")],
    )  # fmt: skip


EXPERIMENT = Experiment(
    run=run,
    parameters=Parameters(),
    notice=(
        "Almost all of the naive module's work is in the 5 × 5 and 3 × 3 kernels over all 256 maps; reducing them to "
        "64 first pays for itself many times.",
        "With an activation behind it, a 1 × 1 layer is a small network that slides over the pixels: Network in "
        "Network.",
    ),
    formulas=(Formula("y(i, j) = W x(i, j) + b", "Lin, Chen and Yan 2013, arXiv:1312.4400"),
              Formula("H·W·K·F²·C  →  H·W·(R·C + K·F²·R)", "Szegedy et al. 2014, arXiv:1409.4842, section 4")),
    code=(linear_as_convolution, Inception, operations),
    variations=(Variation("reduction=16", "A narrower waist: cheaper still, and more is lost in it."),
                Variation("reduction=256", "No reduction: the 1 × 1 layers only cost.")),
)  # fmt: skip
