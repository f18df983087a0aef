"""A numerical gradient is slow and inexact, and the best check of an analytical one.

Is the formula for the gradient of hinge loss and penalty right, and how small should the step of the check be?
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from sightline.drawing.curves import Frame, Line, line_chart
from sightline.lab.differences import numerical_gradient, relative_error
from sightline.lab.experiment import Claim, Experiment, Formula, Picture, Result, Table, Variation
from sightline.losses.classification import cross_entropy, multiclass_hinge
from sightline.losses.penalties import weight_decay_term
from sightline.structures.targets import Labels

SAMPLES, FEATURES, CLASSES = 20, 6, 4


@dataclass(frozen=True)
class Parameters:
    strength: Annotated[float, Field(ge=0, le=10)] = 0.5
    margin: Annotated[float, Field(gt=0, le=10)] = 1.0


def loss_of(w: Tensor, x: Tensor, y: Tensor, p: Parameters) -> Tensor:
    """Hinge loss of the scores x wᵀ, and λ/2 ‖w‖²."""
    mean, _ = multiclass_hinge(x @ w.T, Labels.of(y), margin=p.margin)
    return mean + weight_decay_term([w], strength=p.strength, samples=1)


def analytical(w: Tensor, x: Tensor, y: Tensor, p: Parameters) -> Tensor:
    """The gradient by hand: each wrong class whose margin is not kept adds x to its row, and takes x from the true "
    "class's."""
    scores = x @ w.T  # (n, k)
    rows = torch.arange(len(y))
    broken = (scores - scores[rows, y][:, None] + p.margin > 0).to(w.dtype)  # (n, k)
    broken[rows, y] = 0.0
    broken[rows, y] = -broken.sum(1)
    return broken.T @ x / len(y) + p.strength * w


def run(parameters: Parameters, seed: int) -> Result:
    x, w = (torch.randn(n, FEATURES, dtype=torch.float64) for n in (SAMPLES, CLASSES))
    y = torch.randint(CLASSES, (SAMPLES,))
    formula = analytical(w, x, y, parameters).numpy()
    leaf = w.clone().requires_grad_()
    (autograd,) = torch.autograd.grad(loss_of(leaf, x, y, parameters), leaf)

    def hinge(v: np.ndarray) -> float:
        return loss_of(torch.from_numpy(v), x, y, parameters).item()

    checked = relative_error(numerical_gradient(hinge, w.numpy(), h=1e-6), formula)
    wrong = relative_error(numerical_gradient(hinge, w.numpy(), h=1e-6), formula - parameters.strength * w.numpy() / 2)
    errors = smooth_errors(w, x, y)
    exponents = sorted({e for _, e in errors})
    drop = {s: errors[s, -2] / errors[s, -3] for s in ("forward", "central")}
    least = {s: min(errors[s, e] for e in exponents) for s in ("forward", "central")}
    worked = {
        f"coordinate {i}: 1.2345 → {after}": one_coordinate(1.2345, after) for i, after in enumerate((1.2331, 1.2345))
    }
    lines = [Line(s, exponents, [errors[s, e] for e in exponents], tone) for s,
        tone in (("forward", "two"), ("central", "one"))]  # fmt: skip
    frame = Frame("Error of differences", "Error over the step", "log₁₀ h", "largest error", log_y=True)
    return Result(
        claims=[
            Claim("Formula and central difference agree to 1e-6.", checked <= 1e-6, f"relative error {checked:.1e}"),
            Claim("Formula and autograd agree to 1e-12.", relative_error(autograd.numpy(), formula) <= 1e-12,
                f"{relative_error(autograd.numpy(), formula):.1e}"),
            Claim("A formula that halves the penalty is caught.", wrong >= 1e-2, f"relative error {wrong:.2f}"),
            Claim("A tenth of the step: a tenth of the forward error, a hundredth of the central one.",
                7 < drop["forward"] < 14 and 70 < drop["central"] < 140,
                f"{drop['forward']:.1f} and {drop['central']:.0f} times"),
            Claim("The best central difference is 30 times as exact as the best forward one, or more.",
                least["forward"] >= 30 * least["central"], f"{least['central']:.1e} against {least['forward']:.1e}"),
        ],
        numbers={"relative error of the formula": checked, "least error, forward": least["forward"],
            "least error, central": least["central"]},
        pictures=[Picture(line_chart(lines, frame),
            "Softmax and cross-entropy: large steps miss the curvature, tiny steps lose digits.")],
        tables=[Table(("one coordinate, h = 0.0001", "(L(w + h) − L(w)) / h"), list(worked.items()),
            "Only that coordinate moves.")],
    )  # fmt: skip


def one_coordinate(here: float, there: float, h: float = 1e-4) -> float:
    """The forward difference of a loss that is `here` at a weight and `there` a step away."""

    def loss(v: np.ndarray) -> float:
        return there if v > 0 else here

    return numerical_gradient(loss, np.asarray(0.0), h=h, scheme="forward").item()


def smooth_errors(w: Tensor, x: Tensor, y: Tensor) -> dict[tuple[str, int], float]:
    """The largest error of both schemes over steps 10^-1 … 10^-12, on a loss that is curved everywhere."""

    def loss(v: Tensor) -> Tensor:
        return cross_entropy(x @ v.T, Labels.of(y))[0]

    leaf = w.clone().requires_grad_()
    exact = torch.autograd.grad(loss(leaf), leaf)[0].numpy()
    found = {}
    for exponent in range(-12, 0):
        for scheme in ("forward", "central"):
            got = numerical_gradient(
                lambda v: loss(torch.from_numpy(v)).item(),
                w.numpy(),
                h=math.pow(10, exponent),
                scheme=scheme,  # type: ignore[arg-type]
            )
            found[scheme, exponent] = float(np.abs(got - exact).max())
    return found


EXPERIMENT = Experiment(
    run=run,
    parameters=Parameters(),
    notice=(
        "A numerical gradient needs one or two evaluations of the loss for each weight: right for a check, hopeless "
        "for a million weights.",
        "The error falls with the step until rounding takes over: near 1e-8 for forward differences, near 1e-5 for "
        "central ones.",
        "The hinge has kinks. A step across one gives a difference between its two slopes, which is no fault of the "
        "formula.",
    ),
    formulas=(
        Formula("dL/dwⱼ = 1/n Σᵢ [sⱼ − s_y + m > 0] xᵢ + λwⱼ        (j ≠ y)\n"
                "dL/dw_y = −1/n Σᵢ Σⱼ [sⱼ − s_y + m > 0] xᵢ + λw_y", "Weston and Watkins 1999, ESANN"),
        Formula("(L(w + h) − L(w))/h,    (L(w + h) − L(w − h))/2h", "Press et al., Numerical Recipes, section 5.7"),
    ),
    code=(analytical, numerical_gradient),
    variations=(
        Variation("strength=0", "Without a penalty there is nothing to halve, and the third claim does not hold."),
        Variation("margin=0.01", "A small margin is kept by more samples: fewer rows move."),
    ),
)  # fmt: skip
