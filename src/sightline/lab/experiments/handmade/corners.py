"""Corners: two eigenvalues tell flat, edge and corner apart.

What does the covariance of the gradients in a small patch say of it, and does it matter how the patch is turned?
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor

from sightline.classical.corners import eigenvalues, gradient_covariance, response
from sightline.lab.experiment import Claim, Experiment, Formula, Picture, Result, Table, Variation
from sightline.lab.seeing.pixels import grey, named_grid


@dataclass(frozen=True)
class Parameters:
    noise: Annotated[float, Field(ge=0, le=0.2)] = 0.01
    side: Annotated[int, Field(ge=7, le=41)] = 15


def patch(kind: str, side: int, angle: float = 0.0) -> Float[Tensor, "h w"]:
    """A smooth patch of one kind, turned by `angle` radians around its middle."""
    at = torch.arange(side, dtype=torch.float64) - (side - 1) / 2
    y, x = torch.meshgrid(at, at, indexing="ij")
    turn = torch.tensor(angle, dtype=torch.float64)
    u, v = x * turn.cos() + y * turn.sin(), y * turn.cos() - x * turn.sin()
    if kind == "flat":
        return torch.full_like(x, 0.5)
    return (2 * u).sigmoid() if kind == "edge" else (2 * u).sigmoid() * (2 * v).sigmoid()


def run(parameters: Parameters, seed: int) -> Result:
    p = parameters
    kinds = ("flat", "edge", "corner")
    patches = {kind: patch(kind, p.side) + p.noise * torch.randn(p.side, p.side, dtype=torch.float64) for kind in kinds}
    pairs = {kind: eigenvalues(patches[kind]) for kind in kinds}
    floor = max(4 * p.noise**2, 1e-9)  # what noise alone gives, about p.noise ** 2 / 2
    ranks = {kind: int((pairs[kind] > floor).sum()) for kind in kinds}
    scores = {kind: response(patches[kind]) for kind in kinds}
    angles = [number * 0.2 for number in range(8)]
    turned = [patch("corner", p.side, angle) for angle in angles]
    smallest = min(float(eigenvalues(one)[0]) for one in turned)
    quarter = float((eigenvalues(torch.rot90(patches["corner"])) - pairs["corner"]).abs().max())
    return Result(
        claims=[
            Claim("As many eigenvalues are above the noise as the patch has directions: 0, 1, 2.",
                  [ranks[kind] for kind in kinds] == [0, 1, 2], ", ".join(f"{k} {ranks[k]}" for k in kinds)),
            Claim("Harris's response is positive at the corner only.",
                  scores["corner"] > 0 > scores["edge"] and scores["corner"] > 10 * abs(scores["flat"]),
                  f"corner {scores['corner']:.1e}, edge {scores['edge']:.1e}, flat {scores['flat']:.1e}"),
            Claim("A quarter turn changes nothing, and a corner stays one however it is turned.",
                  quarter < 1e-9 and smallest > floor and min(map(response, turned)) > 0,
                  f"{quarter:.0e} by 90°; smaller eigenvalue at least {smallest:.1e}"),
        ],
        numbers={f"{kind}: larger eigenvalue": float(pairs[kind][1]) for kind in kinds}
        | {f"{kind}: smaller eigenvalue": float(pairs[kind][0]) for kind in kinds},
        pictures=[Picture(named_grid([(kind, grey(patches[kind], 0, 1)) for kind in kinds], 3, 160),
                          "Flat, edge, corner.", wide=True)],
        tables=[Table(("patch", "larger", "smaller", "response"),
                      [(k, float(pairs[k][1]), float(pairs[k][0]), scores[k]) for k in kinds], f"Noise {p.noise:g}")],
    )  # fmt: skip


EXPERIMENT = Experiment(
    run=run,
    parameters=Parameters(),
    notice=("Along an edge nothing changes, so one eigenvalue is 0: an edge can be followed, but not located along itself.",
            "Eigenvalues belong to the patch, not to the axes, so turning the image does not matter."),
    formulas=(Formula("M = mean of ∇I ∇Iᵀ,  R = det M − k (trace M)²", "Harris and Stephens 1988"),),
    code=(gradient_covariance, eigenvalues, response),
    variations=(Variation("noise=0.1", "Noise has gradients in all directions: flat comes to look like a weak corner."),),
)  # fmt: skip
