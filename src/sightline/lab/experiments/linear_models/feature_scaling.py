"""Features of one scale make the valley round, and descent short.

How does the scale of the inputs shape the loss, and how many steps does gradient descent need on each shape?
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import Annotated

import numpy as np
import torch
from markupsafe import Markup
from pydantic import Field
from torch import Tensor

from sightline.drawing.plane import Path, Surface, Window, plane_chart
from sightline.lab.experiment import Claim, Experiment, Formula, Picture, Result, Table, Variation
from sightline.lab.updates import sgd
from sightline.losses.regression import squared_error


@dataclass(frozen=True)
class Parameters:
    scale: Annotated[float, Field(gt=1, le=1_000)] = 10.0
    samples: Annotated[int, Field(ge=10, le=10_000)] = 200
    offset: Annotated[float, Field(ge=-100, le=100)] = 0.0


def curvature(x: Tensor) -> Tensor:
    """(2, 2) second derivatives of the mean squared error of x w, whatever the targets: 2 xᵀx / n."""
    return 2 * x.T @ x / len(x)


def descent(x: Tensor, y: Tensor, tolerance: float = 1e-3, most: int = 100_000) -> tuple[Tensor, int, float]:
    """Gradient descent from w = 0 with the best rate for its curvatures, 2/(λ₁ + λ₂): its path, how many steps bring the
    distance to the minimum below `tolerance` of the start's, and the condition number λ₁/λ₂."""
    least, largest = torch.linalg.eigvalsh(curvature(x)).tolist()
    minimum = torch.linalg.lstsq(x, y[:, None]).solution[:, 0]
    rule = partial(sgd, lr=2 / (least + largest))
    w = torch.zeros(2, dtype=x.dtype)
    path, start = [w], minimum.norm()
    while (w - minimum).norm() > tolerance * start and len(path) <= most:
        w, _ = rule(w, 2 * x.T @ (x @ w - y) / len(x), {})
        path.append(w)
    return torch.stack(path), len(path) - 1, largest / least


def picture(x: Tensor, y: Tensor, path: Tensor, title: str) -> Markup:
    """Level lines of the loss around the minimum, and the way to it."""
    minimum = torch.linalg.lstsq(x, y[:, None]).solution[:, 0]
    reach = 1.4 * (path - minimum).abs().max().item()
    a, b = minimum.tolist()
    window = Window(a - reach, a + reach, b - reach, b + reach)
    w = torch.from_numpy(window.grid())  # (120, 120, 2)
    h = curvature(x)
    d = w - minimum
    heights = 0.5 * torch.einsum("yxi,ij,yxj->yx", d, h, d).numpy()
    levels = [float(v) for v in np.quantile(heights, np.linspace(0.03, 0.95, 10))]
    return plane_chart(window, title=title, description="Ellipses of the loss and the path of gradient descent",
        surface=Surface(heights, levels),
                       paths=[Path(path.numpy(), f"{len(path) - 1} steps", "two")], axes=("w₁", "w₂"))  # fmt: skip


def run(parameters: Parameters, seed: int) -> Result:
    p = parameters
    raw = torch.randn(p.samples, 2, dtype=torch.float64) * torch.tensor([1.0, p.scale]) + p.offset
    y = raw @ torch.tensor([2.0, 1.5 / p.scale], dtype=torch.float64) + 0.1 * torch.randn(
        p.samples, dtype=torch.float64
    )
    y = y - y.mean()
    centred = raw - raw.mean(0)
    ways = {
        "as they are": raw, "centred": centred, "standardised": centred / centred.std(0),
        "min–max": centred / (raw.amax(0) - raw.amin(0)),
    }  # fmt: skip
    found = {name: descent(x, y) for name, x in ways.items()}
    steps = {name: n for name, (_, n, _) in found.items()}
    condition = {name: c for name, (_, _, c) in found.items()}
    kappa = condition["centred"]
    allowed = math.ceil(math.log(1e-3) / math.log((kappa - 1) / (kappa + 1)))
    fits = {}
    for name, x in ways.items():
        solution = torch.linalg.lstsq(x, y[:, None]).solution[:, 0]
        fits[name] = squared_error(x @ solution, y)[0].item()
    rows = [[name, condition[name], steps[name], fits[name]] for name in ways]
    return Result(
        claims=[
            Claim("The longer feature makes the valley steeper by the square of its scale.",
                0.5 < condition["centred"] / p.scale**2 < 2,
                f"condition number {condition['centred']:.0f}, scale² {p.scale**2:.0f}"),
            Claim("Standardised features need a tenth of the steps or fewer.",
                steps["standardised"] * 10 <= steps["as they are"],
                f"{steps['standardised']} and {steps['as they are']}"),
            Claim("The steps are no more than the condition number allows.", steps["centred"] <= allowed,
                f"{steps['centred']} ≤ {allowed}"),
            Claim("The fit is as good: scaling changes the way, not the place.",
                max(abs(fits[n] - fits["centred"]) for n in ("standardised", "min–max")) < 1e-9,
                f"{fits['standardised']:.4f} and {fits['centred']:.4f}"),
        ],
        numbers={f"steps, {name}": n for name, n in steps.items()},
        pictures=[Picture(picture(ways[n], y, found[n][0], n),
            f"Features {n}: condition number {condition[n]:.3g}.") for n in ("as they are", "standardised")],
        tables=[Table(("features", "condition number", "steps", "squared error at the minimum"), rows,
            "Each with the best rate for its own curvatures.")],
    )  # fmt: skip


EXPERIMENT = Experiment(
    run=run,
    parameters=Parameters(),
    notice=(
        "One rate must serve both directions: small enough for the steep one, it is far too small for the other.",
        "Mean and deviation come from the training data only, and the same ones scale everything that is predicted "
        "later.",
        "A common offset of the features is worse than their scale: it makes one direction steep that no scaling of "
        "single features cures. Centre first.",
    ),
    formulas=(
        Formula("x̂ = (x − μ)/σ    or    (x − μ)/(max − min)",
            "LeCun, Bottou, Orr and Müller 1998, Efficient BackProp"),
        Formula("‖w − w*‖ shrinks by (κ − 1)/(κ + 1) a step,  κ = λ₁/λ₂",
            "Nesterov 2004, Introductory Lectures on Convex Optimization"),
    ),
    code=(descent, curvature),
    variations=(
        Variation("scale=30", "Nine times the steps."),
        Variation("offset=20", "Features far from 0: centring alone saves most of the steps."),
    ),
)  # fmt: skip
