"""Dropout makes the features of an autoencoder more local.

What do the 256 hidden units of an autoencoder of digits look for, with and without dropout?
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
import torch
from jaxtyping import UInt8
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from sightline.lab.datasets import digits
from sightline.lab.experiment import Claim, Experiment, Formula, Picture, Result, Variation


@dataclass(frozen=True)
class Parameters:
    units: Annotated[int, Field(ge=16, le=512)] = 256
    rate: Annotated[float, Field(ge=0, le=0.9)] = 0.5
    steps: Annotated[int, Field(ge=10, le=10_000)] = 1500


def autoencoder(units: int, rate: float) -> nn.Sequential:
    """64 pixels → units (ReLU, dropout) → 64 pixels."""
    return nn.Sequential(nn.Flatten(), nn.Linear(64, units), nn.ReLU(), nn.Dropout(rate), nn.Linear(units, 64))


def fit(model: nn.Module, x: Tensor, steps: int, seed: int) -> float:
    """Minimise the squared error of the reconstruction; returns that of the last state, without dropout."""
    draw = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    for _ in range(steps):
        batch = x[torch.randint(len(x), (64,), generator=draw)]
        loss = F.mse_loss(model(batch), batch.flatten(1))
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    with torch.no_grad():
        return F.mse_loss(model.eval()(x), x.flatten(1)).item()


def concentration(weight: Tensor) -> float:
    """Mean over the units of the share of a unit's squared weights that lies on its five strongest pixels of 64."""
    squares = weight.square()
    return (squares.topk(5, 1).values.sum(1) / squares.sum(1)).mean().item()


def run(parameters: Parameters, seed: int) -> Result:
    train, test = digits()
    found = {}
    pictures = []
    model: Any
    for name, rate in (("without", 0.0), ("with", parameters.rate)):
        torch.manual_seed(seed)
        model = autoencoder(parameters.units, rate)
        fit(model, train.x, parameters.steps, seed)
        weight = model[1].weight.detach()
        with torch.no_grad():
            error = F.mse_loss(model(test.x), test.x.flatten(1)).item()
            active = (model[:3](test.x) > 0).float().mean().item()
        found[name] = (concentration(weight), error, active)
        pictures.append(Picture(_tiles(weight[:64]), f"Weights of 64 units, {name} dropout."))
    plain, dropped = found["without"], found["with"]
    return Result(
        claims=[
            Claim("With dropout fewer units answer each image.", dropped[2] < plain[2],
                  f"{dropped[2]:.2f} against {plain[2]:.2f} active"),
            Claim("The price is a worse reconstruction.", dropped[1] > plain[1],
                  f"squared error {dropped[1]:.3f} against {plain[1]:.3f}"),
        ],
        numbers={
            "share on the five strongest pixels, without": plain[0], "share on the five strongest pixels, with": dropped[0],
            "share of active units, without": plain[2], "share of active units, with": dropped[2],
        },
        pictures=pictures,
    )  # fmt: skip


def _tiles(weight: Tensor) -> UInt8[np.ndarray, "h w 3"]:
    """8 x 8 tiles of 8 x 8 weights, blue below 0, red above, each scaled by its strongest."""
    tiles = (weight / weight.abs().amax(1, keepdim=True)).view(-1, 8, 8).numpy()
    picture = np.full((8 * 9 + 1, 8 * 9 + 1, 3), 255, np.uint8)
    for i, tile in enumerate(tiles):
        row, column = divmod(i, 8)
        strength = (np.abs(tile) * 230).astype(np.uint8)
        colour = np.full((8, 8, 3), 255, np.uint8)
        colour[..., 1] -= strength
        colour[..., 2][tile > 0] -= strength[tile > 0]
        colour[..., 0][tile <= 0] -= strength[tile <= 0]
        picture[row * 9 + 1 : row * 9 + 9, column * 9 + 1 : column * 9 + 9] = colour
    return picture


EXPERIMENT = Experiment(
    run=run,
    parameters=Parameters(),
    notice=(
        "Units that cannot count on the others look for parts that are useful by themselves.",
        "Srivastava et al. 2014, figure 7, show the same on MNIST, where strokes become visible; digits of 8 × 8 "
        "leave less room.",
    ),
    formulas=(Formula("min ‖x − V (m ∘ ReLU(Wx + b))/p − c‖²", "Srivastava et al. 2014, JMLR 15, section 7.1"),),
    code=(autoencoder, fit, concentration),
    variations=(Variation("units=16", "A narrow layer has no units to spare: dropout mostly hurts."),),
)
