"""Dropout in explicit form: Srivastava, Hinton, Krizhevsky, Sutskever & Salakhutdinov 2014, JMLR 15.

The compensating scale is applied once. Here, as in torch, that happens in training ("inverted dropout"), so nothing
changes at test time; the 2014 paper scales the weights at test time instead.
"""

from __future__ import annotations

from jaxtyping import Bool, Float
from torch import Tensor

from sightline.errors import UsageError


def inverted_dropout(
    x: Float[Tensor, "*shape"], kept: Bool[Tensor, "*shape"], keep_probability: float
) -> Float[Tensor, "*shape"]:
    """Zero the values not `kept` and divide the others by the probability of keeping (1 - torch's p): E[output] = x."""
    return x * kept / keep_probability


def require_share(dropout: float) -> None:
    """UsageError unless 0 ≤ dropout < 1."""
    if not 0 <= dropout < 1:
        raise UsageError(
            f"a dropout of {dropout} leaves nothing to learn from", "use a rate from 0 to below 1, such as 0.5"
        )
