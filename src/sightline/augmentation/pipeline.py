"""A sequence of operations."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby

from sightline.structures.batch import Batch

from .moves import Move, move
from .operation import Operation


@dataclass(frozen=True)
class Pipeline:
    """`pipeline(batch, seed)` applies the operations in order, consecutive whole-pixel moves in one gather. No operation may
    occur twice, because both would share their draws."""

    operations: tuple[Operation, ...] = ()

    def __post_init__(self) -> None:
        names = [operation.name for operation in self.operations]
        if len(set(names)) < len(names):
            raise ValueError(f"an operation occurs twice in {names}, and both would share their draws")

    def __call__(self, batch: Batch, seed: int) -> Batch:
        for whole_pixels, group in groupby(self.operations, lambda operation: isinstance(operation, Move)):
            if whole_pixels:
                batch = move(batch, [op.pixel_map(batch, seed) for op in group if isinstance(op, Move)])
            else:
                for operation in group:
                    batch = operation(batch, seed)
        return batch
