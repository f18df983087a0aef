"""Levels 0-255 ↔ [-1, 1], the range of generative networks: the one place where both directions are written."""

from __future__ import annotations

import torch
from jaxtyping import Float, Num, UInt8
from torch import Tensor

HALF = 127.5  # mean and deviation, in levels, of the normalisation that maps 0 to -1 and 255 to 1


def to_signed(levels: Num[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Levels 0-255, whole or not, to [-1, 1]."""
    return levels.to(torch.float32) / HALF - 1.0


def to_levels(signed: Float[Tensor, "*shape"]) -> UInt8[Tensor, "*shape"]:
    """[-1, 1] to the nearest levels; what lies outside is clipped. `to_levels(to_signed(x))` is x."""
    return ((signed.float() + 1.0) * HALF).round().clamp(0, 255).to(torch.uint8)
