"""Objects in the pixels that a form counts: those of the stored file or of the upright image; outlines as one ring.

A form that holds one ring an object gets several as one, joined by bridges: there and back along the same line, which an
even-odd fill does not see.
"""

from __future__ import annotations

from collections import defaultdict
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from sightline.data.formats.annotated.tools.shapes import runs_of_mask
from sightline.data.records.annotations import Objects
from sightline.data.records.outlines import Block, Outline, Rings
from sightline.data.records.upright import Stored, upright_boxes
from sightline.preprocessing.pixels import orient

BACK = {6: 8, 8: 6}  # all other orientations undo themselves
Ring = Float[np.ndarray, "k 2"]


class Areas(NamedTuple):
    """Objects in an image of `height` x `width`: boxes (n, 4) xyxy, outlines (empty if only boxes are known)."""

    height: int
    width: int
    boxes: Float[np.ndarray, "n 4"]
    outline: tuple[Outline, ...]


def areas_in(objects: Objects, image: Stored, *, upright: bool) -> Areas:
    """The objects (whose boxes are upright) in the pixels of the upright image or of the stored file."""
    high, wide = image.oriented
    back = BACK.get(image.orientation, image.orientation)
    turned = objects.orientation  # from the pixels that the outlines count to the upright ones
    own = (wide, high) if turned >= 5 else (high, wide)
    if upright:
        outlines = tuple(_turned(each, *own, turned) for each in objects.outline)
        return Areas(high, wide, objects.boxes, outlines)
    boxes = upright_boxes(objects.boxes, high, wide, back)
    if turned == image.orientation:
        return Areas(*image.size, boxes, objects.outline)
    return Areas(*image.size, boxes, tuple(_turned(each, high, wide, back) for each in objects.outline))


def _turned(outline: Outline, height: int, width: int, orientation: int) -> Outline:
    """An outline in an image of this size, turned as its pixels are."""
    if orientation == 1:
        return outline
    if isinstance(outline, Rings):
        return Rings(
            tuple(upright_boxes(np.tile(ring, (1, 2)), height, width, orientation)[:, :2] for ring in outline.rings)
        )
    if isinstance(outline, Block):
        return Block(upright_boxes(outline.corners[None], height, width, orientation)[0])
    mask = outline.mask(height, width).view(np.uint8)
    return runs_of_mask(orient(mask[..., None], orientation)[..., 0] > 0)


def one_ring(outline: Outline, height: int, width: int) -> tuple[Ring, bool] | None:
    """The outline as one ring inside its image, and whether it has exactly the same pixels; None if it has none."""
    if isinstance(outline, Rings) and len(outline.rings) == 1 and _is_inside(outline.rings[0], height, width):
        return outline.rings[0], True
    mask = outline.mask(height, width)
    if not mask.any():
        return None
    if isinstance(outline, Rings) and all(_is_inside(ring, height, width) for ring in outline.rings):
        ring = bridged(outline.rings)
        if (Rings((ring,)).mask(height, width) == mask).all():
            return ring, True
    ring = bridged(contours(mask))
    return ring, bool((Rings((ring,)).mask(height, width) == mask).all())


def _is_inside(ring: Ring, height: int, width: int) -> bool:
    return bool((ring >= 0).all() and (ring <= (width, height)).all())


def bridged(rings: tuple[Ring, ...]) -> Ring:
    """Rings as one, with a bridge from the first point of the first to each of the others and back."""
    first = rings[0]
    if len(rings) == 1:
        return first
    pieces = [first, first[:1]]
    for ring in rings[1:]:
        pieces += [ring, ring[:1], first[:1]]
    return np.concatenate(pieces[:-1])


def contours(mask: Bool[np.ndarray, "h w"]) -> tuple[Ring, ...]:
    """The closed lines between the pixels inside and outside, holes too, along the edges of the pixels.

    A single pixel at (0, 0) gives (0, 0), (1, 0), (1, 1), (0, 1).
    """
    padded = np.pad(mask, 1)
    inner = padded[1:-1, 1:-1]
    following: defaultdict[tuple[int, int], list[tuple[int, int]]] = defaultdict(list)
    sides = (  # the neighbour outside, and the edge with the object to its right: start and end from the pixel's corner
        (padded[:-2, 1:-1], (0, 0), (1, 0)),
        (padded[1:-1, 2:], (1, 0), (1, 1)),
        (padded[2:, 1:-1], (1, 1), (0, 1)),
        (padded[1:-1, :-2], (0, 1), (0, 0)),
    )
    for outside, (sx, sy), (ex, ey) in sides:
        rows, columns = np.nonzero(inner & ~outside)
        for y, x in zip(rows.tolist(), columns.tolist(), strict=True):
            following[x + sx, y + sy].append((x + ex, y + ey))
    rings = []
    while following:
        start = point = next(iter(following))
        line: list[tuple[int, int]] = []
        while not line or point != start:
            line.append(point)
            ends = following[point]
            after = ends.pop()
            if not ends:
                del following[point]
            point = after
        rings.append(_without_straight(np.array(line, dtype=np.float64)))
    return tuple(rings)


def _without_straight(ring: Ring) -> Ring:
    """The corners only."""
    before, after = ring - np.roll(ring, 1, axis=0), np.roll(ring, -1, axis=0) - ring
    return ring[before[:, 0] * after[:, 1] != before[:, 1] * after[:, 0]]
