"""Hierarchical grouping of segments: the two most similar neighbours become one region, until the image is one.

Uijlings et al. 2013, "Selective search for object recognition", IJCV 104, sections 3.1 and 3.2. Every region on the way is a
candidate for an object. Similarities are sums of four measures in [0, 1], each of which follows from the parts of a region
without looking at its pixels again:

    colour    intersection of histograms, 25 bins a channel
    texture   intersection of histograms of Gaussian derivatives (σ = 1) in 8 directions, 10 bins each
    size      1 - the share of the image that both fill: small regions merge early
    fill      1 - the share of the image that the box around both leaves open: what fits into each other merges
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

MEASURES = ("colour", "texture", "size", "fill")
_COLOURS, _TEXTURES, _DIRECTIONS = 25, 10, 8


@dataclass(frozen=True)
class Segments:
    """The n segments of an image of `pixels` pixels.

    colour, texture   (n, .) histograms, each row of sum 1
    size              (n,) pixels; box (n, 4) xyxy, half-open
    pairs             (p, 2) neighbours, the smaller index first
    """

    colour: Float[np.ndarray, "n c"]
    texture: Float[np.ndarray, "n t"]
    size: Float[np.ndarray, "n"]
    box: Float[np.ndarray, "n 4"]
    pairs: Int[np.ndarray, "p 2"]
    pixels: int


def segments_of(
    image: Float[np.ndarray, "h w c"], gradients: Float[np.ndarray, "g h w"], label: Int[np.ndarray, "h w"]
) -> Segments:
    """What is known of the segments 0 … n - 1 of `label`; `gradients` are those of `gradients_of(image)`."""
    n, flat = int(label.max()) + 1, label.ravel()
    size = np.bincount(flat, minlength=n).astype(float)
    colours = [_histogram(channel.ravel(), flat, n, _COLOURS) for channel in np.moveaxis(image, 2, 0)]
    textures = [_histogram(one.ravel(), flat, n, _TEXTURES) for one in gradients]
    return Segments(
        colour=np.concatenate(colours, 1) / (size[:, None] * len(colours)),
        texture=np.concatenate(textures, 1) / (size[:, None] * len(textures)),
        size=size,
        box=_boxes(label, n),
        pairs=_neighbours(label),
        pixels=label.size,
    )


def gradients_of(image: Float[np.ndarray, "h w c"]) -> Float[np.ndarray, "g h w"]:
    """Gaussian derivatives of each channel in 8 directions, negative ones 0, scaled to [0, 1]: (8 c, h, w)."""
    from scipy.ndimage import gaussian_filter  # imported here: the package must load without scipy

    found = []
    for channel in np.moveaxis(image.astype(np.float32), 2, 0):
        down, right = (gaussian_filter(channel, 1.0, order=order) for order in ((1, 0), (0, 1)))
        largest = max(float(np.hypot(down, right).max()), 1e-12)
        for direction in range(_DIRECTIONS):
            angle = 2 * np.pi * direction / _DIRECTIONS
            along = right * np.float32(np.cos(angle) / largest) + down * np.float32(np.sin(angle) / largest)
            found.append(along.clip(min=0))
    return np.stack(found)


def grouped(segments: Segments, measures: tuple[str, ...]) -> Float[np.ndarray, "m 4"]:
    """The boxes of all regions by the sum of these `measures`: the n segments, then the n - 1 regions in the order in which
    they are merged; the last one is the image."""
    n = len(segments.size)
    regions = _Regions.of(segments, measures)
    around: list[set[int]] = [set() for _ in range(2 * n - 1)]
    for one, other in segments.pairs.tolist():
        around[one].add(other)
        around[other].add(one)
    waiting = list(_pairs(regions.similarity(*segments.pairs.T), *segments.pairs.T))
    heapq.heapify(waiting)
    alive = [True] * n + [False] * (n - 1)
    count = n
    while waiting:
        _, one, other = heapq.heappop(waiting)
        if not (alive[one] and alive[other]):
            continue
        alive[one] = alive[other] = False
        new, count = count, count + 1
        regions.merge(one, other, new)
        beside = (around[one] | around[other]) - {one, other}
        for neighbour in beside:
            around[neighbour] -= {one, other}
            around[neighbour].add(new)
        around[new], alive[new] = beside, True
        if beside:
            index = np.array(sorted(beside))
            for pair in _pairs(regions.similarity(index, new), index, np.full(len(index), new)):
                heapq.heappush(waiting, pair)
    return regions.box[:count]


@dataclass
class _Regions:
    """Segments with room for the regions that they are merged into."""

    histogram: np.ndarray  # (2n - 1, c): colour, texture or both, by their share in the similarity
    size: np.ndarray
    box: np.ndarray
    pixels: int
    by_size: bool
    by_fill: bool

    @classmethod
    def of(cls, segments: Segments, measures: tuple[str, ...]) -> _Regions:
        parts = [getattr(segments, name) for name in ("colour", "texture") if name in measures]
        n = len(segments.size)
        histogram = np.concatenate([np.zeros((n, 0)), *parts], 1)
        histogram, size, box = (
            np.concatenate([x, np.zeros((n - 1, *x.shape[1:]))]) for x in (histogram, segments.size, segments.box)
        )
        return cls(histogram, size, box, segments.pixels, "size" in measures, "fill" in measures)

    def similarity(self, one: np.ndarray, other: np.ndarray | int) -> np.ndarray:
        """Of the regions `one` (p,) to `other` (p,), or to one region."""
        value = np.minimum(self.histogram[one], self.histogram[other]).sum(1)
        both = self.size[one] + self.size[other]
        if self.by_size:
            value += 1 - both / self.pixels
        if self.by_fill:
            low = np.minimum(self.box[one, :2], self.box[other][..., :2])
            high = np.maximum(self.box[one, 2:], self.box[other][..., 2:])
            value += 1 - ((high - low).prod(1) - both) / self.pixels
        return value

    def merge(self, one: int, other: int, new: int) -> None:
        a, b = self.size[one], self.size[other]
        self.size[new] = a + b
        self.histogram[new] = (a * self.histogram[one] + b * self.histogram[other]) / (a + b)
        self.box[new, :2] = np.minimum(self.box[one, :2], self.box[other, :2])
        self.box[new, 2:] = np.maximum(self.box[one, 2:], self.box[other, 2:])


def _pairs(similarity: np.ndarray, one: np.ndarray, other: np.ndarray) -> Iterator[tuple[float, int, int]]:
    """Entries of the heap: the most similar pair comes first, and among equals that of the earliest regions."""
    return zip((-similarity).tolist(), one.tolist(), other.tolist(), strict=True)


def _histogram(values: np.ndarray, label: np.ndarray, n: int, bins: int) -> Float[np.ndarray, "n bins"]:
    """Pixels of each segment whose value in [0, 1] falls into each bin."""
    place = np.minimum((values * bins).astype(np.int64), bins - 1)
    return np.bincount(label * bins + place, minlength=n * bins).reshape(n, bins).astype(float)


def _boxes(label: np.ndarray, n: int) -> Float[np.ndarray, "n 4"]:
    from scipy.ndimage import find_objects

    slices = find_objects(label + 1, max_label=n)
    return np.array([[x.start, y.start, x.stop, y.stop] for y, x in slices], float)


def _neighbours(label: np.ndarray) -> Int[np.ndarray, "p 2"]:
    """Pairs of segments that share an edge of a pixel, each once."""
    across = np.stack([label[:, :-1].ravel(), label[:, 1:].ravel()], 1)
    down = np.stack([label[:-1].ravel(), label[1:].ravel()], 1)
    pairs = np.concatenate([across, down])
    pairs = np.sort(pairs[pairs[:, 0] != pairs[:, 1]], axis=1)
    return np.unique(pairs, axis=0)
