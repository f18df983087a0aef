"""The base of operations that make one sample out of several images, and how they go with operations on single ones.

Partners are further samples of the training split. Which samples have one, and which one, are functions of (seed, position
in the stream), so the stream loads them and this room only joins them: any batch size, accumulation, number of workers or
ranks, and a run that was resumed, give the same samples. A partner has a key of its own in place of a position, and goes
through the operations on single images by itself.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from sightline.randomness.keyed import uniform
from sightline.structures.batch import Batch

from ..pipeline import Pipeline


class Composite(ABC):
    """One operation on a sample and its partners. Implementations are frozen dataclasses; `name` keys the draws."""

    name: ClassVar[str]
    partners: ClassVar[int]  # further images that a sample needs
    first: ClassVar[bool]  # whether it works on images as they were read, before the operations on single images
    share: float  # of the samples that it makes
    start: float = 0.0  # where its share of the draws begins, among those of the same group
    group: ClassVar[str] = ""  # operations of a group never make the same sample

    def happens(self, position: Int[Tensor, "b"], seed: int) -> Bool[Tensor, "b"]:
        """Which samples it makes, by position in the stream."""
        draw = uniform(seed, f"augmentation/{self.group or self.name}", position)
        return (draw >= self.start) & (draw < self.start + self.share)

    @abstractmethod
    def __call__(self, batch: Batch, owner: Int[Tensor, "m"], partners: Sequence[Batch], seed: int) -> Batch:
        """The batch with the samples `owner` made of themselves and row j of each of `partners`."""

    def draws(self, batch: Batch, owner: Int[Tensor, "m"], seed: int, n: int) -> Float[Tensor, "m n"]:
        """`n` independent uniform numbers in [0, 1) for each sample that it makes, on the host."""
        position = batch.position[owner].cpu()
        return uniform(seed, f"augmentation/{self.name}/draw", position[:, None], torch.arange(n))

    def seats(self) -> list[str]:
        """The names of its partners."""
        return [f"{self.name}/{number}" for number in range(self.partners)]


@dataclass(frozen=True)
class Augmentation:
    """Everything that a training does to its samples: `operations` on each image, `composites` of several.

    `closed` is the position in the stream from which no sample is a composite any more; None: all may be.
    """

    operations: Pipeline = field(default_factory=Pipeline)
    composites: tuple[Composite, ...] = ()
    closed: int | None = None

    def partners(self, positions: Int[Tensor, "b"], seed: int) -> Mapping[str, Bool[Tensor, "b"]]:
        """For each partner by name, which of the samples at these positions have it."""
        wanted: dict[str, Bool[Tensor, "b"]] = {}
        for composite in self.composites:
            happens = composite.happens(positions, seed)
            if self.closed is not None:
                happens = happens & (positions < self.closed)
            wanted |= dict.fromkeys(composite.seats(), happens)
        return wanted

    def __call__(self, batch: Batch, seed: int) -> Batch:
        partners, batch = batch.partners, replace(batch, partners={})
        for composite in self.composites:
            seats = [partners[seat] for seat in composite.seats() if seat in partners]
            if composite.first and seats:
                batch = composite(batch, seats[0].owner, [seat.batch for seat in seats], seed)
        batch = self.operations(batch, seed)
        for composite in self.composites:
            seats = [partners[seat] for seat in composite.seats() if seat in partners]
            if not composite.first and seats:
                others = [self.operations(seat.batch, seed) for seat in seats]
                batch = composite(batch, seats[0].owner, others, seed)
        return batch
