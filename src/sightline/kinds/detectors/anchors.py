"""Anchors from the sizes of the training boxes, for networks of any family that have anchors."""

from __future__ import annotations

import torch

from sightline.errors import UsageError
from sightline.layers.boxes.clusters import Anchors, cluster_sizes
from sightline.recipes.defaults import Filled, Traits

KMEANS = "kmeans"  # in place of a recipe's anchors: compute them


def anchors_from_boxes(traits: Traits, filled: Filled, number: int, maps: int = 1) -> Anchors:
    """`number` anchors by k-means on the sizes that training boxes have in the network's frame; fewer, of equal number for each
    of the maps, where the boxes have fewer different sizes. UsageError where there are no boxes."""
    if not traits.objects:
        raise UsageError("there are no training boxes to take anchors from", "set model.options.anchors=10,13,16,30,…")
    shape = filled["input"]
    sizes = torch.tensor(traits.objects, dtype=torch.float64)  # (n, 3): width and height as shares, aspect of the image
    frame = torch.tensor([shape["width"], shape["size"]], dtype=torch.float64).expand(len(sizes), 2)
    if shape["fit"] != "stretch":  # the image's longer side, compared with the frame, fills it
        aspect, whole = sizes[:, 2], shape["width"] / shape["size"]
        frame = torch.stack(
            (frame[:, 0] * (aspect / whole).clamp(max=1), frame[:, 1] * (whole / aspect).clamp(max=1)), 1
        )
    different = len(set(traits.objects))
    return cluster_sizes(sizes[:, :2] * frame, min(number, max(different // maps * maps, maps)))


def sides_from_boxes(traits: Traits, filled: Filled, levels: int) -> list[int]:
    """The square roots of the areas of so many anchors, small ones first; the largest again where boxes have fewer different
    sizes."""
    sides = anchors_from_boxes(traits, filled, levels).sizes.prod(1).sqrt().tolist()
    return [max(round(side), 1) for side in (*sides, *(sides[-1:] * (levels - len(sides))))]
