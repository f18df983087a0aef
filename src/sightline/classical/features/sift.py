"""Dense SIFT: gradient histograms of 4 x 4 cells and 8 directions around the points of a grid (Lowe 2004, IJCV 60; without
detection, scale and rotation: Bosch, Zisserman & Munoz 2006)."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from sightline.errors import UsageError

from .gradients import binned, central_differences, grey, polar

CELLS, DIRECTIONS, CLIP = 4, 8, 0.2
LENGTH = CELLS * CELLS * DIRECTIONS  # 128


class DenseSift(nn.Module):
    """Images (b, c, h, w) → descriptors (b, rows · columns, 128) at every `step` pixels, of 4 cells of `cell` pixels a side.

    A pixel votes for the two directions and the four cells that are nearest, by nearness. The descriptor is brought to length
    1, clipped at 0.2 and brought to length 1 again; where there is no gradient it is 0.
    """

    def __init__(self, *, cell: int = 4, step: int = 4) -> None:
        super().__init__()
        self.cell, self.step = cell, step
        tent = 1 - (torch.arange(2 * cell).float() + 0.5 - cell).abs() / cell  # of a cell's votes, by nearness
        kernel = tent[:, None] * tent / tent.sum() ** 2
        self.register_buffer("kernel", kernel.expand(DIRECTIONS, 1, -1, -1).contiguous(), persistent=False)

    kernel: Tensor

    def grid(self, height: int, width: int) -> tuple[int, int]:
        """Rows and columns of descriptors. UsageError for an image smaller than one."""
        side = CELLS * self.cell
        if min(height, width) < side:
            raise UsageError(
                f"an image of {height}x{width} pixels is smaller than a SIFT descriptor, {side}x{side}",
                "use a smaller cell",
            )
        return (height - side) // self.step + 1, (width - side) // self.step + 1

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b p 128"]:
        rows, columns = self.grid(*x.shape[2:])
        magnitude, angle = polar(*(d[:, 0] for d in central_differences(grey(x))))
        maps = magnitude.new_zeros(len(x), DIRECTIONS, *x.shape[2:])
        for bin_, votes in binned(magnitude, angle, DIRECTIONS, 2 * math.pi, soft=True):
            maps = maps.scatter_add(1, bin_[:, None], votes[:, None])
        # the tent of a cell reaches half a cell beyond it; cell i of the descriptor at p is centred on p + (i + ½) cell
        half = self.cell // 2
        padded = functional.pad(maps, (half, self.cell - half, half, self.cell - half))
        cells = functional.conv2d(padded, self.kernel, groups=DIRECTIONS)
        found = []
        for i in range(CELLS):
            for j in range(CELLS):
                part = cells[:, :, i * self.cell :: self.step, j * self.cell :: self.step]
                found.append(part[:, :, :rows, :columns])
        descriptor = torch.stack(found, 1).flatten(1, 2)  # (b, 16 · 8, rows, columns)
        unit = _unit(descriptor.flatten(2).transpose(1, 2))
        return _unit(unit.clamp(max=CLIP))


def _unit(x: Float[Tensor, "... d"]) -> Float[Tensor, "... d"]:
    return x / (x.square().sum(-1, keepdim=True) + 1e-8).sqrt()
