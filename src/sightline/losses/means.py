"""Means over known values, with their weights, so that the means of parts of a batch combine exactly."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor


def in_32_bits(x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """float16 and bfloat16 as float32: squares overflow the former, and the latter has too few digits for sums."""
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x


def mean_over(total: Float[Tensor, ""], weight: Float[Tensor, ""]) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """(total / weight, weight); where the weight is 0, so are the mean and its gradient."""
    weight = weight.detach()
    positive = weight > 0
    return positive * total / weight.where(positive, 1.0), weight


def mean_of_known(
    terms: Float[Tensor, "*shape"], known: Bool[Tensor, "*shape"] | None
) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """The mean of the known terms (of all terms without a mask), and their number."""
    if known is None:
        return mean_over(terms.sum(), terms.new_tensor(terms.numel()))
    return mean_over(terms.where(known, 0.0).sum(), known.sum().to(terms.dtype))
