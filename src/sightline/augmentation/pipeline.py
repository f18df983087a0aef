"""Operations one after the other."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby

from sightline.structures.batch import Batch

from .moves import Move, moved
from .operation import Operation


@dataclass(frozen=True)
class Pipeline:
    """`pipeline(batch, seed)` applies the operations in order, whole-pixel moves that follow each other in one gather.
    None occurs twice, for the two would share their draws."""

    operations: tuple[Operation, ...] = ()

    def __post_init__(self) -> None:
        names = [operation.name for operation in self.operations]
        if len(set(names)) < len(names):
            raise ValueError(f"an operation occurs twice in {names}; its draws would be the same")

    def __call__(self, batch: Batch, seed: int) -> Batch:
        for whole_pixels, group in groupby(self.operations, lambda operation: isinstance(operation, Move)):
            if whole_pixels:
                batch = moved(batch, [move.plan(batch, seed) for move in group if isinstance(move, Move)])
            else:
                for operation in group:
                    batch = operation(batch, seed)
        return batch
