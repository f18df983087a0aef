"""A region network in stages, for graphs with suppression between them: image → proposals → classes and boxes → masks.

Each stage maps tensors to a tuple of tensors of fixed rank, so an exporter can follow it. Images of a batch have one
size, that of the network's frame, and are not padded.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int, Num
from torch import Tensor, nn

from sightline.layers.boxes.graph_regions import pyramid_sizes, pyramid_table, table_roi_align
from sightline.preprocessing.normalise import Normalised
from sightline.structures.boxes import clip

from .faster_rcnn import STRIDE, RegionNetwork, pad_and_mask, refined_boxes
from .sampling import best_anchors

_STRIDES = (4, 8, 16, 32)  # of the maps from which regions are pooled; the coarsest level has anchors only


def _padded(size: tuple[int, int]) -> tuple[int, int]:
    """The size of an image after `pad_and_mask`."""
    return -(-size[0] // STRIDE) * STRIDE, -(-size[1] // STRIDE) * STRIDE


class Propose(nn.Module):
    """Images (b, c, h, w) in 0-255 units → table (b, p, d) of all maps' pixels; logit (b, m), boxes (b, m, 4) clip to the
    image and level (m,) of the best anchors, before suppression. `size` is (height, width) of the network's frame."""

    def __init__(self, model: Normalised, size: tuple[int, int]) -> None:
        super().__init__()
        network = model.network
        assert isinstance(network, RegionNetwork)
        self.model, self.size, self.limit = model, size, network.proposals[1]
        padded = _padded(size)
        maps = pyramid_sizes(padded, _STRIDES)
        coarsest = (maps[-1][0] + 1) // 2, (maps[-1][1] + 1) // 2  # every second place of the last map
        for level, boxes in enumerate(network.level_anchors([*maps, coarsest], padded)):
            self.register_buffer(f"anchors_{level}", boxes, persistent=False)

    def forward(self, image: Num[Tensor, "b c h w"]) -> tuple[Tensor, ...]:
        """(b, c, h, w) → table, logit, boxes, level."""
        network = self.model.network
        assert isinstance(network, RegionNetwork)
        size = torch.tensor([self.size], device=image.device).expand(image.shape[0], 2)
        padded = pad_and_mask(self.model.normalise(image), size)
        pyramid = network.features(padded)
        logits, deltas = network.rpn["head"](pyramid)
        anchors = [getattr(self, f"anchors_{level}") for level in range(len(pyramid))]
        logit, boxes, level = best_anchors(logits, deltas, anchors, self.limit)
        inside = clip(boxes.flatten(0, 1), self.size).view_as(boxes)
        return pyramid_table(pyramid[:-1]), logit, inside, level


class _Pooling(nn.Module):
    """What the stages after the first share: they need the heads only."""

    def __init__(self, network: RegionNetwork, size: tuple[int, int]) -> None:
        super().__init__()
        self.heads, self.size = network.roi_heads, size
        self.sizes = pyramid_sizes(_padded(size), _STRIDES)

    def pool(self, table: Tensor, boxes: Tensor, sample: Tensor, cells: int) -> Float[Tensor, "r d i j"]:
        return table_roi_align(table, boxes, sample, sizes=self.sizes, strides=_STRIDES, output=cells)


class Classify(_Pooling):
    """Table (b, p, d), proposals (r, 4) and the image of each (r,) → logits (r, k + 1), background first; boxes (r, k, 4)."""

    def forward(
        self, table: Float[Tensor, "b p d"], proposals: Float[Tensor, "r 4"], sample: Int[Tensor, "r"]
    ) -> tuple[Float[Tensor, "r c"], Float[Tensor, "r k 4"]]:
        """Regions (r, 4) → logits (r, k + 1), boxes (r, k, 4)."""
        logits, deltas = self.heads.box_predictor(self.heads.box_head(self.pool(table, proposals, sample, 7)))
        size = torch.tensor([self.size], device=proposals.device).expand(proposals.shape[0], 2)
        return logits, refined_boxes(deltas, proposals, size)


class Mask(_Pooling):
    """Table, boxes (r, 4) of detections, the image and class of each (r,) → logits of its mask (r, s, s)."""

    def forward(
        self,
        table: Float[Tensor, "b p d"],
        proposals: Float[Tensor, "r 4"],
        sample: Int[Tensor, "r"],
        label: Int[Tensor, "r"],
    ) -> Float[Tensor, "r s s"]:
        """Regions (r, 4) with their labels (r,) → mask logits (r, s, s)."""
        heads = self.heads
        assert heads.mask_head is not None and heads.mask_predictor is not None
        logits = heads.mask_predictor(heads.mask_head(self.pool(table, proposals, sample, 14)))
        own = (label + 1)[:, None, None, None].expand(-1, 1, *logits.shape[2:])  # mask 0 is that of the background
        return logits.gather(1, own)[:, 0]
