"""Four ways to a larger map: copy, interpolate, put back, learn.

What do nearest neighbour, bilinear interpolation, unpooling and a bilinear transposed convolution make of the same few numbers?
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from sightline.lab.experiment import Claim, Experiment, Formula, Picture, Result, Table, Variation
from sightline.lab.seeing.canvas import ink
from sightline.lab.seeing.pixels import grey, named_grid
from sightline.layers.convolution.upsampling import bilinear, bilinear_at, bilinear_upsampler, nearest, unpool


@dataclass(frozen=True)
class Parameters:
    factor: Annotated[int, Field(ge=2, le=4)] = 2


def text(x: Tensor) -> str:
    return "[" + "; ".join(" ".join(f"{v:g}" for v in row) for row in x.tolist()) + "]"


def run(parameters: Parameters, seed: int) -> Result:
    f = parameters.factor
    small = torch.tensor([[1.0, 2], [3, 4]])[None, None]
    copied, between = nearest(small, (4, 4))[0, 0], bilinear(small, (4, 4))[0, 0]
    weights = torch.tensor([0.75, 0.25])
    by_hand = torch.einsum(
        "i,j,ij->", weights, weights, small[0, 0]
    ).item()  # the output at (1, 1) is nearest to the first pixel
    corners = torch.tensor([[[91.0, 210], [162, 95]]])
    points = [bilinear_at(corners, torch.tensor([[0.5, v]]))[0, 0].item() for v in (0.0, 1.0, 0.2)]

    x = torch.tensor([[1.0, 2, 6, 3], [3, 5, 2, 1], [1, 2, 2, 1], [7, 3, 4, 8]])[None, None]
    maxima, where = F.max_pool2d(x, 2, return_indices=True)
    back = unpool(maxima, where, (4, 4))
    kept = (back != 0).sum().item()
    again = F.max_pool2d(back, 2)

    digits = ink()[1].x[:64]
    size = 8 * f
    tent = bilinear_upsampler(1, f)
    with torch.no_grad():
        learned, target = tent(digits), bilinear(digits, (size, size))
    inside = slice(f, -f)
    gap = (learned[..., inside, inside] - target[..., inside, inside]).abs().max().item()
    halves = {
        "nearest": nearest(F.avg_pool2d(digits, 2), (8, 8)),
        "bilinear": bilinear(F.avg_pool2d(digits, 2), (8, 8)),
    }
    pooled, places = F.max_pool2d(digits, 2, return_indices=True)
    halves["unpooling"] = unpool(pooled, places, (8, 8))
    errors = {name: (y - digits).square().mean().sqrt().item() for name, y in halves.items()}
    axis = torch.arange(32.0)
    smooth = torch.sin(0.35 * axis[:, None] + 1) * torch.cos(0.3 * axis)
    halved = F.avg_pool2d(smooth[None, None], 2)
    on_wave = {
        n: (up(halved, (32, 32))[0, 0] - smooth)[2:-2, 2:-2].square().mean().sqrt().item()
        for n, up in (("nearest", nearest), ("bilinear", bilinear))
    }
    learnable = bilinear_upsampler(1, f)
    learnable(digits[:1]).sum().backward()
    gradient = learnable.weight.grad is not None and bool(learnable.weight.grad.abs().sum() > 0)
    shown = [("digit", grey(digits[0, 0], 0, 1)), *((name, grey(y[0, 0], 0, 1)) for name, y in halves.items())]
    return Result(
        claims=[
            Claim("Nearest neighbour copies each number into a block.",
                  copied.tolist() == [[1, 1, 2, 2], [1, 1, 2, 2], [3, 3, 4, 4], [3, 3, 4, 4]], text(copied)),
            Claim("Bilinear interpolation weighs the four nearest pixel centres: 9/16, 3/16, 3/16, 1/16.",
                  between[1, 1].item() == by_hand == 1.75 and between[0].tolist() == [1, 1.25, 1.75, 2], text(between)),
            Claim("By hand: between 91 and 210, between 162 and 95, and a fifth of the way down: 150.5, 128.5, 146.1.",
                  all(abs(p - q) < 1e-4 for p, q in zip(points, (150.5, 128.5, 146.1), strict=True)),
                  ", ".join(f"{p:.1f}" for p in points)),
            Claim("Unpooling puts maxima back where they were, with zeros elsewhere; pooling again gives the same.",
                  kept == 4 and torch.equal(again, maxima) and back[0, 0].tolist() == [[0, 0, 6, 0], [0, 5, 0, 0],
                                                                                       [0, 0, 0, 0], [7, 0, 0, 8]],
                  text(back[0, 0])),
            Claim("A transposed convolution with a tent kernel interpolates like the formula, away from the border.",
                  gap < 1e-5, f"largest difference {gap:.0e}"),
            Claim("And its kernel can learn.", gradient, "its gradient is not 0"),
            Claim("Interpolation restores what was smooth; on thin strokes, halved by their means, copies come closer.",
                  on_wave["bilinear"] < 0.6 * on_wave["nearest"] and errors["nearest"] < errors["bilinear"],
                  f"error on a wave {on_wave['bilinear']:.3f} against {on_wave['nearest']:.3f}, on digits "
                  f"{errors['bilinear']:.3f} against {errors['nearest']:.3f}"),
            Claim("Maxima put back lose the rest: unpooling alone is furthest from the digits.",
                  errors["unpooling"] == max(errors.values()), f"{errors['unpooling']:.3f}"),
        ],
        numbers={f"error on halved digits, {name}": e for name, e in errors.items()},
        pictures=[Picture(named_grid(shown, 4, 128), "A digit, halved and enlarged again.", wide=True)],
        tables=[Table(("way", "[1 2; 3 4] as 4 × 4"), [("nearest", text(copied)), ("bilinear", text(between))])],
    )  # fmt: skip


EXPERIMENT = Experiment(
    run=run,
    parameters=Parameters(),
    notice=(
        "Pixel centres lie at half integers: the first of two outputs in a pixel is a quarter of a pixel from its "
        "centre.",
        "Unpooling needs the places of the maxima, which only the encoder knows.",
    ),
    formulas=(Formula("f(x, y) = Σ_(i,j) max(0, 1 − |x − i|) · max(0, 1 − |y − j|) · f(i, j)",
                      "Long, Shelhamer and Darrell 2014, arXiv:1411.4038, section 3.3"),
              Formula("unpool(pool(x), argmax)", "Zeiler and Fergus 2013, arXiv:1311.2901, section 2.1")),
    code=(bilinear_at, unpool, bilinear_upsampler),
    variations=(Variation("factor=3", "An odd factor: the tent has five taps."),),
    random=False,
)  # fmt: skip
