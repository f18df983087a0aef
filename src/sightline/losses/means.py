"""The mean of what is known, and the weight it is a mean over: what lets parts of a batch be put together exactly."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor


def in_32_bits(x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """float16 and bfloat16 as float32: a square overflows the one, a sum drowns in the other."""
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x


def mean_over(total: Float[Tensor, ""], weight: Float[Tensor, ""]) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """(total / weight, weight); where the weight is 0 so are the mean and its gradient."""
    weight = weight.detach()
    some = weight > 0
    return some * total / weight.where(some, 1.0), weight


def mean_of_known(
    terms: Float[Tensor, "*shape"], known: Bool[Tensor, "*shape"] | None
) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """The mean of the terms that are known (all, without a mask), and their number."""
    if known is None:
        return mean_over(terms.sum(), terms.new_tensor(terms.numel()))
    return mean_over(terms.where(known, 0.0).sum(), known.sum().to(terms.dtype))
