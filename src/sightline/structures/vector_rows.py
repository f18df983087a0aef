"""Rows of vectors: where a network puts each image, with what its neighbours are compared by.

Beside the network's own vector stand two that need no network: the pixels of the small grey image, and its coordinates
among the principal components of the training images. What all rows share (the head of a siamese network, the threshold of
verification) lies beside them, so that every metric stays a pure function of rows.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float, Int

VECTORS = ("vector", "pixels", "components")


@dataclass(frozen=True)
class VectorRows:
    """id          (n,) row of the data manifest
    identity    (n,) index of the identity; -1 if unknown
    vector      (n, d); the distance of two is Euclidean, or of a siamese head by `weight` (d,) and `bias`; (0,) without one
    pixels      (n, p) grey levels of the small image
    components  (n, c) its coordinates among the principal components of the training images
    threshold   two images are said to show the same if their distance is at most this; NaN until it is known
    ways        of one-shot recognition
    """

    id: Int[np.ndarray, "n"]
    identity: Int[np.ndarray, "n"]
    vector: Float[np.ndarray, "n d"]
    pixels: Float[np.ndarray, "n p"]
    components: Float[np.ndarray, "n c"]
    weight: Float[np.ndarray, "w"]
    bias: float
    threshold: float
    ways: int

    def __len__(self) -> int:
        return len(self.id)

    def take(self, which: np.ndarray) -> VectorRows:
        """The rows that an index array or a boolean mask selects."""
        chosen: dict[str, Any] = {name: getattr(self, name)[which] for name in ("id", "identity", *VECTORS)}
        return replace(self, **chosen)

    @classmethod
    def join(cls, parts: list[VectorRows]) -> VectorRows:
        joined: dict[str, Any] = {
            name: np.concatenate([getattr(part, name) for part in parts]) for name in ("id", "identity", *VECTORS)
        }
        return replace(parts[0], **joined)
