"""A single-shot network as one graph, decoded boxes and scores included; suppression stays outside."""

from __future__ import annotations

from jaxtyping import Float, Num
from torch import Tensor, nn

from sightline.preprocessing.normalise import Normalised


class AllPlaces(nn.Module):
    """Images (b, c, h, w) in 0-255 units → boxes (b, n, 4) xyxy in pixels, clipped to the frame, and scores (b, n, k)."""

    def __init__(self, model: Normalised) -> None:
        super().__init__()
        self.model = model

    def forward(self, image: Num[Tensor, "b c h w"]) -> tuple[Float[Tensor, "b n 4"], Float[Tensor, "b n k"]]:
        """(b, c, h, w) → (b, n, 4), (b, n, k)."""
        outputs = self.model(image)
        height, width = image.shape[2:]
        limits = outputs.boxes.new_tensor([width, height, width, height])
        return outputs.boxes.clamp(min=0).minimum(limits), outputs.score
