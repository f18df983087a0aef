"""Anchors from the training boxes: k-means on their sizes.

    Redmon & Farhadi 2017, YOLO9000, arXiv:1612.08242, section 2 ("dimension clusters"): the distance of a box to a cluster is
    1 - IoU of both around a common centre, so that large boxes do not count for more than small ones

A pure function of the boxes and the seed: the first clusters are drawn as in k-means++ (Arthur & Vassilvitskii 2007), by
key. A cluster's size is the median of its boxes' sizes. It need not have the largest mean IoU, so the best of all
rounds is returned.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from sightline.errors import UsageError
from sightline.randomness.keyed import uniform

ROUNDS = 100


class Anchors(NamedTuple):
    """`sizes` (k, 2) width and height from small to large area; `mean_iou` over the boxes, with the best of them."""

    sizes: Float[Tensor, "k 2"]
    mean_iou: float


def size_overlap(sizes: Float[Tensor, "n 2"], clusters: Float[Tensor, "k 2"]) -> Float[Tensor, "n k"]:
    """IoU of boxes (width, height) around a common centre.

    (4, 4) and (2, 8) share 2 x 4 = 8 of 16 + 16 - 8 = 24: 1/3
    """
    shared = torch.minimum(sizes[:, None], clusters[None]).prod(2)
    return shared / (sizes.prod(1)[:, None] + clusters.prod(1)[None] - shared)


def cluster_sizes(sizes: Float[Tensor, "n 2"], k: int, *, seed: int = 0) -> Anchors:
    """k clusters of sizes (width, height), all positive. UsageError for fewer different sizes than clusters."""
    different = sizes.unique(dim=0)
    if k < 1 or len(different) < k:
        raise UsageError(f"{len(different)} different sizes of boxes cannot form {k} clusters", "use fewer anchors")
    clusters = _first_clusters(sizes, k, seed)
    best, score = clusters, -1.0
    assigned: Int[Tensor, "n"] | None = None
    for _ in range(ROUNDS):
        overlap, nearest = size_overlap(sizes, clusters).max(1)
        if float(overlap.mean()) > score:
            best, score = clusters, float(overlap.mean())
        if assigned is not None and torch.equal(nearest, assigned):
            break
        assigned = nearest
        clusters = torch.stack(
            [sizes[nearest == i].median(0).values if bool((nearest == i).any()) else clusters[i] for i in range(k)]
        )
    return Anchors(best[best.prod(1).argsort(stable=True)], score)


def _first_clusters(sizes: Float[Tensor, "n 2"], k: int, seed: int) -> Float[Tensor, "k 2"]:
    """Boxes, each drawn with a probability proportional to the square of its distance to the nearest box drawn before."""
    draws = uniform(seed, "first clusters", torch.arange(k)).to(sizes.dtype)
    weight = torch.ones_like(sizes[:, 0])
    chosen: list[Tensor] = []
    for draw in draws:
        line = weight.cumsum(0)
        row = int(torch.searchsorted(line, draw * line[-1], right=True).clamp(max=len(sizes) - 1))
        chosen.append(sizes[row])
        weight = (1 - size_overlap(sizes, torch.stack(chosen)).max(1).values).clamp(min=0).square()
    return torch.stack(chosen)
