"""Regression losses, entry by entry. Each returns (mean, weight); 16-bit inputs are converted to 32 bits.

    squared_error   (x - y)²
    smooth_l1       Huber 1964, in the form of Girshick 2015 (arXiv:1504.08083): a parabola inside β, a line outside

The smooth one is 0.5 d² / β inside and |d| - 0.5 β outside, so value and slope are continuous at |d| = β.
"""

from __future__ import annotations

from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional as F

from .means import in_32_bits, mean_of_known


def squared_error(
    prediction: Float[Tensor, "*shape"],
    target: Float[Tensor, "*shape"],
    *,
    known: Bool[Tensor, "*shape"] | None = None,
) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """The mean squared difference of the known entries, and their number."""
    return mean_of_known((in_32_bits(prediction) - in_32_bits(target)).square(), known)


def smooth_l1(
    prediction: Float[Tensor, "*shape"],
    target: Float[Tensor, "*shape"],
    *,
    beta: float = 1.0,
    known: Bool[Tensor, "*shape"] | None = None,
) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """A parabola up to `beta`, then a line, so that an outlier's gradient is ±1. Mean of known entries, and their number."""
    terms = F.smooth_l1_loss(in_32_bits(prediction), in_32_bits(target), beta=beta, reduction="none")
    return mean_of_known(terms, known)
