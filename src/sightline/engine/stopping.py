"""Early stopping and the best validation as functions of the scores so far (higher is better)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def best_index(scores: Sequence[Any]) -> int:
    """The index of the highest score; of equal ones the first, because nothing was gained after it."""
    return max(range(len(scores)), key=lambda i: (scores[i], -i))


def should_stop(scores: Sequence[Any], patience: int) -> bool:
    """Whether the last `patience` scores all failed to beat the best before them."""
    return len(scores) > patience and len(scores) - 1 - best_index(scores) >= patience
