"""Scored boxes of every class → the objects that remain; their masks pasted into the original image, and packed for storage.

What remains is what torchvision keeps: above a threshold, suppressed class by class, the best of an image. Pasting
differs: a mask is a function on its box, linear between the centres of its cells and 0 outside, as detectron2 reads it,
and a pixel is on where that is above one half at its centre; torchvision first rounds the box to whole pixels.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from sightline.structures.regions import Found, Kept

from .suppression import nms_by_label

_SMALLEST = 0.01  # pixels: thinner boxes are no objects


def detections(
    boxes: Float[Tensor, "r k 4"], score: Float[Tensor, "r k"], sample: Int[Tensor, "r"], kept: Kept
) -> Found:
    """Of r regions, each with a box and a score for every class (no background among them), the objects that remain; image
    by image, best first."""
    region, label = torch.where(score > kept.score)
    boxes, score, sample = boxes[region, label], score[region, label], sample[region]
    wide = ((boxes[:, 2:] - boxes[:, :2]) >= _SMALLEST).all(1)
    boxes, score, sample, label = boxes[wide], score[wide], sample[wide], label[wide]
    remain = [sample.new_zeros(0)]
    for image in sample.unique().tolist():
        here = (sample == image).nonzero().flatten()
        best = nms_by_label(boxes[here], score[here], label[here], kept.overlap)[: kept.limit]
        remain.append(here[best])
    index = torch.cat(remain)
    return Found(boxes[index], label[index], score[index], sample[index])


def pasted(
    mask: Float[Tensor, "n m m"], boxes: Float[Tensor, "n 4"], size: tuple[int, int]
) -> Bool[Tensor, "n height width"]:
    """Masks (n, m, m) of probabilities, each spread over its box (n, 4), as pixels of an image of `size` (h, w)."""
    down = _reading(boxes[:, 1::2], size[0], mask.shape[1]).to(mask.dtype)  # (n, h, m)
    across = _reading(boxes[:, 0::2], size[1], mask.shape[2]).to(mask.dtype)  # (n, w, m)
    return down @ mask @ across.mT > 0.5  # (n, h, w)


def _reading(edges: Float[Tensor, "n 2"], pixels: int, cells: int) -> Float[Tensor, "n p c"]:
    """How much of each cell the centre of each pixel reads, along one side: a hat around every cell's centre."""
    low, extent = edges[:, :1], (edges[:, 1:] - edges[:, :1]).clamp(min=1e-6)
    centre = torch.arange(pixels, dtype=edges.dtype, device=edges.device) + 0.5
    place = (centre - low) / extent * cells - 0.5  # (n, p): 0 is the centre of the first cell
    return (1 - (place[:, :, None] - torch.arange(cells, device=edges.device)).abs()).clamp(min=0)


def run_lengths(mask: Bool[np.ndarray, "n height width"]) -> tuple[bytes, ...]:
    """COCO's compressed counts of each mask: lengths of runs down the columns."""
    from faster_coco_eval.core import mask as coco

    columns = np.asfortranarray(mask.transpose(1, 2, 0), dtype=np.uint8)  # (h, w, n)
    return tuple(packed["counts"] for packed in coco.encode(columns)) if len(mask) else ()


def from_run_lengths(packed: tuple[bytes, ...], size: tuple[int, int]) -> Bool[np.ndarray, "n height width"]:
    """The masks (n, h, w) that `run_lengths` packed."""
    from faster_coco_eval.core import mask as coco

    if not packed:
        return np.zeros((0, *size), dtype=bool)
    whole: list[dict[str, Any]] = [{"size": list(size), "counts": counts} for counts in packed]
    return coco.decode(whole).astype(bool).transpose(2, 0, 1)
