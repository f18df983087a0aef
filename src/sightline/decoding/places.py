"""Boxes with a score for every class at every place of an image → its detections."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from sightline.structures.boxes import clip
from sightline.structures.regions import Selection, SelectionRule

from .detections import detections


def place_detections(
    boxes: Float[Tensor, "b n 4"], score: Float[Tensor, "b n k"], size: Int[Tensor, "b 2"], rule: SelectionRule
) -> Selection:
    """The detections among the n places of each image, whose boxes are clipped to its `size` (height, width)."""
    n = boxes.shape[1]
    inside = clip(boxes.flatten(0, 1), size.repeat_interleave(n, 0))  # (b · n, 4)
    sample = torch.arange(len(boxes), device=boxes.device).repeat_interleave(n)
    each = inside[:, None].expand(-1, score.shape[2], 4)  # one box for all classes
    return detections(each, score.flatten(0, 1), sample, rule)
