"""Whole-pixel moves: mirror left and right, and shift. No pixel value changes, so masks and boxes follow exactly.

Both are as old as the field (Simard, Steinkraus & Platt 2003; Krizhevsky et al. 2012). A shift by up to p pixels with
black coming in is the random crop of the image padded by p, told from the image's side. Moves that follow each other
are composed first, on rows and columns, and the pixels are gathered once.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from sightline.structures.batch import Batch

from .operation import Operation, followed, gathered, matrix, moved_target, pixels_first, pixels_last


class Plan(NamedTuple):
    """Source row and column of each new one (outside the image's range: nothing comes from there), and the motion of
    pixel edges, old → new."""

    rows: Int[Tensor, "b h"]
    columns: Int[Tensor, "b w"]
    motion: Float[Tensor, "b 3 3"]


class Move(Operation):
    """An operation that only moves whole pixels, rows and columns independently."""

    @abstractmethod
    def plan(self, batch: Batch, seed: int) -> Plan:
        """What moves where, for each image."""

    def __call__(self, batch: Batch, seed: int) -> Batch:
        return moved(batch, [self.plan(batch, seed)])


@dataclass(frozen=True)
class Flip(Move):
    """Left and right exchanged with `probability`, within each image's own width."""

    probability: float = 0.5
    name: ClassVar[str] = "flip"

    def plan(self, batch: Batch, seed: int) -> Plan:
        (draw,) = self.draws(batch, seed, 1)
        flipped = draw < self.probability  # (b,)
        rows, x = (torch.arange(side, device=draw.device) for side in batch.image.shape[2:])
        columns = torch.where(flipped[:, None], batch.size[:, 1:] - 1 - x, x)  # (b, w); negative in the padding
        sign, zero = torch.where(flipped, -1.0, 1.0), torch.zeros_like(draw)
        motion = matrix((sign, zero, batch.size[:, 1] * flipped), (zero, zero + 1, zero))
        return Plan(rows.expand(len(batch), len(rows)), columns, motion)  # (h,) → (b, h)


@dataclass(frozen=True)
class Shift(Move):
    """Moved by up to `pixels` in each direction, every whole shift equally likely; what comes in is black."""

    pixels: int
    name: ClassVar[str] = "shift"

    def plan(self, batch: Batch, seed: int) -> Plan:
        down, right = ((d * (2 * self.pixels + 1)).long() - self.pixels for d in self.draws(batch, seed, 2))  # (b,)
        rows, columns = (_shifted(batch, axis, by) for axis, by in ((0, down), (1, right)))
        one, zero = torch.ones_like(down), torch.zeros_like(down)
        return Plan(rows, columns, matrix((one, zero, right), (zero, one, down)))


def _shifted(batch: Batch, axis: int, by: Int[Tensor, "b"]) -> Int[Tensor, "b s"]:
    """The source row or column of each; -1 in the padding and for what lies beyond the image."""
    place = torch.arange(batch.image.shape[2 + axis], device=by.device)
    source, side = place - by[:, None], batch.size[:, axis, None]
    return source.masked_fill_((place >= side) | (source >= side), -1)


def moved(batch: Batch, plans: Sequence[Plan]) -> Batch:
    """Image and target gathered once, the frame continued; the plans follow each other."""
    rows, columns, motion = plans[0]
    for plan in plans[1:]:
        rows, columns = _through(rows, plan.rows), _through(columns, plan.columns)
        motion = followed(motion, plan.motion)

    def carry(planes: Int[Tensor, "n h w"], sample: Int[Tensor, "n"], fill: int) -> Int[Tensor, "n h w"]:
        out = torch.full_like(planes, fill)
        for image in range(len(batch)):  # all objects of an image move alike: whole rows, then whole columns
            mine = sample == image
            out[mine] = _taken(_taken(planes[mine], 1, rows[image], fill), 2, columns[image], fill)
        return out

    return replace(
        batch,
        image=pixels_first(gathered(pixels_last(batch.image), rows, columns, 0)),
        frame=followed(batch.frame, motion),
        target=moved_target(batch.target, motion, batch.size, carry),
    )


def _taken(planes: Int[Tensor, "n h w"], axis: int, place: Int[Tensor, "s"], fill: int) -> Int[Tensor, "n i j"]:
    """Rows (axis 1) or columns (axis 2) from their places; `fill` where a place is outside."""
    last = planes.shape[axis] - 1
    outside = (place < 0) | (place > last)
    found = planes.index_select(axis, place.clamp(0, last))
    return found.masked_fill_(outside[:, None] if axis == 1 else outside, fill)


def _through(first: Int[Tensor, "b s"], second: Int[Tensor, "b s"]) -> Int[Tensor, "b s"]:
    """The source before both moves of each place after both."""
    last = first.shape[1] - 1
    return first.gather(1, second.clamp(0, last)).masked_fill_((second < 0) | (second > last), -1)
