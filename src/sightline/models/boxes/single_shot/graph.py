"""A single-shot network as one graph, decoded boxes and scores included; suppression stays outside."""

from __future__ import annotations

from jaxtyping import Float, Num
from torch import Tensor, nn

from sightline.layers.boxes.places import decode_places, places
from sightline.preprocessing.normalise import Normalised

from .yolox import STRIDES, YOLOX


class AllPlaces(nn.Module):
    """Images (b, c, h, w) in 0-255 units → boxes (b, n, 4) xyxy in pixels, clipped to the frame, and scores (b, n, k). `size`
    is (height, width) of the network's frame: places are constants of the graph."""

    cell: Tensor
    stride: Tensor
    limits: Tensor

    def __init__(self, model: Normalised, size: tuple[int, int]) -> None:
        super().__init__()
        assert isinstance(model.network, YOLOX)
        self.model, (height, width) = model, size
        padded = [-(-side // STRIDES[-1]) * STRIDES[-1] for side in size]  # as the network pads
        cell, stride = places([(padded[0] // s, padded[1] // s) for s in STRIDES], STRIDES)
        limits = cell.new_tensor([width, height, width, height])
        for name, value in (("cell", cell), ("stride", stride), ("limits", limits)):
            self.register_buffer(name, value, persistent=False)

    def forward(self, image: Num[Tensor, "b c h w"]) -> tuple[Float[Tensor, "b n 4"], Float[Tensor, "b n k"]]:
        """(b, c, h, w) → (b, n, 4), (b, n, k)."""
        network = self.model.network
        assert isinstance(network, YOLOX)
        shift, objectness, classes = network.head(network.features(self.model.normalise(image)))
        boxes = decode_places(shift, self.cell, self.stride)
        return boxes.clamp(min=0).minimum(self.limits), objectness.sigmoid()[..., None] * classes.sigmoid()
