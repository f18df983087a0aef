"""Keyed draws: what image i gets depends on (seed, purpose, id of image i), whatever else is attacked beside it."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

from sightline.randomness.keyed import uniform

Ids = Int[Tensor, "b"]


def flat(shape: tuple[int, ...], seed: int, purpose: str, ids: Ids, *parts: int) -> Float[Tensor, "b ..."]:
    """Uniform in [0, 1), of this shape for each id."""
    count = math.prod(shape)
    row = ids[:, None].cpu()  # (b, 1) with (count,): a draw for each pair
    return uniform(seed, purpose, row, *parts, torch.arange(count)).view(len(ids), *shape).to(ids.device)


def normal(shape: tuple[int, ...], seed: int, purpose: str, ids: Ids, *parts: int) -> Float[Tensor, "b ..."]:
    """Standard normal, by the inverse of its distribution function: half a step of 2^-24 keeps both ends finite."""
    return math.sqrt(2) * torch.erfinv(2 * (flat(shape, seed, purpose, ids, *parts) + 2**-25) - 1)


def signs(shape: tuple[int, ...], seed: int, purpose: str, ids: Ids, *parts: int) -> Float[Tensor, "b ..."]:
    """-1 or 1 with equal chance."""
    return torch.where(flat(shape, seed, purpose, ids, *parts) < 0.5, -1.0, 1.0)
