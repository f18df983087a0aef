"""Anchors in the cells of several maps: boxes from what they predict, and what each of them learns.

Redmon & Farhadi 2017, YOLO9000, arXiv:1612.08242, section 2: x = cell + σ(tₓ) · stride, w = anchor · exp(t_w)
Redmon & Farhadi 2018, YOLOv3, arXiv:1804.02767, section 2.1: one anchor for each object, the one of the most similar
shape; others that overlap an object by more than 0.5 are neither object nor background
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from sightline.structures.boxes import area, coverage, iou
from sightline.structures.grids import AnchorPredictions, AnchorTargets

from .anchors import LARGEST

IGNORE_ABOVE = 0.5


def anchor_grid(
    shapes: Sequence[Sequence[float | int]], size: tuple[int, int], stride: int, device: torch.device | str = "cpu"
) -> tuple[Float[Tensor, "p 4"], Float[Tensor, "p"]]:
    """The anchors of a map of `size` (rows, columns): (x, y, width, height) of the corner of the cell and of the shape, in
    pixels, row by row, column by column, shape by shape; and the stride of each."""
    y, x = (torch.arange(n, dtype=torch.float32, device=device) * stride for n in size)
    corner = torch.stack((x.expand(size[0], -1), y[:, None].expand(-1, size[1])), 2)[:, :, None]  # (h, w, 1, 2)
    shape = torch.tensor(shapes, dtype=torch.float32, device=device)  # (n, 2)
    grid = torch.cat((corner.expand(-1, -1, len(shape), 2), shape.expand(*size, -1, 2)), 3).flatten(0, 2)
    return grid, torch.full_like(grid[:, 0], float(stride))


def decode_cells(predicted: AnchorPredictions) -> Float[Tensor, "b a 4"]:
    """Boxes xyxy in pixels, not clipped."""
    deltas, anchors = predicted.deltas.float(), predicted.anchors
    centre = anchors[:, :2] + deltas[..., :2].sigmoid() * predicted.strides[:, None]
    half = 0.5 * anchors[:, 2:] * deltas[..., 2:].clamp(max=LARGEST).exp()
    return torch.cat((centre - half, centre + half), -1)


def anchor_targets(
    boxes: Float[Tensor, "n 4"],
    label: Int[Tensor, "n"],
    sample: Int[Tensor, "n"],
    ignore: Bool[Tensor, "n"],
    anchors: Float[Tensor, "a 4"],
    strides: Float[Tensor, "a"],
    *,
    images: int,
    size: tuple[int, int],
) -> AnchorTargets:
    """The anchor of each object: among those in whose cells its centre lies, the one of the most similar shape (the IoU of
    both around a common centre); of equal ones the first. If two objects would get the same anchor, the larger one does.

    boxes (n, 4) xyxy in pixels of images of `size` (height, width); regions with `ignore` learn nothing
    """
    objects = (~ignore & (area(boxes) > 0)).nonzero()[:, 0]
    objects = objects[area(boxes[objects]).argsort(descending=True, stable=True)]
    mine, image = boxes[objects], sample[objects]
    best = _best_anchor(mine, anchors, strides, size)
    first = _first_of_each(image * len(anchors) + best)
    objects, mine, image, best = objects[first], mine[first], image[first], best[first]
    own = anchors[best]
    inside = ((mine[:, :2] + mine[:, 2:]) / 2 - own[:, :2]) / strides[best, None]
    scale = ((mine[:, 2:] - mine[:, :2]) / own[:, 2:]).log()
    ignored = _neither(boxes, sample, ignore, anchors, strides, images)
    ignored[image, best] = False
    return AnchorTargets(
        image=image,
        place=best,
        deltas=torch.cat((inside.clamp(0, 1), scale), 1),
        label=label[objects],
        share=area(mine) / (size[0] * size[1]),
        truth=objects,
        ignored=ignored,
    )


def _best_anchor(
    boxes: Float[Tensor, "t 4"], anchors: Float[Tensor, "a 4"], strides: Float[Tensor, "a"], size: tuple[int, int]
) -> Int[Tensor, "t"]:
    centre = (boxes[:, :2] + boxes[:, 2:]) / 2
    edge = torch.nextafter(
        centre.new_tensor((size[1], size[0])), centre.new_zeros(2)
    )  # a centre on the edge lies inside
    offset = centre.clamp(min=0).minimum(edge)[:, None] - anchors[:, :2]  # (t, a, 2)
    here = ((offset >= 0) & (offset < strides[:, None])).all(2)
    extent = boxes[:, None, 2:] - boxes[:, None, :2]  # (t, 1, 2)
    shared = torch.minimum(extent, anchors[:, 2:]).prod(2)
    similar = shared / (extent.prod(2) + anchors[:, 2:].prod(1) - shared)  # (t, a)
    return similar.masked_fill(~here, -1.0).argmax(1) if len(boxes) else boxes.new_zeros(0, dtype=torch.long)


def _first_of_each(key: Int[Tensor, "t"]) -> Int[Tensor, "u"]:
    """The rows that are the first with their key, in order."""
    order = key.argsort(stable=True)
    new = torch.ones_like(key, dtype=torch.bool)
    new[1:] = key[order][1:] != key[order][:-1]
    return order[new].sort().values


def _neither(
    boxes: Tensor, sample: Tensor, ignore: Tensor, anchors: Tensor, strides: Tensor, images: int
) -> Bool[Tensor, "b a"]:
    """Anchors, in the middle of their cells, that overlap an object by more than 0.5, or lie by more than half in a region
    that is neither object nor background."""
    middle = anchors[:, :2] + strides[:, None] / 2
    placed = torch.cat((middle - anchors[:, 2:] / 2, middle + anchors[:, 2:] / 2), 1)  # (a, 4)
    near = torch.zeros(images, len(anchors), device=boxes.device)
    overlap = torch.where(ignore, coverage(placed, boxes), iou(placed, boxes))  # (a, n)
    return near.index_add(0, sample, (overlap.T > IGNORE_ABOVE).to(near.dtype)) > 0
