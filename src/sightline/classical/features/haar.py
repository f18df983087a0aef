"""Integral images and Haar features (Viola & Jones 2001, CVPR).

The integral image holds at (y, x) the sum of all pixels above and to the left, so that any rectangle's sum is four look-ups:

    sum of rows 1-2, columns 1-3 = I[3, 4] - I[1, 4] - I[3, 1] + I[1, 1]
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from sightline.classical.pipeline import Encoder

from .gradients import grey

FLAT = 1e-3  # least deviation of a window, for pixels of 0-1


def integral(x: Float[Tensor, "... h w"]) -> Float[Tensor, "... h+1 w+1"]:
    """Sums of all pixels above and to the left, with a row and a column of zeros in front."""
    return functional.pad(x.cumsum(-2).cumsum(-1), (1, 0, 1, 0))


def rectangle(table: Float[Tensor, "... h w"], top: int, left: int, bottom: int, right: int) -> Float[Tensor, "..."]:
    """The sum of rows top to bottom - 1 and columns left to right - 1, from an integral image."""
    return table[..., bottom, right] - table[..., top, right] - table[..., bottom, left] + table[..., top, left]


class Haar(NamedTuple):
    """Rectangles (top, left, bottom, right) of a window with their weights, whose weighted areas add up to 0."""

    rectangles: tuple[tuple[int, int, int, int], ...]
    weights: tuple[int, ...]

    def corners(self) -> dict[tuple[int, int], int]:
        """What the integral image counts at its points (y, x)."""
        found: dict[tuple[int, int], int] = {}
        for (top, left, bottom, right), weight in zip(self.rectangles, self.weights, strict=True):
            for point, sign in (((bottom, right), 1), ((top, right), -1), ((bottom, left), -1), ((top, left), 1)):
                found[point] = found.get(point, 0) + sign * weight
        return {point: count for point, count in found.items() if count}

    def template(self, side: int) -> Float[np.ndarray, "side side"]:
        """The weight of each pixel of the window."""
        image = np.zeros((side, side))
        for (top, left, bottom, right), weight in zip(self.rectangles, self.weights, strict=True):
            image[top:bottom, left:right] += weight
        return image


# Parts down and across, and the weight of each part: an edge, a line, a chequerboard.
_SHAPES = (
    ((1, 2), (1, -1)), ((2, 1), (1, -1)), ((1, 3), (1, -2, 1)), ((3, 1), (1, -2, 1)), ((2, 2), (1, -1, -1, 1)),
)  # fmt: skip


def haar_features(side: int, most: int) -> list[Haar]:
    """Features of a square window, at most so many, spread evenly over all places, sizes and shapes."""
    step = max(side // 12, 1)
    found = []
    for (down, across), weights in _SHAPES:
        for high in range(step, side // down + 1, step):
            for wide in range(step, side // across + 1, step):
                for top in range(0, side - high * down + 1, step):
                    for left in range(0, side - wide * across + 1, step):
                        places = [(top + i * high, left + j * wide) for i in range(down) for j in range(across)]
                        boxes = tuple((y, x, y + high, x + wide) for y, x in places)
                        found.append(Haar(boxes, weights))
    chosen = np.linspace(0, len(found) - 1, min(most, len(found))).round().astype(int)
    return [found[place] for place in chosen]


class Window(Encoder):
    """The luminance of a window with mean 0 and deviation 1, row by row: light that changes does not matter."""

    def __init__(self, side: int) -> None:
        super().__init__()
        self.size = side * side

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b size"]:
        flat = grey(x).flatten(1)
        centred = flat - flat.mean(1, keepdim=True)
        return centred / (centred.square().mean(1, keepdim=True) + FLAT**2).sqrt()
