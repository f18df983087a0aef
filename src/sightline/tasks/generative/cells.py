"""The cheap features in which sets of images are compared while a generator trains: means of the cells of a grid."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

SIDE = 7
NAME = "means of 7 x 7 cells of the pixels, from 0 to 1"


def cells(signed: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d"]:
    """Images in [-1, 1] → the mean of each of 7 x 7 cells and channels, from 0 to 1. They see where ink and colours are, not
    what they mean; a named network's features see more and cost more."""
    return adaptive_avg_pool2d((signed.float().clamp(-1, 1) + 1) / 2, SIDE).flatten(1)  # (b, c, 7, 7) → (b, c·49)
