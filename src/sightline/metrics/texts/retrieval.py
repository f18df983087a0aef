"""Does each image find its text among all, and each text its image?

Equal texts are equally right: an image has found its text where the best one reads like its own.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float, Int

from sightline.structures.rows.pairs import PairRows

NAMES = ("recall_at_1", "recall_at_5", "text_recall_at_1", "text_recall_at_5")
RANKS = (1, 5)


def hits_of(rows: PairRows) -> Bool[np.ndarray, "4 n"]:
    """For each of `NAMES`, whether each query has found what it should; the text's recalls ask for the image."""
    likeness = rows.image @ rows.text.T  # (image, text)
    number = {wording: i for i, wording in enumerate(dict.fromkeys(rows.wording))}
    own = np.array([number[wording] for wording in rows.wording])
    first, second = _rank(likeness, own), _rank(likeness.T, own)
    return np.stack([rank < most for rank in (first, second) for most in RANKS])


def _rank(likeness: Float[np.ndarray, "n n"], own: Int[np.ndarray, "n"]) -> Int[np.ndarray, "n"]:
    """How many others with another text are at least as near as the nearest right one: ties count against the query."""
    right = own[:, None] == own[None]
    best = np.where(right, likeness, -np.inf).max(1, initial=-np.inf)
    return ((likeness >= best[:, None]) & ~right).sum(1)


def retrieval_metrics(rows: PairRows) -> dict[str, float | None]:
    """The means of the hits; None without samples."""
    if not len(rows):
        return dict.fromkeys(NAMES)
    return {name: float(hits.mean()) for name, hits in zip(NAMES, hits_of(rows), strict=True)}
