"""What a network answers that predicts all objects of an image as a set (Carion et al. 2020, DETR, arXiv:2005.12872)."""

from __future__ import annotations

from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor


class SetOutputs(NamedTuple):
    """Of b images with q queries, by each of l layers of the decoder, the last one last.

    boxes    (b, q, 4) xyxy in pixels of the batch's frame, of the last layer, not clipped
    logits   (l, b, q, k + 1), "no object" last
    places   (l, b, q, 4) centre, width and height in units of the image without padding
    """

    boxes: Float[Tensor, "b q 4"]
    logits: Float[Tensor, "l b q c"]
    places: Float[Tensor, "l b q 4"]

    @property
    def score(self) -> Float[Tensor, "b q k"]:
        """The probability of each class, in float32; what is missing to 1 is that of no object."""
        return self.logits[-1].float().softmax(-1)[..., :-1]
