"""Normalised cuts: figure and ground from similarity alone.

Cut the graph of all pixels in two where little holds it together. Does the second eigenvector find the figure?
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from jaxtyping import Bool, Float
from pydantic import Field

from sightline.classical.cuts import affinities, cut_cost, normalised_cut, second_vector
from sightline.lab.experiment import Claim, Experiment, Formula, Picture, Result, Variation
from sightline.lab.seeing.pixels import grey, named_grid, signed


@dataclass(frozen=True)
class Parameters:
    noise: Annotated[float, Field(ge=0, le=0.5)] = 0.08
    sigma: Annotated[float, Field(ge=0.02, le=1)] = 0.15
    side: Annotated[int, Field(ge=10, le=24)] = 18


def figure(side: int) -> Bool[np.ndarray, "h w"]:
    """A disc, off the middle."""
    y, x = np.mgrid[:side, :side]
    return np.hypot(y - 0.45 * side, x - 0.55 * side) < 0.3 * side


def agreement(part: Bool[np.ndarray, "h w"], truth: Bool[np.ndarray, "h w"]) -> float:
    """The share of pixels on the right side, whichever side is which."""
    same = float((part == truth).mean())
    return max(same, 1 - same)


def run(parameters: Parameters, seed: int) -> Result:
    p = parameters
    truth = figure(p.side)
    image: Float[np.ndarray, "h w"] = 0.3 + 0.4 * truth + np.random.default_rng(seed).normal(0, p.noise, truth.shape)
    weight = affinities(image, sigma=p.sigma)
    vector = second_vector(weight)
    total = weight.sum(1)
    left = total * vector - weight @ vector
    value = float(vector @ left)  # the vector has length 1 by D
    residual = float(np.abs(left - value * total * vector).max())
    part = normalised_cut(image, sigma=p.sigma)
    corner = np.zeros(truth.shape, bool)
    corner[:2, :2] = True
    costs = {name: cut_cost(weight, mask.ravel())
             for name, mask in (("found", part), ("figure", truth), ("a corner", corner),
                                ("halves", np.arange(truth.size).reshape(truth.shape) < truth.size // 2))}  # fmt: skip
    right = agreement(part, truth)
    return Result(
        claims=[
            Claim("The vector solves (D − W) y = λ D y and is orthogonal to the constant one.",
                  residual < 1e-8 and abs(float(total @ vector)) < 1e-6, f"residual {residual:.0e}, λ = {value:.4f}"),
            Claim("Its best threshold separates figure and ground.", right > 0.95, f"{right:.1%} of the pixels"),
            Claim("No cut looked at costs less: cutting off a corner is cheap in edges, not in the normalised cost.",
                  costs["found"] <= min(costs.values()) + 1e-12, ", ".join(f"{n} {c:.3f}" for n, c in costs.items())),
        ],
        numbers={"pixels on the right side": right, "cost": costs["found"], "lambda": value},
        pictures=[Picture(named_grid([("image", grey(image, 0, 1)), ("second eigenvector", signed(vector.reshape(image.shape))),
                                      ("cut", grey(part.astype(float), 0, 1))], 3, 180),
                          "Nobody told it what a disc is.", wide=True)],
    )  # fmt: skip


EXPERIMENT = Experiment(
    run=run,
    parameters=Parameters(),
    notice=("The eigenvector is almost constant on each part: thresholding it is easy.",
            "Affinities hold all there is to know; with σ too large everything holds together, too small nothing does."),
    formulas=(Formula("Ncut = cut(A, B) / assoc(A, V) + cut(A, B) / assoc(B, V);  (D − W) y = λ D y",
                      "Shi and Malik 2000, TPAMI 22(8)"),),
    code=(affinities, second_vector, normalised_cut),
    variations=(Variation("noise=0.25", "The parts begin to fray."), Variation("sigma=1", "Levels hardly count any more.")),
)  # fmt: skip
