"""Image gradients, and angles and magnitudes of them that can be differentiated everywhere."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

LUMA = (0.2125, 0.7154, 0.0721)  # ITU-R BT.709, as scikit-image converts to grey


def grey(x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b 1 h w"]:
    """Luminance (b, 1, h, w) of colour images; grey ones as they are."""
    if x.shape[1] != 3:
        return x
    return (x * x.new_tensor(LUMA)[:, None, None]).sum(1, keepdim=True)


def central_differences(x: Float[Tensor, "b c h w"]) -> tuple[Tensor, Tensor]:
    """x[i + 1] - x[i - 1] along rows and columns, each (b, c, h, w); 0 at the border, where a neighbour is missing (Dalal &
    Triggs 2005: the plain [-1, 0, 1] without smoothing is best)."""
    down = functional.pad(x[:, :, 2:] - x[:, :, :-2], (0, 0, 1, 1))
    right = functional.pad(x[..., 2:] - x[..., :-2], (1, 1, 0, 0))
    return down, right


def polar(down: Tensor, right: Tensor) -> tuple[Tensor, Tensor]:
    """Magnitude, and angle in [-π, π]. Where both differences are 0 the derivative of either is 0 / 0: there the values are 0,
    and so are their gradients."""
    square = down * down + right * right
    flat = square == 0
    magnitude = torch.where(flat, 1.0, square).sqrt()
    angle = torch.atan2(down, torch.where(flat, 1.0, right))
    return torch.where(flat, 0.0, magnitude), angle


def strongest(down: Tensor, right: Tensor) -> tuple[Tensor, Tensor]:
    """Of each pixel the differences of the colour channel with the largest magnitude: (b, c, h, w) → (b, h, w)."""
    if down.shape[1] == 1:
        return down[:, 0], right[:, 0]
    best = (down * down + right * right).argmax(1, keepdim=True)
    return down.gather(1, best)[:, 0], right.gather(1, best)[:, 0]


def binned(
    magnitude: Float[Tensor, "b h w"], angle: Float[Tensor, "b h w"], bins: int, turn: float, soft: bool
) -> list[tuple[Tensor, Tensor]]:
    """Votes for directions: pairs (bin (b, h, w), votes (b, h, w)). `turn` is what all bins cover: π without sign, 2π with.

    Hard votes go to the bin that the angle lies in. Soft ones are shared by the two bins whose centres are nearest, in
    proportion to nearness, so that the histogram is a continuous function of the pixels:

        bins of 20°, angle 25°: centres 10° and 30°, shares 1/4 and 3/4
    """
    place = (angle % turn) * (bins / turn)
    if not soft:
        return [(place.detach().floor().long() % bins, magnitude)]
    place = place - 0.5  # centres at whole numbers
    low = place.detach().floor()
    share = place - low
    first = low.long() % bins
    return [(first, magnitude * (1 - share)), ((first + 1) % bins, magnitude * share)]


def cell_histograms(votes: list[tuple[Tensor, Tensor]], cell: int, bins: int) -> Float[Tensor, "b rows columns bins"]:
    """The votes of each square of `cell` pixels, averaged over its pixels; what is left over at the right and at the bottom
    belongs to no cell."""
    b, h, w = votes[0][0].shape
    rows, columns = h // cell, w // cell
    pixels = torch.arange(rows * cell, device=votes[0][0].device)[:, None] // cell * columns
    where = pixels + torch.arange(columns * cell, device=pixels.device) // cell  # cell of each pixel
    total = votes[0][1].new_zeros(b, rows * columns * bins)
    for bin_, weight in votes:
        index = where * bins + bin_[:, : rows * cell, : columns * cell]
        total = total.scatter_add(1, index.flatten(1), weight[:, : rows * cell, : columns * cell].flatten(1))
    return total.view(b, rows, columns, bins) / (cell * cell)


DEGREE = math.pi / 180
