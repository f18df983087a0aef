"""The bias trick: an affine map written as a linear one, by appending a constant 1 to the input."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor


def bias_trick(
    x: Float[Tensor, "b d"], weight: Float[Tensor, "k d"], bias: Float[Tensor, "k"]
) -> tuple[Float[Tensor, "b e"], Float[Tensor, "k e"]]:
    """Inputs with a 1 appended, and weights with the bias as last column (e = d + 1), so that x₁ W₁ᵀ = x Wᵀ + b."""
    ones = x.new_ones(len(x), 1)
    return torch.cat([x, ones], 1), torch.cat([weight, bias[:, None]], 1)
