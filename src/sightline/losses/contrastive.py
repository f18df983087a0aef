"""The loss of images and texts that belong together: each image must pick its text among those of the batch, and back.

    Radford et al. 2021, arXiv:2103.00020, figure 3; van den Oord et al. 2018, arXiv:1807.03748 (InfoNCE)

The negatives are the other samples of the whole batch, also those of other processes: vectors are gathered, and the gradient
flows back to the process that computed them.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, distributed
from torch.nn import functional as F


class _Gather(torch.autograd.Function):
    """All ranks' rows, one after the other. Every rank computes the loss of all rows, and data-parallel training averages the
    gradients of the ranks: each row's gradient must therefore be the sum over ranks, of which it keeps its own part."""

    @staticmethod
    def forward(ctx: object, x: Tensor) -> Tensor:
        parts = [torch.empty_like(x) for _ in range(distributed.get_world_size())]
        distributed.all_gather(parts, x.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: object, *gradients: Tensor) -> Tensor:
        (gradient,) = gradients
        total = gradient.contiguous().clone()
        distributed.all_reduce(total)
        n = len(total) // distributed.get_world_size()
        return total[distributed.get_rank() * n :][:n]


def gathered(x: Float[Tensor, "b d"]) -> Float[Tensor, "n d"]:
    """The rows of all processes, in their order; of one process the rows themselves. All must have as many."""
    if not distributed.is_available() or not distributed.is_initialized() or distributed.get_world_size() == 1:
        return x
    found: Tensor = _Gather.apply(x)  # type: ignore[no-untyped-call]
    return found


def image_text_loss(
    image: Float[Tensor, "b d"], text: Float[Tensor, "b d"], scale: Float[Tensor, ""]
) -> tuple[Float[Tensor, ""], Float[Tensor, "n n"]]:
    """The mean of the cross-entropies over texts and over images, and the logits (n, n), image i in row i; vectors of length 1.

    With several processes each returns the loss of all n samples."""
    logits = scale * gathered(image) @ gathered(text).T
    own = torch.arange(len(logits), device=logits.device)
    return (F.cross_entropy(logits, own) + F.cross_entropy(logits.T, own)) / 2, logits
