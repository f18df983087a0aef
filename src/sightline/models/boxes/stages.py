"""A region network in stages, for graphs with suppression between them: image → proposals → classes and boxes → masks.

Each stage maps tensors to a tuple of tensors of fixed rank, so an exporter can follow it. Images of a batch have one
size, that of the network's frame, and are not padded.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int, Num
from torch import Tensor, nn

from sightline.layers.boxes.graph_regions import graph_roi_align
from sightline.preprocessing.normalise import Normalised
from sightline.structures.boxes import clipped

from .faster_rcnn import RegionNetwork, pad_and_mask, refined_boxes
from .sampling import best_anchors


class _Stage(nn.Module):
    """`size` is (height, width) of the network's frame."""

    def __init__(self, model: Normalised, size: tuple[int, int]) -> None:
        super().__init__()
        network = model.network
        assert isinstance(network, RegionNetwork)
        self.model, self.size = model, size

    @property
    def network(self) -> RegionNetwork:
        return self.model.network  # type: ignore[return-value]

    def pool(self, maps: tuple[Tensor, ...], boxes: Tensor, sample: Tensor, cells: int) -> Float[Tensor, "r c i j"]:
        """The regions' parts of the maps; the first map has stride 4."""
        size = maps[0].shape[2] * 4, maps[0].shape[3] * 4
        return graph_roi_align(maps, boxes, sample, size=size, output=cells)


class Propose(_Stage):
    """Images (b, c, h, w) in 0-255 units → maps p2 to p5; logit (b, m), boxes (b, m, 4) clipped to the image and level (m,) of
    the best anchors, before suppression."""

    def forward(self, image: Num[Tensor, "b c h w"]) -> tuple[Tensor, ...]:
        network, (height, width) = self.network, self.size
        size = torch.tensor([[height, width]], device=image.device)  # (1, 2): the same for all
        padded = pad_and_mask(self.model.normalise(image), size)
        pyramid = network.features(padded)
        logits, deltas = network.rpn["head"](pyramid)
        logit, boxes, level = best_anchors(logits, deltas, network._anchors(pyramid, padded), network.proposals[1])
        inside = clipped(boxes.flatten(0, 1), (height, width)).view_as(boxes)
        return (*pyramid[:-1], logit, inside, level)


class Classify(_Stage):
    """Maps, proposals (r, 4) and the image of each (r,) → logits (r, k + 1), background first, and boxes (r, k, 4)."""

    def forward(
        self, p2: Tensor, p3: Tensor, p4: Tensor, p5: Tensor, proposals: Float[Tensor, "r 4"], sample: Int[Tensor, "r"]
    ) -> tuple[Float[Tensor, "r c"], Float[Tensor, "r k 4"]]:
        heads = self.network.roi_heads
        pooled = self.pool((p2, p3, p4, p5), proposals, sample, 7)
        logits, deltas = heads.box_predictor(heads.box_head(pooled))
        size = torch.tensor([self.size], device=proposals.device).expand(proposals.shape[0], 2)
        return logits, refined_boxes(deltas, proposals, size)


class Mask(_Stage):
    """Maps, boxes (d, 4) of detections, the image and class of each (d,) → logits of its mask (d, s, s)."""

    def forward(
        self,
        p2: Tensor,
        p3: Tensor,
        p4: Tensor,
        p5: Tensor,
        proposals: Float[Tensor, "d 4"],
        sample: Int[Tensor, "d"],
        label: Int[Tensor, "d"],
    ) -> Float[Tensor, "d s s"]:
        heads = self.network.roi_heads
        assert heads.mask_head is not None and heads.mask_predictor is not None
        logits = heads.mask_predictor(heads.mask_head(self.pool((p2, p3, p4, p5), proposals, sample, 14)))
        own = (label + 1)[:, None, None, None].expand(-1, 1, *logits.shape[2:])  # mask 0 is that of the background
        return logits.gather(1, own)[:, 0]
