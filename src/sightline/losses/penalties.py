"""Penalties on weights.

The squared penalty prefers weight spread over many inputs; the absolute one prefers few and drives weights to exactly
0. `weight_decay_term` with strength λ over m samples has gradient λ/m · W, which equals an optimiser's `weight_decay`
of λ/m under SGD. Use one of the two, never both.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from jaxtyping import Float
from torch import Tensor


def l1_penalty(weights: Iterable[Tensor]) -> Float[Tensor, ""]:
    """Σ |w| over all tensors."""
    return torch.stack([w.abs().sum() for w in weights]).sum()


def l2_penalty(weights: Iterable[Tensor]) -> Float[Tensor, ""]:
    """Σ w² over all tensors (the squared Frobenius norm)."""
    return torch.stack([w.square().sum() for w in weights]).sum()


def weight_decay_term(weights: Iterable[Tensor], *, strength: float, samples: int) -> Float[Tensor, ""]:
    """λ / (2m) Σ ‖W‖²."""
    return strength / (2 * samples) * l2_penalty(weights)


def soft_threshold(w: Float[Tensor, "*shape"], amount: float) -> Float[Tensor, "*shape"]:
    """Each weight moved towards 0 by `amount`, and exactly 0 where it would cross: the step of an absolute penalty.

    A gradient step on the loss followed by this with `amount` = learning rate · λ minimises loss + λ Σ |w| (Daubechies et
    al. 2004). The subgradient alone leaves weights small and never 0."""
    return w.sign() * (w.abs() - amount).clamp(min=0.0)
