"""Histograms of oriented gradients, batched and differentiable (Dalal & Triggs 2005, CVPR).

Each cell of 8 x 8 pixels counts the directions of its gradients, weighted by their strength; blocks of neighbouring cells are
normalised together, so that contrast and brightness do not matter. Without blocks a 320 x 240 image has
40 · 30 · 9 = 10,800 numbers. With `soft=False` the values are those of `skimage.feature.hog` under the same options.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from sightline.errors import UsageError

from .gradients import binned, cell_histograms, central_differences, polar, strongest

Norm = Literal["none", "l1", "l1_sqrt", "l2", "l2_hys"]
EPS = 1e-5
CLIP = 0.2  # of l2_hys: the largest share of one direction, after Lowe 2004


class Hog(nn.Module):
    """Images (b, c, h, w) in 0-1 → (b, size): the blocks from left to right and top to bottom; within a block its cells, and
    of each cell its directions from 0° on.

    cell, bins    pixels along a cell's side; directions of half a turn
    block, norm   cells along a block's side, and how a block is normalised; "none" leaves the histograms as they are
    root          the square root of the pixels first, which evens out illumination
    soft          each pixel votes for the two nearest directions, not for one
    smooth        and for the nearest cells, by nearness, as Dalal and Triggs do; scikit-image does not
    """

    def __init__(
        self,
        *,
        cell: int = 8,
        bins: int = 9,
        block: int = 2,
        norm: Norm = "l2_hys",
        root: bool = False,
        soft: bool = True,
        smooth: bool = False,
    ) -> None:
        super().__init__()
        if smooth and cell % 2:
            raise UsageError(
                f"cells of {cell} pixels cannot share votes by halves", "use an even cell, or smooth=False"
            )
        self.smooth = smooth
        self.cell, self.bins, self.block, self.norm, self.root, self.soft = cell, bins, block, norm, root, soft

    def grid(self, height: int, width: int) -> tuple[int, int]:
        """Rows and columns of blocks. UsageError for an image smaller than one."""
        rows, columns = height // self.cell - self.block + 1, width // self.cell - self.block + 1
        if min(rows, columns) < 1:
            side = self.cell * self.block
            raise UsageError(
                f"an image of {height}x{width} pixels is smaller than a block of HOG, {side}x{side}",
                "use larger images or a smaller cell",
            )
        return rows, columns

    def size(self, height: int, width: int) -> int:
        """The length of the vector."""
        return math.prod(self.grid(height, width)) * self.block**2 * self.bins

    def histograms(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b rows columns bins"]:
        """The cells before they are normalised."""
        if self.root:
            x = torch.where(x > 0, x, 1.0).sqrt() * (x > 0)
        magnitude, angle = polar(*strongest(*central_differences(x)))
        votes = binned(magnitude, angle, self.bins, math.pi, self.soft)
        return self._smoothed(votes) if self.smooth else cell_histograms(votes, self.cell, self.bins)

    def _smoothed(self, votes: list[tuple[Tensor, Tensor]]) -> Float[Tensor, "b rows columns bins"]:
        """Votes shared by the nearest cells, by nearness, counted in halves of cells: along a side a cell takes 1/4, 3/4, 3/4,
        1/4 of the halves around it. A digit that moves by a pixel then changes its vector a little, not by leaps."""
        halves = cell_histograms(votes, self.cell // 2, self.bins)
        rows, columns = (n // 2 for n in halves.shape[1:3])
        halves = functional.pad(halves[:, : 2 * rows, : 2 * columns].permute(0, 3, 1, 2), (1, 1, 1, 1))
        side = halves.new_tensor((0.25, 0.75, 0.75, 0.25))
        kernel = (side[:, None] * side / 4).expand(self.bins, 1, 4, 4)
        return functional.conv2d(halves, kernel, stride=2, groups=self.bins).permute(0, 2, 3, 1)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b size"]:
        self.grid(*x.shape[2:])
        cells = self.histograms(x)
        # (b, rows, columns, bins, block, block) → the cells of a block before their directions
        blocks = cells.unfold(1, self.block, 1).unfold(2, self.block, 1).permute(0, 1, 2, 4, 5, 3).flatten(3)
        return _normalised(blocks, self.norm).flatten(1)

    def of_cells(
        self, vector: Float[np.ndarray, "size"], height: int, width: int
    ) -> Float[np.ndarray, "rows columns bins"]:
        """Weights over the vector, added up for each cell: a cell is in up to four blocks."""
        rows, columns = self.grid(height, width)
        blocks = vector.reshape(rows, columns, self.block, self.block, self.bins)
        cells = np.zeros((rows + self.block - 1, columns + self.block - 1, self.bins))
        for i in range(self.block):
            for j in range(self.block):
                cells[i : i + rows, j : j + columns] += blocks[:, :, i, j]
        return cells


def _normalised(blocks: Float[Tensor, "... n"], norm: Norm) -> Float[Tensor, "... n"]:
    if norm == "none":
        return blocks
    if norm in ("l1", "l1_sqrt"):
        shares = blocks / (blocks.abs().sum(-1, keepdim=True) + EPS)
        return shares if norm == "l1" else torch.where(shares > 0, shares, 1.0).sqrt() * (shares > 0)
    lengths = _unit(blocks)
    return lengths if norm == "l2" else _unit(lengths.clamp(max=CLIP))


def _unit(x: Tensor) -> Tensor:
    return x / (x.square().sum(-1, keepdim=True) + EPS**2).sqrt()


def glyphs(cells: Float[np.ndarray, "rows columns bins"], side: int = 16, turn: int = 1) -> Float[np.ndarray, "h w"]:
    """A picture of cells (rows · side, columns · side), values from 0 on: each direction as a line along the edge that it
    stands for, at right angles to the gradient, as bright as its weight. Negative weights are left out. `turn=2`: bins cover a
    whole turn, and each is half a line in the direction of its gradient."""
    rows, columns, bins = cells.shape
    middle = (side - 1) / 2
    y, x = np.mgrid[:side, :side] - middle
    picture = np.zeros((rows, columns, side, side))
    for k in range(bins):
        angle = (k + 0.5) * turn * math.pi / bins  # of the gradient, from the columns towards the rows
        along, across = x * math.cos(angle) + y * math.sin(angle), y * math.cos(angle) - x * math.sin(angle)
        line = np.clip(1.2 - np.abs(along if turn == 1 else across), 0, 1) * (np.hypot(x, y) <= middle)
        line = line if turn == 1 else line * (along >= 0)
        picture = np.maximum(picture, np.clip(cells[:, :, k, None, None], 0, None) * line)
    return picture.transpose(0, 2, 1, 3).reshape(rows * side, columns * side)
