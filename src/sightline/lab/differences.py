"""The numerical gradient: one coordinate after the other is moved by a little, the others stay where they were."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
from jaxtyping import Float

Loss = Callable[[Float[np.ndarray, "..."]], float]


def numerical_gradient(
    loss: Loss, w: Float[np.ndarray, "..."], *, h: float = 1e-5, scheme: Literal["forward", "central"] = "central"
) -> Float[np.ndarray, "..."]:
    """dL/dw of the shape of w, by differences of step h.

    forward    (L(w + h) - L(w)) / h           its error falls like h
    central    (L(w + h) - L(w - h)) / 2h      its error falls like h², for twice the evaluations
    """
    w = np.array(w, dtype=np.float64)
    here = loss(w) if scheme == "forward" else 0.0
    slope = np.zeros_like(w)
    for i in np.ndindex(w.shape):
        kept = w[i]
        w[i] = kept + h
        above = loss(w)
        if scheme == "forward":
            slope[i] = (above - here) / h
        else:
            w[i] = kept - h
            slope[i] = (above - loss(w)) / (2 * h)
        w[i] = kept
    return slope


def relative_error(a: Float[np.ndarray, "..."], b: Float[np.ndarray, "..."]) -> float:
    """The largest |a - b| / max(|a|, |b|) over all entries, 0 where both are 0."""
    largest = np.maximum(np.abs(a), np.abs(b))
    return float(np.max(np.abs(a - b) / np.where(largest > 0, largest, 1.0)))
