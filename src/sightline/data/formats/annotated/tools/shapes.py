"""Circles, ellipses and run lengths of annotation tools as outlines, and outlines from lists of corners."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from sightline.data.records.outlines import Outline, Rings, Runs
from sightline.preprocessing.decoder import MAX_PIXELS

from ..objects import box_fault
from ..units import Box

CORNERS = 72  # of the polygon that stands for an ellipse: at most 0.1 % of its radius off


class BadShape(ValueError):
    """A shape that cannot be used: the reason begins with a code."""


def polygon(points: Sequence[tuple[float, float]]) -> tuple[Box, Rings]:
    """The box and the outline of corners (x, y). Raises BadShape."""
    if len(points) < 3:
        raise BadShape(f"bad-outline: {len(points)} corners, where a polygon has three or more")
    if not all(math.isfinite(value) for point in points for value in point):
        raise BadShape("not-a-number: a corner of the outline")
    ring = np.array(points, dtype=np.float64)  # (k, 2)
    (left, top), (right, bottom) = ring.min(axis=0).tolist(), ring.max(axis=0).tolist()
    return checked((left, top, right, bottom)), Rings((ring,))


def ellipse(x: float, y: float, rx: float, ry: float, degrees: float = 0.0) -> tuple[Box, Rings]:
    """An ellipse about (x, y), turned clockwise on the screen, as a polygon with its exact box. Raises BadShape."""
    if not all(map(math.isfinite, (x, y, rx, ry, degrees))) or min(rx, ry) <= 0:
        raise BadShape("bad-outline: an ellipse without a size")
    turn, around = math.radians(degrees), np.linspace(0, 2 * math.pi, CORNERS, endpoint=False)
    cos, sin = math.cos(turn), math.sin(turn)
    across, along = rx * np.cos(around), ry * np.sin(around)
    ring = np.stack([x + across * cos - along * sin, y + across * sin + along * cos], axis=1)  # (k, 2)
    wide, high = math.hypot(rx * cos, ry * sin), math.hypot(rx * sin, ry * cos)
    return checked((x - wide, y - high, x + wide, y + high)), Rings((ring,))


def checked(box: Box) -> Box:
    """The box. Raises BadShape for one without an area or with numbers that are none."""
    if fault := box_fault(box):
        raise BadShape(fault)
    return box


def runs_in_box(counts: Sequence[int], place: tuple[int, int, int, int], size: tuple[int, int]) -> tuple[Box, Outline]:
    """Run lengths along the rows of a box at `place` (left, top, width, height), in an image of `size` (height, width); the
    first run is background. Raises BadShape."""
    (left, top, width, height), (high, wide) = place, size
    if min(left, top) < 0 or min(width, height) < 1 or left + width > wide or top + height > high:
        raise BadShape(f"bad-outline: a mask at {left}, {top} of {width} x {height} pixels, outside the image")
    if high * wide > MAX_PIXELS or min(counts, default=0) < 0 or sum(counts) != width * height:
        raise BadShape(f"bad-outline: run lengths that do not sum to {width} x {height}")
    inside = np.repeat(np.arange(len(counts)) % 2 == 1, counts).reshape(height, width)
    return mask_outline(inside, left, top, size)


def mask_outline(inside: np.ndarray, left: int, top: int, size: tuple[int, int]) -> tuple[Box, Outline]:
    """The pixels (h, w) of an object, laid at (left, top) of an image of `size`. Raises BadShape for none."""
    high, wide = size
    if not inside.any():
        raise BadShape("bad-outline: a mask without a pixel inside")
    whole = np.zeros((high, wide), bool)
    whole[top : top + inside.shape[0], left : left + inside.shape[1]] = inside
    outline = runs_of_mask(whole)
    x1, y1, x2, y2 = outline.box().tolist()
    return (x1, y1, x2, y2), outline


def runs_of_mask(mask: np.ndarray) -> Runs:
    """The run lengths of the pixels (h, w) of an object, down its columns."""
    flat = mask.T.reshape(-1)  # column by column
    changes = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    edges = np.concatenate([[0], changes, [flat.size]])
    counts = np.diff(edges)
    if flat[0]:
        counts = np.concatenate([[0], counts])
    return Runs(mask.shape[0], mask.shape[1], counts.astype(np.int32))
