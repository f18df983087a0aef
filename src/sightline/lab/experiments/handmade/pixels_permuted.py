"""Colour histograms: what is in an image, and nothing of where.

An image and its pixels in any other order: which features notice?
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor

from sightline.classical.features.colours import histogram
from sightline.classical.features.hog import Hog
from sightline.lab.experiment import Claim, Experiment, Formula, Picture, Result, Variation
from sightline.lab.seeing.pixels import named_grid


@dataclass(frozen=True)
class Parameters:
    bins: Annotated[int, Field(ge=2, le=16)] = 8
    side: Annotated[int, Field(ge=16, le=96)] = 64


def scene(side: int, warm: bool = False) -> Float[Tensor, "1 3 h w"]:
    """A house on a meadow under a sky; a sunset where it is warm."""
    x = torch.zeros(3, side, side)
    x[:] = torch.tensor([0.9, 0.5, 0.2] if warm else [0.35, 0.6, 0.95])[:, None, None]
    x[:, side // 2 :] = torch.tensor([0.35, 0.65, 0.2])[:, None, None]
    x[:, side // 3 : 3 * side // 4, side // 4 : 5 * side // 8] = torch.tensor([0.75, 0.3, 0.25])[:, None, None]
    x[:, side // 2 : 3 * side // 4, 3 * side // 8 : side // 2] = torch.tensor([0.3, 0.2, 0.1])[:, None, None]
    return x[None]


def permuted(x: Float[Tensor, "1 c h w"]) -> Float[Tensor, "1 c h w"]:
    """The same pixels in an order that torch's generator draws."""
    return x.flatten(2)[:, :, torch.randperm(x.shape[2] * x.shape[3])].view_as(x)


def distance(a: Tensor, b: Tensor) -> float:
    """Half the sum of the differences of two histograms: 0 if they are equal, 1 if they share nothing."""
    return float((a - b).abs().sum() / 2)


def _picture(x: Tensor) -> np.ndarray:
    return (x[0].permute(1, 2, 0) * 255).round().byte().numpy()


def run(parameters: Parameters, seed: int) -> Result:
    p = parameters
    image, warm = scene(p.side), scene(p.side, warm=True)
    mixed, mirrored = permuted(image), image.flip(3)
    own = histogram(image, p.bins)
    colour = {"permuted": distance(own, histogram(mixed, p.bins)), "mirrored": distance(own, histogram(mirrored, p.bins)),
              "at sunset": distance(own, histogram(warm, p.bins))}  # fmt: skip
    hog = Hog()
    vector = hog(image)
    shape = {name: float((hog(other) - vector).norm() / vector.norm())
             for name, other in (("permuted", mixed), ("at sunset", warm))}  # fmt: skip
    return Result(
        claims=[
            Claim("Permuted pixels have the same colour histogram.", colour["permuted"] < 1e-5,
                  f"{colour['permuted']:.0e} apart"),
            Claim("So has the mirrored image.", colour["mirrored"] < 1e-5, f"{colour['mirrored']:.0e} apart"),
            Claim("Other light gives another histogram, although the scene is the same.", colour["at sunset"] > 0.2,
                  f"{colour['at sunset']:.2f} apart"),
            Claim("For HOG it is the other way round: light changes little, permuting everything.",
                  shape["at sunset"] < 0.5 * shape["permuted"],
                  f"relative change {shape['at sunset']:.2f} by light, {shape['permuted']:.2f} by permuting"),
        ],
        numbers={"histogram: permuted": colour["permuted"], "histogram: sunset": colour["at sunset"],
                 "HOG: permuted": shape["permuted"], "HOG: sunset": shape["at sunset"]},
        pictures=[Picture(named_grid([("the image", _picture(image)), ("its pixels permuted", _picture(mixed)),
                                      ("at sunset", _picture(warm))], 3, 192),
                          "The first two have the same colours in the same amounts.", wide=True)],
    )  # fmt: skip


EXPERIMENT = Experiment(
    run=run,
    parameters=Parameters(),
    notice=("A histogram forgets place and texture; that makes it robust to some changes and blind to most of the content.",
            "Every feature is a choice of what to ignore."),
    formulas=(Formula("h(c) = share of the pixels with colour c", "Swain and Ballard 1991, IJCV 7"),),
    code=(histogram, permuted),
    variations=(Variation("bins=2", "Coarse colours: light matters less."),),
)  # fmt: skip
