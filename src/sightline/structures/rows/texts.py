"""The rows of written answers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int


@dataclass(frozen=True)
class TextRows:
    """One row a sample: `id` (n,), the `reference` texts of each, the `answer`; `loss` (n,) the sum of the losses of the
    `terms` (n,) tokens of the true text; `confidence` (n,) of the answer."""

    id: Int[np.ndarray, "n"]
    reference: tuple[tuple[str, ...], ...]
    answer: tuple[str, ...]
    loss: Float[np.ndarray, "n"]
    terms: Float[np.ndarray, "n"]
    confidence: Float[np.ndarray, "n"]

    def __len__(self) -> int:
        return len(self.id)

    @classmethod
    def join(cls, parts: list[TextRows]) -> TextRows:
        loss, terms, confidence = (np.concatenate([getattr(p, name) for p in parts]) for name in _FIGURES)
        return cls(
            np.concatenate([p.id for p in parts]),
            tuple(texts for p in parts for texts in p.reference),
            tuple(text for p in parts for text in p.answer),
            loss,
            terms,
            confidence,
        )


_FIGURES = ("loss", "terms", "confidence")
