"""Dropout written out: Srivastava, Hinton, Krizhevsky, Sutskever & Salakhutdinov 2014, JMLR 15.

Scaling belongs to one place only. Here, as in torch, it is the training pass ("inverted"), so that nothing changes at
test time; the 2014 text scales the weights at test time instead.
"""

from __future__ import annotations

from jaxtyping import Bool, Float
from torch import Tensor

from sightline.errors import UsageError


def inverted_dropout(
    x: Float[Tensor, "*shape"], kept: Bool[Tensor, "*shape"], keep_probability: float
) -> Float[Tensor, "*shape"]:
    """Zero what is not kept and divide what is by the probability of keeping (1 - torch's p): E[output] = x."""
    return x * kept / keep_probability


def require_share(dropout: float) -> None:
    """UsageError unless something is left of what is dropped: 0 ≤ share < 1."""
    if not 0 <= dropout < 1:
        raise UsageError(f"a dropout of {dropout} leaves nothing to learn from", "a share below 1, such as 0.5")
