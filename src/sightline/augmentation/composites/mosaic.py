"""Mosaic: four images around a random point (Bochkovskiy, Wang & Liao 2020, arXiv:2004.10934; Ge et al. 2021,
arXiv:2107.08430). Objects get new neighbours, contexts and sizes, and a batch shows four times as many.

As published, the point lies in the middle half of a canvas of twice the sides, the four images touch it with one corner
each, the canvas is scaled about its centre and moved by up to a tenth, and the middle of it is cut out. The published
versions also rotate by up to 10 degrees and shear by 2; that is left to `affine`, because a box around a rotated box is
larger than its object.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Float, Int
from torch import Tensor

from sightline.structures.batch import Batch

from ..operation import chain
from .composite import Composite
from .placing import Piece, Rectangle, content, paint, placed_target, whole

GREY = 114  # of pixels without an image, as published


@dataclass(frozen=True)
class Mosaic(Composite):
    """Makes `share` of the samples. All four images are scaled by one factor between `smallest` and `largest`; the point
    moves by up to `shift` of the sides. Only what shows an original is used: a letterbox's padding is cut off."""

    share: float = 1.0
    smallest: float = 0.1
    largest: float = 2.0
    shift: float = 0.1
    name: ClassVar[str] = "mosaic"
    partners: ClassVar[int] = 3
    first: ClassVar[bool] = True

    def __call__(self, batch: Batch, owner: Int[Tensor, "m"], partners: Sequence[Batch], seed: int) -> Batch:
        image, frame, rows = batch.image.clone(), batch.frame.clone(), owner.tolist()
        pieces = []
        for number, (row, draws) in enumerate(zip(rows, self.draws(batch, owner, seed, 5).tolist(), strict=True)):
            some = self._pieces([(batch, row), *((partner, number) for partner in partners)], draws)
            canvas = whole(batch, row)
            image[row, :, : canvas.height, : canvas.width] = GREY
            for piece in some:
                paint(image[row, :, : canvas.height, : canvas.width], piece)
            frame[row] = chain(batch.frame[row][None], _motion(some[0], frame))[0]
            pieces.append(some)
        target = placed_target(batch.target, rows, pieces, batch)
        return batch.with_pixels(image=image, frame=frame, target=target)

    def _pieces(self, images: Sequence[tuple[Batch, int]], draws: Sequence[float]) -> list[Piece]:
        """The sample above left of the point, its partners above right, below left, below right."""
        across, down, size, right, below = draws
        scale = self.smallest + size * (self.largest - self.smallest)
        canvas = whole(*images[0])
        x = round((0.5 + scale * (across - 0.5) + (2 * right - 1) * self.shift) * canvas.width)
        y = round((0.5 + scale * (down - 0.5) + (2 * below - 1) * self.shift) * canvas.height)
        pieces = []
        for corner, (batch, row) in enumerate(images):
            source = content(batch, row)
            width, height = max(round(scale * source.width), 1), max(round(scale * source.height), 1)
            left, top = x - width * (corner % 2 == 0), y - height * (corner < 2)
            pieces.append(Piece(batch, row, source, Rectangle(left, top, left + width, top + height)))
        return pieces


def _motion(piece: Piece, like: Tensor) -> Float[Tensor, "1 3 3"]:
    """Old → new pixel edges."""
    (across, down), (right, below) = piece.scale, piece.offset
    return like.new_tensor([[[across, 0, right], [0, down, below], [0, 0, 1]]])
