"""From the mask of an object to its box."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Int
from torch import Tensor


def extents(mask: Bool[Tensor, "n h w"]) -> Int[Tensor, "n 4"]:
    """The smallest box around the pixels of each mask, half-open xyxy; all zeros for an empty mask."""
    if not mask.numel():
        return torch.zeros(len(mask), 4, dtype=torch.int64, device=mask.device)
    (left, right), (top, bottom) = _span(mask.any(1)), _span(mask.any(2))
    return torch.stack([left, top, right, bottom], 1)


def _span(hit: Bool[Tensor, "n s"]) -> tuple[Int[Tensor, "n"], Int[Tensor, "n"]]:
    """The first true position and the one behind the last; 0 and 0 if there is none."""
    count, some = hit.shape[1], hit.any(1).long()
    return hit.int().argmax(1) * some, (count - hit.flip(1).int().argmax(1)) * some
