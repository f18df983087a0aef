"""Regression losses, entry by entry. Each returns (mean, weight); 16-bit inputs are converted to 32 bits.

    squared_error   (x - y)²
    smooth_l1       Huber 1964, in the form of Girshick 2015 (arXiv:1504.08083): a parabola inside β, a line outside
    absolute_error  |x - y|, as for reconstructions; `cycle_error`: two round trips (Zhu et al. 2017, arXiv:1703.10593)
    age_error       a parabola mixed with a bell's complement, which forgives outliers (Ranjan et al. 2017, arXiv:1611.00851)

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


def absolute_error(
    prediction: Float[Tensor, "*shape"],
    target: Float[Tensor, "*shape"],
    *,
    known: Bool[Tensor, "*shape"] | None = None,
) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """The mean absolute difference of the known entries, and their number."""
    return mean_of_known((in_32_bits(prediction) - in_32_bits(target)).abs(), known)


def cycle_error(
    x: Float[Tensor, "*left"],
    x_again: Float[Tensor, "*left"],
    y: Float[Tensor, "*right"],
    y_again: Float[Tensor, "*right"],
) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """E|F(G(x)) - x| + E|G(F(y)) - y| of two translators G and F, where `x_again` = F(G(x)) and `y_again` = G(F(y)); 0 where
    each undoes the other. The weight is the number of samples of x."""
    there, _ = absolute_error(x_again, x)
    back, _ = absolute_error(y_again, y)
    return there + back, there.new_tensor(len(x))


def age_error(
    prediction: Float[Tensor, "*shape"],
    target: Float[Tensor, "*shape"],
    *,
    sigma: Float[Tensor, "*shape"] | float = 3.0,
    share: float = 0.5,
    known: Bool[Tensor, "*shape"] | None = None,
) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """(1 - share) · ½d² + share · (1 - exp(-d²/2σ²)), averaged over known entries, and their number.

    sigma    deviation of the annotators' guesses, in the units of the target
    share    of the Gaussian part, in [0, 1]: it saturates at 1, so that a wrong label pulls no harder than a bad one
    """
    squares = (in_32_bits(prediction) - in_32_bits(target)).square()
    terms = (1 - share) * 0.5 * squares + share * (1 - (-squares / (2 * sigma**2)).exp())
    return mean_of_known(terms, known)
