"""Batch, layer, instance and group norm differ in what they average over.

Over which axes does each normalisation take its mean, when are two of them the same, and which depend on the rest of the batch?
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from sightline.lab.experiment import Claim, Experiment, Formula, Picture, Result, Table, Variation
from sightline.layers.normalisation import STATISTICS_OVER, batch_norm_step, fold_pair, standardise


@dataclass(frozen=True)
class Parameters:
    batch: Annotated[int, Field(ge=2, le=16)] = 4
    channels: Annotated[int, Field(ge=2, le=32)] = 6
    groups: Annotated[int, Field(ge=1, le=32)] = 2


def _difference(a: Tensor, b: Tensor) -> float:
    return (a - b).abs().max().item()


def run(parameters: Parameters, seed: int) -> Result:
    channels = parameters.channels - parameters.channels % parameters.groups or parameters.groups
    x = torch.randn(parameters.batch, channels, 5, 5) * 3 + 2
    ours = {name: standardise(x, over).value for name, over in STATISTICS_OVER.items()}
    torchs = {
        "batch": nn.BatchNorm2d(channels),
        "layer": nn.GroupNorm(1, channels),
        "instance": nn.InstanceNorm2d(channels),
    }
    equal = max(_difference(ours[name], module(x)) for name, module in torchs.items())
    one, each = nn.GroupNorm(1, channels)(x), nn.GroupNorm(channels, channels)(x)
    other = torch.cat([x[:1], torch.randn_like(x[1:]) * 50])  # the first example in other company
    moved = {name: _difference(standardise(x, over).value[0], standardise(other, over).value[0])
             for name, over in STATISTICS_OVER.items()}  # fmt: skip
    gamma, beta = ours["batch"].new_ones(channels), ours["batch"].new_zeros(channels)
    _, mean, variance = standardise(x, (0, 2, 3))
    undone = batch_norm_step(x, (variance.flatten() + 1e-5).sqrt(), mean.flatten(), beta, gamma).output
    convolution, norm = nn.Conv2d(channels, 4, 3), nn.BatchNorm2d(4)
    norm(convolution(x))  # running statistics
    folded = _difference(fold_pair(convolution, norm)(x), norm.eval()(convolution(x)))
    return Result(
        claims=[
            Claim("They are one formula over different axes, and equal torch's layers.", equal < 1e-5,
                  f"largest difference {equal:.0e}"),
            Claim("One group is layer norm; a group a channel is instance norm.",
                  _difference(one, ours["layer"]) < 1e-5 and _difference(each, ours["instance"]) < 1e-5, "differences < 1e-5"),
            Claim("Only batch norm depends on the other images of the batch.",
                  moved["batch"] > 0.1 and moved["layer"] == 0 == moved["instance"],
                  f"the first image's output moves by {moved['batch']:.2f}"),
            Claim("γ = √(σ² + ε) and β = μ undo batch norm.", _difference(undone, x) < 1e-4,
                  f"largest difference {_difference(undone, x):.0e}"),
            Claim("At test time batch norm is affine and folds into the convolution before it.", folded < 1e-4,
                  f"largest difference {folded:.0e}"),
        ],
        pictures=[Picture(_diagram(name), f"{name.capitalize()} norm: what shares one mean and one variance.")
                  for name in ("batch", "layer", "instance")],
        tables=[Table(("norm", "axes of (b, c, h, w)", "means"),
                      [(n, str(o), x.numel() // int(np.prod([x.shape[i] for i in o]))) for n, o in STATISTICS_OVER.items()])],
    )  # fmt: skip


def _diagram(name: str) -> np.ndarray:
    """Images across, channels down; the cells that share statistics with the first one are dark."""
    images, channels, side = 6, 5, 22
    picture = np.full((channels * side + 1, images * side + 1, 3), 255, np.uint8)
    for c in range(channels):
        for b in range(images):
            shared = {"batch": c == 0, "layer": b == 0, "instance": b == 0 and c == 0}[name]
            picture[c * side + 1 : (c + 1) * side, b * side + 1 : (b + 1) * side] = (
                (29, 95, 168) if shared else (225, 222, 214)
            )
    return picture


EXPERIMENT = Experiment(
    run=run,
    parameters=Parameters(),
    notice=(
        "In the pictures images run across and channels down: batch norm shares along a row, layer norm along a column.",
        "Because an image's output under batch norm depends on its company, it uses running averages at test time; "
        "the others need none.",
        "The mean removes any bias of the layer before: a convolution in front of batch norm needs none.",
    ),
    formulas=(
        Formula("x̂ = (x − μ) / √(σ² + ε)", "Ioffe and Szegedy 2015, arXiv:1502.03167"),
        Formula(
            "layer, instance, group",
            "Ba et al. 2016, arXiv:1607.06450; Ulyanov et al. 2016, arXiv:1607.08022; Wu and He 2018, arXiv:1803.08494",
        ),
    ),
    code=(standardise, batch_norm_step, fold_pair),
    variations=(Variation("batch=2", "A batch of two: batch norm's means become very noisy."),),
)
