"""Whole-pixel moves: mirror left and right, and shift. No pixel value changes, so masks and boxes follow exactly.

Both are as old as the field (Simard, Steinkraus & Platt 2003; Krizhevsky et al. 2012). A shift by up to p pixels that
fills with black equals the usual random crop of the image padded by p. Consecutive moves are composed first, on row and
column indexes, and the pixels are gathered once.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from sightline.structures.batch import Batch

from .operation import Operation, chain, gather, matrix, move_target, pixels_first, pixels_last


class PixelMap(NamedTuple):
    """Where each new row and column comes from (an index outside the image: from nowhere), and the matrix `motion` that maps
    pixel edges, old → new.

    Flipping an image 3 wide on a canvas of 4: columns (2, 1, 0, -1), and x becomes 3 - x.
    """

    rows: Int[Tensor, "b h"]
    columns: Int[Tensor, "b w"]
    motion: Float[Tensor, "b 3 3"]


class Move(Operation):
    """An operation that only moves whole pixels, rows and columns independently."""

    @abstractmethod
    def pixel_map(self, batch: Batch, seed: int) -> PixelMap:
        """Where the pixels of each image come from."""

    def __call__(self, batch: Batch, seed: int) -> Batch:
        return move(batch, [self.pixel_map(batch, seed)])


@dataclass(frozen=True)
class Flip(Move):
    """Mirrors left and right with `probability`, within the width of each image."""

    probability: float = 0.5
    name: ClassVar[str] = "flip"

    def pixel_map(self, batch: Batch, seed: int) -> PixelMap:
        (draw,) = self.draws(batch, seed, 1)
        flipped = draw < self.probability  # (b,)
        rows, x = (torch.arange(side, device=draw.device) for side in batch.image.shape[2:])
        columns = torch.where(flipped[:, None], batch.size[:, 1:] - 1 - x, x)  # (b, w); negative in the padding
        sign, zero = torch.where(flipped, -1.0, 1.0), torch.zeros_like(draw)
        motion = matrix((sign, zero, batch.size[:, 1] * flipped), (zero, zero + 1, zero))
        return PixelMap(rows.expand(len(batch), len(rows)), columns, motion)  # (h,) → (b, h)


@dataclass(frozen=True)
class Shift(Move):
    """Shifts by up to `pixels` in each direction, every whole shift equally likely; fills with black."""

    pixels: int
    name: ClassVar[str] = "shift"

    def pixel_map(self, batch: Batch, seed: int) -> PixelMap:
        down, right = ((d * (2 * self.pixels + 1)).long() - self.pixels for d in self.draws(batch, seed, 2))  # (b,)
        rows, columns = (_shift_axis(batch, axis, by) for axis, by in ((0, down), (1, right)))
        one, zero = torch.ones_like(down), torch.zeros_like(down)
        return PixelMap(rows, columns, matrix((one, zero, right), (zero, one, down)))


def _shift_axis(batch: Batch, axis: int, by: Int[Tensor, "b"]) -> Int[Tensor, "b s"]:
    """The source of each row or column; -1 in the padding and outside the image."""
    place = torch.arange(batch.image.shape[2 + axis], device=by.device)
    source, side = place - by[:, None], batch.size[:, axis, None]
    return source.masked_fill_((place >= side) | (source >= side), -1)


def move(batch: Batch, maps: Sequence[PixelMap]) -> Batch:
    """The batch after all `maps` in order, with one gather for the image and one for the target."""
    rows, columns, motion = maps[0]
    for step in maps[1:]:
        rows, columns = _compose(rows, step.rows), _compose(columns, step.columns)
        motion = chain(motion, step.motion)

    def carry(planes: Int[Tensor, "n h w"], sample: Int[Tensor, "n"], fill: int) -> Int[Tensor, "n h w"]:
        out = torch.full_like(planes, fill)
        for image in range(len(batch)):  # all objects of an image move alike: select whole rows, then whole columns
            mine = sample == image
            out[mine] = _select(_select(planes[mine], 1, rows[image], fill), 2, columns[image], fill)
        return out

    return batch.with_pixels(
        image=pixels_first(gather(pixels_last(batch.image), rows, columns, 0)),
        frame=chain(batch.frame, motion),
        target=move_target(batch.target, motion, batch.size, carry),
    )


def _select(planes: Int[Tensor, "n h w"], axis: int, place: Int[Tensor, "s"], fill: int) -> Int[Tensor, "n i j"]:
    """Rows (axis 1) or columns (axis 2) by index; `fill` where an index is outside."""
    last = planes.shape[axis] - 1
    outside = (place < 0) | (place > last)
    selection = planes.index_select(axis, place.clamp(0, last))
    return selection.masked_fill_(outside[:, None] if axis == 1 else outside, fill)


def _compose(first: Int[Tensor, "b s"], second: Int[Tensor, "b s"]) -> Int[Tensor, "b s"]:
    """The source of each place across two moves: first[second], -1 where `second` is outside.

    A flip (2, 1, 0), then a shift to the right by one (-1, 0, 1): (-1, 2, 1).
    """
    last = first.shape[1] - 1
    return first.gather(1, second.clamp(0, last)).masked_fill_((second < 0) | (second > last), -1)
