"""The same dense set of boxes for every image: "R-CNN minus R".

Lenc & Vedaldi 2015, arXiv:1506.06981: once a network refines boxes, where these begin hardly matters, and a fixed set costs
nothing. Theirs are the clusters of the training boxes; here they are all places of squares and oblongs of geometric sizes,
which need no data.
"""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float

RATIOS = (0.5, 1.0, 2.0)  # height / width
_SMALLEST = 16.0  # pixels of the side of the smallest square


def fixed_boxes(height: int, width: int, limit: int) -> Float[np.ndarray, "n 4"]:
    """At most `limit` boxes (n, 4) xyxy inside an image of this size, the largest first: sides √2 apart, neighbours of a size
    overlapping by a half. The smallest sizes are left out where they would be too many."""
    scales, side = [], float(max(height, width))
    while side >= _SMALLEST:
        scales.append(_of_side(height, width, side))
        side /= math.sqrt(2)
    kept: list[np.ndarray] = []
    for boxes in scales:
        if sum(map(len, kept)) + len(boxes) > limit:
            break
        kept.append(boxes)
    return np.concatenate(kept or [np.array([[0.0, 0.0, width, height]])]).astype(np.float32)[:limit]


def _of_side(height: int, width: int, side: float) -> Float[np.ndarray, "n 4"]:
    """All boxes of the area of a square of this side, clipped to the image where they are larger."""
    found = []
    for ratio in RATIOS:
        h, w = min(side * math.sqrt(ratio), height), min(side / math.sqrt(ratio), width)
        top, left = (
            np.linspace(0, full - part, math.ceil(2 * (full - part) / part) + 1)
            for full, part in ((height, h), (width, w))
        )
        y, x = (grid.ravel() for grid in np.meshgrid(top, left, indexing="ij"))
        found.append(np.stack([x, y, x + w, y + h], 1))
    return np.unique(np.concatenate(found), axis=0)
