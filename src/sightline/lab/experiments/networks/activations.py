"""Each activation function decides how much gradient passes.

What do the usual activation functions and their slopes look like, and which of them can saturate?
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from sightline.drawing.curves import Frame, Line, line_chart
from sightline.lab.experiment import Claim, Experiment, Formula, Picture, Result, Table, Variation
from sightline.layers.activations import Maxout, activation

NAMES = ("sigmoid", "tanh", "scaled_tanh", "relu", "leaky_relu", "elu", "gelu")
_TONES = dict(zip(NAMES, ("one", "two", "three", "four", "five", "six", "seven"), strict=True))


@dataclass(frozen=True)
class Parameters:
    reach: Annotated[float, Field(ge=1, le=20)] = 5.0


def slope(function: Callable[[Tensor], Tensor], z: Tensor) -> Tensor:
    """The derivative at every z, by automatic differentiation; same shape as `z`."""
    z = z.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(function(z).sum(), z)
    return gradient


def run(parameters: Parameters, seed: int) -> Result:
    z = torch.linspace(-parameters.reach, parameters.reach, 401, dtype=torch.float64)
    values = {name: activation(name)(z) for name in NAMES}
    slopes = {name: slope(activation(name), z) for name in NAMES}
    far = {name: slope(activation(name), torch.tensor([10.0], dtype=torch.float64)).item() for name in NAMES}
    cube = z + 0.044715 * z**3
    printed_gelu = 0.5 * z * (1 + torch.tanh((2 / torch.pi) ** 0.5 * cube))
    maxout = Maxout(1, 1).double()
    with torch.no_grad():
        maxout.linear.weight.copy_(torch.tensor([[1.0], [0.0]]))
        maxout.linear.bias.zero_()
        as_relu = (maxout(z[:, None])[:, 0] - F.relu(z)).abs().max().item()
    positive = z > 0
    relu_slope = slopes["relu"]
    return Result(
        claims=[
            Claim(
                "The sigmoid passes at most a quarter of the gradient.", abs(slopes["sigmoid"].max().item() - 0.25) < 1e-4,
                f"steepest slope {slopes['sigmoid'].max():.4f}",
            ),
            Claim(
                "ReLU passes all of the gradient or none.",
                bool((relu_slope[positive] == 1).all() and (relu_slope[z < 0] == 0).all()), "slopes 0 and 1",
            ),
            Claim(
                "Sigmoid and tanh saturate: at z = 10 hardly any gradient is left; the rectifiers still pass it.",
                max(far[n] for n in ("sigmoid", "tanh")) < 1e-4 and min(far[n] for n in ("relu", "elu", "gelu")) > 0.999,
                f"tanh {far['tanh']:.1e}, sigmoid {far['sigmoid']:.1e}, ReLU {far['relu']:.0f}",
            ),
            Claim(
                "Below zero a leaky ReLU passes a tenth, ELU less and less.",
                abs(slopes["leaky_relu"][0].item() - 0.1) < 1e-12 and bool(slopes["elu"][0] < slopes["elu"][150]),
                f"at z = {z[0]:.0f}: {slopes['leaky_relu'][0]:.2f} and {slopes['elu'][0]:.4f}",
            ),
            Claim(
                "GELU's tanh form is the published polynomial.", bool((printed_gelu - values["gelu"]).abs().max() < 1e-9),
                f"largest difference {(printed_gelu - values['gelu']).abs().max():.1e}",
            ),
            Claim("A maxout of z and 0 is a ReLU.", as_relu == 0.0, f"largest difference {as_relu:.0e}"),
        ],
        pictures=[_chart(z, values, "Values", "g(z)"), _chart(z, slopes, "Slopes", "g′(z)")],
        tables=[
            Table(
                ("activation", "lowest value", "highest value", "steepest slope", "slope at 10"),
                [(n, values[n].min().item(), values[n].max().item(), slopes[n].max().item(), far[n]) for n in NAMES],
                f"Over z from −{parameters.reach:g} to {parameters.reach:g}.",
            )
        ],
    )  # fmt: skip


def _chart(z: Tensor, curves: dict[str, Tensor], title: str, axis: str) -> Picture:
    lines = [Line(name, z.tolist(), y.tolist(), _TONES[name]) for name, y in curves.items()]
    frame = Frame(title, f"{title} of seven activation functions", "z", axis, y_range=(-2.0, 3.0))
    return Picture(line_chart(lines, frame), f"{title}. Lines end at the edge of the drawing.")


EXPERIMENT = Experiment(
    run=run,
    parameters=Parameters(),
    random=False,
    notice=(
        "A slope below 1 in every layer multiplies: ten sigmoid layers pass at most 0.25¹⁰, a millionth, of the gradient.",
        "A rectifier has slope 1 wherever it is active, so depth alone does not shrink the gradient.",
        "ReLU has slope 0 for all negative inputs: a unit that is negative for every image learns nothing any more.",
    ),
    formulas=(
        Formula("σ(z) = 1 / (1 + e⁻ᶻ)     σ′ = σ (1 − σ) ≤ ¼", "Rumelhart, Hinton and Williams 1986"),
        Formula("GELU(z) ≈ z/2 · (1 + tanh(√(2/π) (z + 0.044715 z³)))", "Hendrycks and Gimpel 2016, arXiv:1606.08415"),
        Formula("ELU(z) = z for z > 0, eᶻ − 1 otherwise", "Clevert, Unterthiner and Hochreiter 2015, arXiv:1511.07289"),
        Formula("maxout(x) = maxⱼ (wⱼ·x + bⱼ)", "Goodfellow et al. 2013, arXiv:1302.4389"),
    ),
    code=(activation, slope, Maxout),
    variations=(Variation("reach=12", "Far from zero the difference between saturating and rectifying is plain."),),
)
