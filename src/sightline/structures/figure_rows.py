"""Figures of each image, one row an image, on the host: how well it was reconstructed, or its noise found."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int


@dataclass(frozen=True)
class FigureRows:
    """`id` (n,) row of the data manifest; `value` (n, k), a column for each of `names`."""

    id: Int[np.ndarray, "n"]
    value: Float[np.ndarray, "n k"]
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.id)

    def column(self, name: str) -> Float[np.ndarray, "n"]:
        """One figure of all images."""
        return self.value[:, self.names.index(name)]

    def take(self, which: np.ndarray) -> FigureRows:
        """The rows that an index array or a boolean mask selects."""
        return FigureRows(self.id[which], self.value[which], self.names)

    @classmethod
    def join(cls, parts: list[FigureRows]) -> FigureRows:
        id, value = (np.concatenate([getattr(p, name) for p in parts]) for name in ("id", "value"))
        return cls(id, value, parts[0].names)
