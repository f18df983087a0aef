"""One hidden layer approximates any continuous function, if it is wide enough.

How does the error of the best fit to a curve fall as a single layer of sigmoid units becomes wider?
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, Literal

import numpy as np
import torch
from jaxtyping import Float
from pydantic import Field

from sightline.drawing.curves import Frame, Line, line_chart
from sightline.lab.experiment import Claim, Experiment, Formula, Picture, Result, Table, Variation

_CURVES = {
    "sine": lambda x: np.sin(2 * np.pi * x),
    "steps": lambda x: np.sign(np.sin(4 * np.pi * x)),
    "bumps": lambda x: np.sin(2 * np.pi * x) + 0.5 * np.sin(10 * np.pi * x),
}


@dataclass(frozen=True)
class Parameters:
    curve: Literal["sine", "steps", "bumps"] = "bumps"
    widest: Annotated[int, Field(ge=8, le=1024)] = 128
    steepness: Annotated[float, Field(gt=0, le=1_000)] = 30.0


def hidden(x: Float[np.ndarray, "n"], units: int, steepness: float, seed: int) -> Float[np.ndarray, "n units"]:
    """Sigmoid units σ(s (x − c)), each with a centre c in [-0.2, 1.2] and a steepness s of either sign. A wider layer has
    the units of a narrower one and more."""
    draws = np.random.default_rng(seed).uniform(size=(units, 3))
    centres = 1.4 * draws[:, 0] - 0.2
    slopes = steepness * (0.2 + 0.8 * draws[:, 1]) * np.sign(draws[:, 2] - 0.5)
    return torch.sigmoid(torch.tensor(slopes * (x[:, None] - centres))).numpy()


def fitted(x: np.ndarray, y: np.ndarray, units: int, steepness: float, seed: int) -> np.ndarray:
    """The network's output with the output weights of least squares, over the same x."""
    features = np.column_stack([hidden(x, units, steepness, seed), np.ones_like(x)])
    weights, *_ = np.linalg.lstsq(features, y, rcond=1e-10)
    return features @ weights


def run(parameters: Parameters, seed: int) -> Result:
    x = np.linspace(0, 1, 500)
    y = _CURVES[parameters.curve](x)
    widths = [2 * 4**k for k in range(10) if 2 * 4**k <= parameters.widest]
    fits = {m: fitted(x, y, m, parameters.steepness, seed) for m in widths}
    errors = {m: float(np.sqrt(np.mean((fit - y) ** 2))) for m, fit in fits.items()}
    shown = [widths[1], widths[-1]]
    lines = [Line("target", x.tolist(), y.tolist(), "quiet")]
    lines += [Line(f"{m} units", x.tolist(), fits[m].tolist(), t) for m, t in zip(shown, ("two", "one"), strict=True)]
    return Result(
        claims=[
            Claim(
                "Wider is closer: each four times as many units have a smaller error.",
                all(errors[b] < errors[a] for a, b in pairwise(widths)), " → ".join(f"{e:.0e}" for e in errors.values()),
            ),
            Claim(
                "The widest layer is at least a hundred times as close as one of eight units.",
                errors[widths[-1]] * 100 <= errors[8], f"{errors[8]:.3f} → {errors[widths[-1]]:.0e}",
            ),
        ],
        numbers={f"root mean square error, {m} units": e for m, e in errors.items()},
        pictures=[
            Picture(line_chart(lines, Frame("The fit", "The curve and two fits", "x", "y")), "A narrow and a wide layer."),
            Picture(
                line_chart(
                    [Line("error", widths, list(errors.values()), "one")],
                    Frame("The error", "Error by number of units", "hidden units", "error", log_y=True),
                ),
                "Root mean square error by width, logarithmic.",
            ),
        ],
        tables=[Table(("hidden units", "error"), [(str(m), e) for m, e in errors.items()])],
    )  # fmt: skip


EXPERIMENT = Experiment(
    run=run,
    parameters=Parameters(),
    notice=(
        "The theorem promises that a wide enough layer exists; it does not say that descent finds it. Here the output weights "
        "are found by least squares, so nothing but the width limits the fit.",
        "A jump, which is not continuous, is approached but never met: the error stays near the edge.",
    ),
    formulas=(Formula("f(x) ≈ Σⱼ vⱼ σ(wⱼ x + bⱼ) + c", "Cybenko 1989; Hornik, Stinchcombe and White 1989"),),
    code=(hidden, fitted),
    variations=(
        Variation("curve=steps", "The error falls more slowly where the curve jumps."),
        Variation("steepness=3", "Units that are hardly bent need more company, and least squares larger weights."),
    ),
)
