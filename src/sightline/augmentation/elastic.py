"""Elastic distortion: every pixel moves by a smooth random field, as handwriting varies.

Simard, Steinkraus & Platt 2003, "Best practices for convolutional neural networks applied to visual document analysis":
a displacement uniform in [-1, 1] for each pixel, smoothed by a Gaussian of deviation σ = 4 pixels and multiplied by α = 34, on
images of 28 pixels. Here the field is given by the deviation of its displacements instead of α, which is 1.4 pixels there.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from sightline.randomness.keyed import uniform
from sightline.structures.batch import Batch
from sightline.structures.targets import Boxes, Outlines, Several, Target

from .operation import Carry, Operation, inside, move_target

_WIDEST = 1 << 16  # more than any side: a pixel's key does not depend on how much padding its batch has


@dataclass(frozen=True)
class Elastic(Operation):
    """`sigma` is the smoothness and `deviation` the typical displacement, both in pixels. Masks follow their images; a box
    becomes the box around its moved pixels."""

    sigma: float = 4.0
    deviation: float = 1.4
    name: ClassVar[str] = "elastic"

    def __call__(self, batch: Batch, seed: int) -> Batch:
        grid = self._grid(batch, seed)
        keep = inside(batch)[:, None]  # (b, 1, h, w)
        image = F.grid_sample(batch.image.float(), grid, mode="bilinear", align_corners=False).round() * keep

        def carry(planes: Int[Tensor, "n h w"], sample: Int[Tensor, "n"], fill: int) -> Int[Tensor, "n h w"]:
            known = (planes[:, None] - fill).float()  # grid_sample fills with zero, so `fill` is shifted to zero
            near = F.grid_sample(known, grid[sample], mode="nearest", align_corners=False) * keep[sample]
            return near[:, 0].to(planes.dtype) + fill

        return batch.with_pixels(
            image=image.to(torch.uint8, memory_format=torch.channels_last),
            target=_carried(batch.target, batch, carry),
        )

    def _grid(self, batch: Batch, seed: int) -> Float[Tensor, "b h w 2"]:
        """Where each new pixel comes from, in grid_sample's coordinates."""
        (height, width), device = batch.image.shape[2:], batch.image.device
        field = self.field(batch, seed)  # (b, 2, h, w) in pixels
        x = torch.arange(width, device=device) + 0.5 + field[:, 0]
        y = (torch.arange(height, device=device) + 0.5)[:, None] + field[:, 1]
        return torch.stack([x * (2 / width) - 1, y * (2 / height) - 1], 3)

    def field(self, batch: Batch, seed: int) -> Float[Tensor, "b 2 h w"]:
        """Displacements right and down in pixels. A fixed order of summation keeps them independent of the batch."""
        (height, width), device = batch.image.shape[2:], batch.image.device
        row, column = torch.arange(height, device=device), torch.arange(width, device=device)
        key = row[:, None] * _WIDEST + column  # (h, w)
        planes = [
            uniform(seed, f"augmentation/{self.name}/{axis}", batch.position[:, None, None], key) * 2 - 1
            for axis in ("right", "down")
        ]
        noise = torch.stack(planes, 1) * inside(batch)[:, None]  # (b, 2, h, w)
        weights = gaussian(self.sigma)
        smooth = _along(_along(noise, weights, 3), weights, 2)
        spread = math.sqrt(1 / 3) * sum(w * w for w in weights)  # of uniform noise, smoothed along both axes
        return smooth * (self.deviation / spread)


def gaussian(sigma: float) -> list[float]:
    """Weights of a Gaussian at whole distances up to three deviations; they sum to 1."""
    reach = math.ceil(3 * sigma)
    weights = [math.exp(-0.5 * (k / sigma) ** 2) for k in range(-reach, reach + 1)]
    return [w / sum(weights) for w in weights]


def _along(x: Float[Tensor, "b 2 h w"], weights: list[float], axis: int) -> Float[Tensor, "b 2 h w"]:
    """Weighted sum of shifted copies along one axis, zero outside."""
    reach, side = len(weights) // 2, x.shape[axis]
    padded = F.pad(x, (reach, reach, 0, 0) if axis == 3 else (0, 0, reach, reach))
    total = torch.zeros_like(x)
    for k, weight in enumerate(weights):
        total = total + padded.narrow(axis, k, side) * weight
    return total


def _carried(target: Target, batch: Batch, carry: Carry) -> Target:
    """The target with its masks moved; how far a box reaches is known by its pixels alone."""
    if isinstance(target, Several):
        return Several({name: _carried(t, batch, carry) for name, t in target.by_name.items()})
    (n, _, height, width), device = batch.image.shape, batch.image.device
    still = torch.eye(3, device=device).expand(n, 3, 3)
    if not isinstance(target, Boxes):
        return move_target(target, still, batch.size, carry)
    x0, y0, x1, y1 = target.boxes.T[:, :, None]  # each (n, 1)
    column, row = (torch.arange(side, device=device) + 0.5 for side in (width, height))
    across, down = (x0 <= column) & (column < x1), (y0 <= row) & (row < y1)  # (n, w), (n, h)
    moved = move_target(Outlines(target, down[:, :, None] & across[:, None, :]), still, batch.size, carry)
    assert isinstance(moved, Outlines)
    return moved.boxes
