"""Scored boxes of every class → detections; their masks pasted into the original image.

The same detections are kept as in torchvision: scores above a threshold, suppressed class by class, the best of each
image. Pasting differs: as in detectron2, a mask is a function on its box, linear between the centres of its cells and 0
outside, and a pixel is on if that function exceeds one half at its centre; torchvision first rounds the box to whole
pixels.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from sightline.structures.regions import Selection, SelectionRule

from .suppression import nms_by_label

MIN_SIDE = 0.01  # pixels; a narrower or lower box is dropped


def detections(
    boxes: Float[Tensor, "r k 4"], score: Float[Tensor, "r k"], sample: Int[Tensor, "r"], rule: SelectionRule
) -> Selection:
    """The detections among r regions, each with a box and a score for every class (background excluded); image by image,
    best first."""
    region, label = torch.where(score > rule.score)
    boxes, score, sample = boxes[region, label], score[region, label], sample[region]
    wide = ((boxes[:, 2:] - boxes[:, :2]) >= MIN_SIDE).all(1)
    boxes, score, sample, label = boxes[wide], score[wide], sample[wide], label[wide]
    remain = [sample.new_zeros(0)]
    for image in sample.unique().tolist():
        here = (sample == image).nonzero().flatten()
        best = nms_by_label(boxes[here], score[here], label[here], rule.overlap)[: rule.limit]
        remain.append(here[best])
    index = torch.cat(remain)
    return Selection(boxes[index], label[index], score[index], sample[index])


def paste_masks(
    mask: Float[Tensor, "n m m"], boxes: Float[Tensor, "n 4"], size: tuple[int, int]
) -> Bool[Tensor, "n height width"]:
    """Binary masks in an image of `size` (h, w): probabilities (n, m, m), each resampled over its box (n, 4), above 0.5."""
    down = _hat_weights(boxes[:, 1::2], size[0], mask.shape[1]).to(mask.dtype)  # (n, h, m)
    across = _hat_weights(boxes[:, 0::2], size[1], mask.shape[2]).to(mask.dtype)  # (n, w, m)
    return down @ mask @ across.mT > 0.5  # (n, h, w)


def _hat_weights(edges: Float[Tensor, "n 2"], pixels: int, cells: int) -> Float[Tensor, "n p c"]:
    """The weight of each cell at the centre of each pixel, along one side: linear interpolation, a hat around each cell.

    A box from x = 2 to 6 with two cells: their centres lie at 3 and 5. The centre of pixel 3, x = 3.5, has the weights
    (0.75, 0.25); that of pixel 1, x = 1.5, has (0.25, 0), fading out beyond the outermost centre.
    """
    low, extent = edges[:, :1], (edges[:, 1:] - edges[:, :1]).clamp(min=1e-6)
    centre = torch.arange(pixels, dtype=edges.dtype, device=edges.device) + 0.5
    place = (centre - low) / extent * cells - 0.5  # (n, p): in cells, 0 at the centre of the first
    return (1 - (place[:, :, None] - torch.arange(cells, device=edges.device)).abs()).clamp(min=0)
