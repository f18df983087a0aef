"""Encoders without a dictionary."""

from __future__ import annotations

import math

from jaxtyping import Float
from torch import Tensor

from sightline.classical.pipeline import Encoder

from .hog import Hog, Norm


class Pixels(Encoder):
    """The pixels themselves, in the order of channels, rows and columns."""

    def __init__(self, input_size: tuple[int, int, int]) -> None:
        super().__init__()
        self.size = math.prod(input_size)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b size"]:
        return x.flatten(1)


class HogVector(Encoder):
    """The vector of `Hog`. `soft`: votes are shared by directions and, where their side is even, by cells."""

    def __init__(self, height: int, width: int, *, cell: int, bins: int, block: int, norm: Norm, soft: bool) -> None:
        super().__init__()
        self.hog = Hog(cell=cell, bins=bins, block=block, norm=norm, soft=soft, smooth=soft and cell % 2 == 0)
        self.size = self.hog.size(height, width)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b size"]:
        return self.hog(x)
