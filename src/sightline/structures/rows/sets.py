"""Real images and images that a generator made beside them, as features: one row a real image, on the host."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int


@dataclass(frozen=True)
class SetRows:
    """`id` (n,) row of the data manifest; `real` (n, d) features of that image, `made` (n, d) of an image that was made with
    noise of this number; `score_real` and `score_made` (n,) what the critic says of both. Row i pairs them by number only."""

    id: Int[np.ndarray, "n"]
    real: Float[np.ndarray, "n d"]
    made: Float[np.ndarray, "n d"]
    score_real: Float[np.ndarray, "n"]
    score_made: Float[np.ndarray, "n"]

    def __len__(self) -> int:
        return len(self.id)

    def take(self, which: np.ndarray) -> SetRows:
        """The rows that an index array or a boolean mask selects."""
        return SetRows(*(getattr(self, name)[which] for name in _COLUMNS))

    @classmethod
    def join(cls, parts: list[SetRows]) -> SetRows:
        return cls(*(np.concatenate([getattr(p, name) for p in parts]) for name in _COLUMNS))


_COLUMNS = ("id", "real", "made", "score_real", "score_made")
