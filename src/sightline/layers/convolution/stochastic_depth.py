"""Stochastic depth: Huang, Sun, Liu, Sedra & Weinberger 2016, arXiv:1603.09382. Each image skips some residual
branches.

The paper skips a block for the whole mini-batch and scales at test time. Here, as in torchvision's "row" mode, each
image draws independently, and kept branches are divided by the probability of keeping, so nothing changes at test time.
"""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn

from sightline.errors import UsageError


class StochasticDepth(nn.Module):
    """In training mode each row of a branch becomes 0 with probability `rate`, else x / (1 - rate), so that E[output] = x."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        if not 0 <= rate < 1:
            raise UsageError(f"stochastic depth {rate} is no rate of dropping", "use a rate from 0 to below 1")
        self.rate = rate

    def forward(self, x: Float[Tensor, "b *shape"]) -> Float[Tensor, "b *shape"]:
        """Same shape as `x`; the identity in evaluation mode."""
        if not self.training or self.rate == 0:
            return x
        keep = 1 - self.rate
        kept = x.new_empty(x.shape[0], *[1] * (x.ndim - 1)).bernoulli_(keep)  # (b, 1, 1, 1)
        return x * (kept / keep)

    def extra_repr(self) -> str:
        """The rate, for `print(module)`."""
        return f"rate={self.rate:g}"
