"""Rotation, scaling, shearing and translation about the centre of the image, resampled once.

Images are interpolated bilinearly (black outside) and rounded half to even; masks take the nearest pixel (ignored
outside). Angles are drawn uniformly in t, the tangent of half the angle: then cos = (1 - t²) / (1 + t²) and
sin = 2t / (1 + t²) need no transcendental function, whose last bit may depend on a sample's place in the batch. Up to
30 degrees the density differs from that of uniform angles by less than 7 %.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from sightline.structures.batch import Batch

from .operation import Operation, chain, inside, matrix, move_target


@dataclass(frozen=True)
class Affine(Operation):
    """`rotate` and `shear` in degrees (below 90), `scale` and `translate` as shares: each is drawn uniformly between
    plus and minus its value (scale around 1)."""

    rotate: float = 10.0
    scale: float = 0.1
    shear: float = 5.0
    translate: float = 0.0
    name: ClassVar[str] = "affine"

    def __call__(self, batch: Batch, seed: int) -> Batch:
        return warp(batch, self._motion(batch, seed))

    def _motion(self, batch: Batch, seed: int) -> Float[Tensor, "b 3 3"]:
        """Old → new pixel edges: shear, scale, rotate about the centre of the image, then translate."""
        angle, size, slant, right, down = (2 * d - 1 for d in self.draws(batch, seed, 5))  # each (b,) in [-1, 1)
        t = angle * math.tan(math.radians(self.rotate) / 2)
        cos, sin = (1 - t * t) / (1 + t * t), 2 * t / (1 + t * t)
        zoom, k = 1 + size * self.scale, slant * math.tan(math.radians(self.shear))
        a, b, c, d = zoom * cos, zoom * (k * cos - sin), zoom * sin, zoom * (k * sin + cos)
        height, width = batch.size.float().unbind(1)
        x, y = width / 2, height / 2
        move_x, move_y = right * self.translate * width, down * self.translate * height
        return matrix((a, b, x - (a * x + b * y) + move_x), (c, d, y - (c * x + d * y) + move_y))


def warp(batch: Batch, motion: Float[Tensor, "b 3 3"]) -> Batch:
    """The batch after its images moved by `motion` (old → new pixel edges)."""
    grid = _grid(_inverse(motion), *batch.image.shape[2:])
    keep = inside(batch)[:, None]  # (b, 1, h, w)
    image = F.grid_sample(batch.image.float(), grid, mode="bilinear", align_corners=False).round() * keep

    def carry(planes: Int[Tensor, "n h w"], sample: Int[Tensor, "n"], fill: int) -> Int[Tensor, "n h w"]:
        known = (planes[:, None] - fill).float()  # grid_sample fills with zero, so `fill` is shifted to zero
        near = F.grid_sample(known, grid[sample], mode="nearest", align_corners=False) * keep[sample]
        return near[:, 0].to(planes.dtype) + fill

    return batch.with_pixels(
        image=image.to(torch.uint8, memory_format=torch.channels_last),
        frame=chain(batch.frame, motion),
        target=move_target(batch.target, motion, batch.size, carry),
    )


def _inverse(motion: Float[Tensor, "b 3 3"]) -> Float[Tensor, "b 2 3"]:
    """The first two rows of the inverse, entry by entry: a batched solver may round differently for another batch size."""
    (a, b, x), (c, d, y) = (motion[:, row].unbind(1) for row in (0, 1))
    det = a * d - b * c
    a, b, c, d = d / det, -b / det, -c / det, a / det
    rows = ((a, b, -(a * x + b * y)), (c, d, -(c * x + d * y)))
    return torch.stack([torch.stack(row, 1) for row in rows], 1)


def _grid(back: Float[Tensor, "b 2 3"], height: int, width: int) -> Float[Tensor, "b h w 2"]:
    """The source of the centre of each new pixel, in grid_sample's coordinates (-1 and 1 are the outer edges of the
    canvas)."""
    y = (torch.arange(height, device=back.device) + 0.5)[:, None]  # (h, 1)
    x = torch.arange(width, device=back.device) + 0.5  # (w,)
    axes = []
    for row, side in ((back[:, 0], width), (back[:, 1], height)):
        a, b, c = (v[:, None, None] for v in (row * (2 / side)).unbind(1))  # each (b, 1, 1)
        axes.append(a * x + (b * y + (c - 1)))  # (b, 1, w) + (b, h, 1) → (b, h, w)
    return torch.stack(axes, 3)
