"""The rows of images beside their texts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int


@dataclass(frozen=True)
class PairRows:
    """One row a sample: `id` (n,), `image` and `text` (n, d) vectors of length 1, the `wording` of each."""

    id: Int[np.ndarray, "n"]
    image: Float[np.ndarray, "n d"]
    text: Float[np.ndarray, "n d"]
    wording: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.id)

    @classmethod
    def join(cls, parts: list[PairRows]) -> PairRows:
        id, image, text = (np.concatenate([getattr(p, name) for p in parts]) for name in ("id", "image", "text"))
        return cls(id, image, text, tuple(text for p in parts for text in p.wording))
