"""Space and channels one after the other: a convolution for a ninth of the work.

What does a depthwise separable convolution save, and what can it not express?
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from pydantic import Field
from torch import nn
from torch.nn import functional as F

from sightline.lab.experiment import Claim, Experiment, Formula, Result, Table, Variation
from sightline.layers.convolution.separable import depthwise, product_kernel
from sightline.models.describe import describe

WIDTHS = (32, 64, 128, 256, 512)


@dataclass(frozen=True)
class Parameters:
    kernel: Annotated[int, Field(ge=1, le=7)] = 3
    steps: Annotated[int, Field(ge=10, le=2_000)] = 300


def pair(maps: int, kernel: int) -> nn.Sequential:
    """One filter a map, then a 1 x 1 convolution; nothing between them."""
    return nn.Sequential(depthwise(maps, kernel), nn.Conv2d(maps, maps, 1, bias=False))


def best_fit(target: torch.Tensor, steps: int) -> float:
    """Relative squared error of the product kernel (depthwise x pointwise) that gradient descent finds for `target`."""
    n, m, p, q = target.shape
    space, across = (torch.randn(m, 1, p, q) * 0.3).requires_grad_(), (torch.randn(n, m, 1, 1) * 0.3).requires_grad_()
    optimizer = torch.optim.Adam([space, across], lr=0.05)
    for _ in range(steps):
        error = (product_kernel(space, across) - target).square().sum() / target.square().sum()
        optimizer.zero_grad()
        error.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return error.item()


def run(parameters: Parameters, seed: int) -> Result:
    k, rows = parameters.kernel - 1 + parameters.kernel % 2, []  # an odd kernel keeps the size
    for maps in WIDTHS:
        standard = describe(nn.Conv2d(maps, maps, k, padding=k // 2, bias=False), input=(maps, 14, 14))["multiply_adds"]
        separable = describe(pair(maps, k), input=(maps, 14, 14))["multiply_adds"]
        rows.append((maps, standard, separable, separable / standard, 1 / maps + 1 / k**2))
    two = pair(8, k).double()
    x = torch.randn(2, 8, 9, 9, dtype=torch.float64)
    kernel = product_kernel(two[0].weight, two[1].weight)  # type: ignore[arg-type]
    difference = (two(x) - F.conv2d(x, kernel, padding=k // 2)).abs().max().item()
    ranks = {int(torch.linalg.matrix_rank(kernel[:, m].flatten(1))) for m in range(8)}
    space, across = torch.randn(6, 1, k, k), torch.randn(6, 6, 1, 1)
    possible = best_fit(product_kernel(space, across), parameters.steps)
    any_kernel = torch.randn(6, 6, k, k)
    impossible = best_fit(any_kernel, parameters.steps)
    bound = (
        sum(torch.linalg.svdvals(any_kernel[:, m].flatten(1))[1:].square().sum().item() for m in range(6))
        / any_kernel.square().sum().item()
    )
    return Result(
        claims=[
            Claim("Counted multiply-adds obey 1/N + 1/D² exactly.", all(abs(r[3] - r[4]) < 1e-12 for r in rows),
                  f"{rows[-1][3]:.4f} at {WIDTHS[-1]} maps, {k} × {k}"),
            Claim("Both steps equal one standard convolution whose kernel is their product.", difference < 1e-10,
                  f"largest difference {difference:.0e}"),
            Claim("All filters read a map through the same pattern: the kernel's slice of each map has rank one.",
                  ranks == {1}, f"ranks {ranks}"),
            Claim("Gradient descent recovers a kernel that is such a product (error below 1 %).", possible < 0.01,
                  f"error {possible:.1e}"),
            Claim("It cannot reach an arbitrary kernel: the error ends at the bound of the singular values.",
                  k == 1 or bound <= impossible * 1.0001 <= 1.1 * bound, f"error {impossible:.2f}, bound {bound:.2f}"),
        ],
        numbers={"ratio at 512 maps": rows[-1][3], "error on an arbitrary kernel": impossible},
        tables=[Table(("maps", "standard", "separable", "ratio", "1/N + 1/D²"), [(str(r[0]), *r[1:]) for r in rows],
                      "Multiply-adds on 14 × 14")],
    )  # fmt: skip


EXPERIMENT = Experiment(
    run=run,
    parameters=Parameters(),
    notice=(
        "With many maps the ratio tends to 1/D²: almost all of the work left is in the 1 × 1 convolution.",
        "What is lost is real: an arbitrary kernel is out of reach. Networks make up for it with more maps and an "
        "activation between the steps.",
    ),
    formulas=(Formula("(D²·M + M·N) / (D²·M·N) = 1/N + 1/D²",
                      "Howard et al. 2017, MobileNets, arXiv:1704.04861, section 3.1"),
              Formula("K(n, m, ·, ·) = P(n, m) · S(m, ·, ·)", "Sifre 2014, Rigid-motion scattering, section 6.2")),
    code=(depthwise, product_kernel, best_fit),
    variations=(Variation("kernel=5", "A larger kernel gains more: 1/25 and a little."),
                Variation("kernel=1", "Nothing to gain.")),
)  # fmt: skip
