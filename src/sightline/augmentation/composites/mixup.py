"""Mixup with boxes: two images shown through each other, with the objects of both (Zhang et al. 2019, arXiv:1902.04103; as
Ge et al. 2021, arXiv:2107.08430, do it: half each, the other one at another size)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Int
from torch import Tensor

from sightline.structures.batch import Batch

from .composite import Composite
from .mosaic import GREY
from .placing import Piece, Rectangle, paint, placed_target, whole


@dataclass(frozen=True)
class Mixup(Composite):
    """Makes `share` of the samples. The partner is scaled by a factor between `smallest` and `largest` and lies anywhere on the
    sample, or the sample anywhere on it; where it has no pixels, grey takes its place."""

    share: float = 1.0
    smallest: float = 0.5
    largest: float = 1.5
    name: ClassVar[str] = "mixup"
    partners: ClassVar[int] = 1
    first: ClassVar[bool] = False

    def __call__(self, batch: Batch, owner: Int[Tensor, "m"], partners: Sequence[Batch], seed: int) -> Batch:
        (other,) = partners
        image, rows, pieces = batch.image.clone(), owner.tolist(), []
        for number, (row, draws) in enumerate(zip(rows, self.draws(batch, owner, seed, 3).tolist(), strict=True)):
            canvas = whole(batch, row)
            piece = self._piece(other, number, canvas, draws)
            mine = image[row, :, : canvas.height, : canvas.width]
            layer = torch.full_like(mine, GREY)
            paint(layer, piece)
            mine.copy_((mine.to(torch.int16) + layer + 1) // 2)
            pieces.append([Piece(batch, row, canvas, canvas), piece])
        return batch.with_pixels(image=image, target=placed_target(batch.target, rows, pieces, batch))

    def _piece(self, batch: Batch, row: int, canvas: Rectangle, draws: Sequence[float]) -> Piece:
        size, across, down = draws
        scale, source = self.smallest + size * (self.largest - self.smallest), whole(batch, row)
        width, height = max(round(scale * source.width), 1), max(round(scale * source.height), 1)
        left, top = _place(canvas.width - width, across), _place(canvas.height - height, down)
        return Piece(batch, row, source, Rectangle(left, top, left + width, top + height))


def _place(room: int, draw: float) -> int:
    """Every whole place between 0 and `room`, which is negative for a partner that is larger, equally likely."""
    return min(0, room) + int(draw * (abs(room) + 1))
