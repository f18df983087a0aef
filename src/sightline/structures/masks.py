"""What the pixels of an object say about its box."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Int
from torch import Tensor


def extents(mask: Bool[Tensor, "n h w"]) -> Int[Tensor, "n 4"]:
    """The smallest boxes, half-open xyxy, around the pixels of each mask; all zeros where there are none."""
    if not mask.numel():
        return torch.zeros(len(mask), 4, dtype=torch.int64, device=mask.device)
    (left, right), (top, bottom) = _span(mask.any(1)), _span(mask.any(2))
    return torch.stack([left, top, right, bottom], 1)


def _span(hit: Bool[Tensor, "n s"]) -> tuple[Int[Tensor, "n"], Int[Tensor, "n"]]:
    """First place that is hit, and the place behind the last; 0 and 0 without any."""
    count, some = hit.shape[1], hit.any(1).long()
    return hit.int().argmax(1) * some, (count - hit.flip(1).int().argmax(1)) * some
