"""From the annotation of an image to its target in the network's frame.

Boxes and outlines follow the geometry of their image exactly; a mask pixel keeps one class, never a mean of two. Objects
that become too small to learn are left out in training; for evaluation they are kept, in the original frame. Labels and
numbers do not move.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float

from sightline.data.records.annotations import Objects, Truth
from sightline.preprocessing.geometry import Geometry
from sightline.structures.frames import move_boxes
from sightline.structures.targets import IGNORE, Boxes, Masks, Outlines, Target, Values, Wordings

SMALLEST = 1.0  # pixels of the network's frame; boxes with a shorter side are left out of training


def target_of(
    truth: Truth,
    geometry: Geometry,
    natural: tuple[int, int],
    frame: Float[np.ndarray, "3 3"],
    *,
    outlines: bool,
    judging: bool,
) -> Target:
    """The target of an image of `natural` (height, width), moved by `frame`. `outlines`: objects with their pixels, not
    their boxes only. `judging` keeps everything, and the originals beside it."""
    if isinstance(truth, Objects):
        boxes = _boxes(truth, frame)
        if outlines:
            return _outlines(truth, boxes, geometry, natural, judging=judging)
        return boxes if judging else boxes.take(_large_enough(boxes))
    if isinstance(truth, tuple):
        return Wordings((truth,))
    if truth.ndim == 1:
        return Values.of(torch.from_numpy(truth[None].astype(np.float32)))  # (k,) → (1, k)
    index = torch.from_numpy(geometry.apply_mask(truth, IGNORE)).long()
    return Masks(index[None], (torch.from_numpy(truth),) if judging else ())  # (h, w) → (1, h, w)


def _boxes(truth: Objects, frame: Float[np.ndarray, "3 3"]) -> Boxes:
    moved = torch.from_numpy(move_boxes(truth.boxes, frame)).float()
    label = torch.from_numpy(truth.label.astype(np.int64))
    return Boxes(moved, label, torch.zeros_like(label), torch.from_numpy(truth.ignore.copy()))


def _outlines(truth: Objects, boxes: Boxes, geometry: Geometry, natural: tuple[int, int], *, judging: bool) -> Outlines:
    masks = truth.masks(*natural)  # (n, H, W)
    planes = [geometry.apply_mask(mask.view(np.uint8), 0) for mask in masks]
    empty = np.zeros((0, geometry.height, geometry.width), np.uint8)
    moved = torch.from_numpy(np.stack(planes) if planes else empty).bool()  # (n, h, w)
    if judging:
        return Outlines(boxes, moved, (torch.from_numpy(masks),))
    return Outlines(boxes, moved).take(_large_enough(boxes) & moved.any(2).any(1))


def _large_enough(boxes: Boxes) -> torch.Tensor:
    sides = boxes.boxes[:, 2:] - boxes.boxes[:, :2]
    return (sides >= SMALLEST).all(1)
