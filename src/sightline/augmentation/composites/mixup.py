"""Mixup: two images shown through each other.

Classes: λ of one image and 1 - λ of the other, and the labels likewise (Zhang et al. 2017, arXiv:1710.09412). Boxes: half of
each, the other one at another size, with the objects of both (Zhang et al. 2019, arXiv:1902.04103; so do Ge et al. 2021,
arXiv:2107.08430).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Int
from torch import Tensor

from sightline.structures.batch import Batch
from sightline.structures.targets import Labels

from ..operation import inside
from .composite import Composite
from .mosaic import GREY
from .placing import Piece, Rectangle, paint, placed_target, whole
from .shares import beta, both_known, fitted, mixed_labels


@dataclass(frozen=True)
class Mixup(Composite):
    """Makes `share` of the samples. Of `classes` classes, λ is drawn from Beta(`alpha`, `alpha`). With boxes, the partner is
    scaled by a factor between `smallest` and `largest` and lies anywhere on the sample, or the sample anywhere on it; where it
    has no pixels, grey takes its place."""

    share: float = 1.0
    start: float = 0.0
    alpha: float = 1.0
    classes: int = 0
    smallest: float = 0.5
    largest: float = 1.5
    name: ClassVar[str] = "mixup"
    group: ClassVar[str] = "mix"
    partners: ClassVar[int] = 1
    first: ClassVar[bool] = False

    def __call__(self, batch: Batch, owner: Int[Tensor, "m"], partners: Sequence[Batch], seed: int) -> Batch:
        (other,) = partners
        if isinstance(batch.target, Labels):
            return self._of_classes(batch, owner, other, seed)
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

    def _of_classes(self, batch: Batch, owner: Int[Tensor, "m"], other: Batch, seed: int) -> Batch:
        share = beta(self.draws(batch, owner, seed, 1)[:, 0].to(owner.device), self.alpha)
        share = torch.where(both_known(batch, owner, other), share, 1.0)
        part = share[:, None, None, None]
        mixed = part * batch.image[owner].float() + (1 - part) * fitted(other, batch).float()
        image = batch.image.clone()
        image[owner] = (mixed.round() * inside(batch)[owner][:, None]).to(torch.uint8)
        return batch.with_pixels(image=image, target=mixed_labels(batch, owner, other, share, self.classes))

    def _piece(self, batch: Batch, row: int, canvas: Rectangle, draws: Sequence[float]) -> Piece:
        size, across, down = draws
        scale, source = self.smallest + size * (self.largest - self.smallest), whole(batch, row)
        width, height = max(round(scale * source.width), 1), max(round(scale * source.height), 1)
        left, top = _place(canvas.width - width, across), _place(canvas.height - height, down)
        return Piece(batch, row, source, Rectangle(left, top, left + width, top + height))


def _place(room: int, draw: float) -> int:
    """Every whole place between 0 and `room`, which is negative for a partner that is larger, equally likely."""
    return min(0, room) + int(draw * (abs(room) + 1))
