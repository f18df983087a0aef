"""Selective search: boxes that may hold an object, from many groupings of the same image.

    Uijlings, van de Sande, Gevers & Smeulders 2013, "Selective search for object recognition", IJCV 104
    Felzenszwalb & Huttenlocher 2004, "Efficient graph-based image segmentation", IJCV 59: the segments it starts from

One grouping finds what differs from its surroundings in one way; objects differ in many. So the groupings of several colour
spaces, scales of segments and similarities are put together. A box is ranked by the step of its grouping, the largest region
first, times a random number in [0, 1), as in the paper (section 3.3): large boxes would otherwise all come first. The numbers
are a hash of the box, so the same pixels always have the same boxes in the same order.

One thing is added: of boxes with an IoU above 0.8 the first remains, so a limit is spent on boxes that differ.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, UInt8

from sightline.errors import UsageError, nearest

from .colours import colour_space
from .grouping import MEASURES, gradients_of, grouped, segments_of


@dataclass(frozen=True)
class Diversity:
    """The groupings of a mode: every colour space with every scale k of the segments (whose smallest has k pixels) and every
    sum of similarities."""

    spaces: tuple[str, ...]
    scales: tuple[int, ...]
    similarities: tuple[tuple[str, ...], ...]


# The two modes of the paper, table 5: 8 and 80 groupings.
MODES: dict[str, Diversity] = {
    "fast": Diversity(("hsv", "lab"), (50, 100), (MEASURES, ("texture", "size", "fill"))),
    "quality": Diversity(
        ("hsv", "lab", "rgI", "hue", "intensity"),
        (50, 100, 150, 300),
        (MEASURES, ("texture", "size", "fill"), ("fill",), ("size",)),
    ),
}
SAME = 0.8  # IoU above which two boxes are one
_SMOOTHING = 0.8  # deviation of the Gaussian before the segmentation, in pixels


def selective_search(
    image: UInt8[np.ndarray, "h w c"], *, mode: str = "fast", limit: int = 2000, smallest: int = 4
) -> Float[np.ndarray, "n 4"]:
    """At most `limit` boxes (n, 4) xyxy in pixels, half-open, the likeliest first. Boxes with a side below
    `smallest` pixels are left out. UsageError for an unknown mode."""
    from skimage.segmentation import felzenszwalb

    if mode not in MODES:
        raise UsageError(f"unknown mode {mode!r} of selective search", nearest(mode, MODES))
    chosen, boxes, ranks = MODES[mode], [], []
    for space in chosen.spaces:
        colours = colour_space(image, space)
        gradients = gradients_of(colours)
        for scale in chosen.scales:
            label = felzenszwalb(colours, scale=scale, sigma=_SMOOTHING, min_size=scale, channel_axis=2)
            segments = segments_of(colours, gradients, label)
            for measures in chosen.similarities:
                one = grouped(segments, measures)
                boxes.append(one)
                ranks.append(np.arange(len(one), 0, -1))  # 1 for the last region, the whole image
    return _ranked(np.concatenate(boxes), np.concatenate(ranks), limit, smallest)


def _ranked(boxes: Float[np.ndarray, "m 4"], rank: np.ndarray, limit: int, smallest: int) -> Float[np.ndarray, "n 4"]:
    large = ((boxes[:, 2:] - boxes[:, :2]) >= smallest).all(1)
    boxes, rank = boxes[large], rank[large]
    order = np.argsort(rank * _chance(boxes, rank), kind="stable")
    _, first = np.unique(boxes[order], axis=0, return_index=True)
    distinct = boxes[order][np.sort(first)]
    return distinct[_unlike(distinct, limit)].astype(np.float32)


def _unlike(boxes: Float[np.ndarray, "m 4"], limit: int) -> list[int]:
    """The first `limit` boxes of which no two have an IoU above `SAME`."""
    size = (boxes[:, 2:] - boxes[:, :2]).prod(1)
    left, kept = np.arange(len(boxes)), list[int]()
    while len(left) and len(kept) < limit:
        best, left = left[0], left[1:]
        kept.append(int(best))
        low, high = (f(boxes[best, s], boxes[left, s]) for f, s in ((np.maximum, slice(2)), (np.minimum, slice(2, 4))))
        shared = (high - low).clip(min=0).prod(1)
        left = left[shared <= SAME * (size[best] + size[left] - shared)]
    return kept


def _chance(boxes: Float[np.ndarray, "m 4"], rank: np.ndarray) -> Float[np.ndarray, "m"]:
    """A number in [0, 1) for each box and rank: the last step of splitmix64 over their coordinates."""
    state = np.zeros(len(boxes), np.uint64)
    for column in (*boxes.T.astype(np.uint64), rank.astype(np.uint64)):
        state = (state ^ column) + np.uint64(0x9E3779B97F4A7C15)
        state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        state ^= state >> np.uint64(31)
    return (state >> np.uint64(11)) / float(1 << 53)
