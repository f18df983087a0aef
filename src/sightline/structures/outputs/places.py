"""What a single-shot network answers: a box and scores at every place of its maps. Only tensors, so any wrapper can pass
them on."""

from __future__ import annotations

from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor


class PlaceOutputs(NamedTuple):
    """Of b images with n places and k classes.

    boxes       (b, n, 4) xyxy in pixels of the batch's frame, not clipped
    shift       (b, n, 4) what `boxes` are decoded from: centre in strides from the cell's corner, logarithm of sides in strides
    objectness  (b, n) logits: whether an object is here
    classes     (b, n, k) logits: of which class
    cell        (n, 2) x and y of each place's cell, in strides; its centre in pixels is (cell + 1/2) · stride
    stride      (n,) pixels from a place to its neighbour
    """

    boxes: Float[Tensor, "b n 4"]
    shift: Float[Tensor, "b n 4"]
    objectness: Float[Tensor, "b n"]
    classes: Float[Tensor, "b n k"]
    cell: Float[Tensor, "n 2"]
    stride: Float[Tensor, "n"]

    @property
    def centre(self) -> Float[Tensor, "n 2"]:
        """x and y of each place in pixels."""
        return (self.cell + 0.5) * self.stride[:, None]

    @property
    def score(self) -> Float[Tensor, "b n k"]:
        """The probability of an object times that of its class, in float32."""
        return self.objectness.float().sigmoid()[..., None] * self.classes.float().sigmoid()
