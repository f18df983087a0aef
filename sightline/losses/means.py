"""The mean of what is known, and the weight it is a mean over: what lets parts of a batch be put together exactly."""

from __future__ import annotations

from jaxtyping import Bool, Float
from torch import Tensor


def mean_over(total: Float[Tensor, ""], weight: Float[Tensor, ""]) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """(total / weight, weight); where the weight is 0 the total is too, and so are the mean and its gradient."""
    weight = weight.detach()
    return total / weight.where(weight > 0, 1.0), weight


def mean_of_known(
    terms: Float[Tensor, "*shape"], known: Bool[Tensor, "*shape"] | None
) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """The mean of the terms that are known (all, without a mask), and their number."""
    if known is None:
        return mean_over(terms.sum(), terms.new_tensor(terms.numel()))
    return mean_over(terms.where(known, 0.0).sum(), known.sum().to(terms.dtype))
