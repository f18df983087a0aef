"""The outline of one object, stored as given until its pixels are needed: rings of points, or run lengths.

Both are COCO's (Lin et al. 2014, arXiv 1405.0312), and both give the same pixels as pycocotools. The decoders are our
own because the files are untrusted: every number is checked before memory is allocated, which the C code does not do.

The rule for rings: points are rounded to fifths of a pixel and edges are drawn between them on that finer grid. Where an
edge crosses the column through the centres of the pixels (between fifths 5x + 2 and 5x + 3), it toggles all pixels from
that height down. Each ring is filled even-odd; the rings of one object are united.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from jaxtyping import Bool, Float, Int

FINE = 5  # parts of a pixel
MAX_STEPS = 1 << 22  # along all edges of an object on the finer grid: 800,000 pixels of outline


class Outline(ABC):
    """The shape of one object, in the pixels of the image as its annotation counts them."""

    @abstractmethod
    def mask(self, height: int, width: int) -> Bool[np.ndarray, "h w"]:
        """The pixels of the object."""

    @abstractmethod
    def box(self) -> Float[np.ndarray, "4"]:
        """Its extent, xyxy, half-open edges; NaN if it is empty."""

    @abstractmethod
    def fault(self, height: int, width: int) -> str:
        """Why it cannot be drawn into an image of this size; "" if it can."""

    @abstractmethod
    def content(self) -> bytes:
        """Bytes that are the same for equal outlines."""

    def scaled(self, scale: Float[np.ndarray, "2"]) -> Outline:
        """The outline with x and y multiplied by `scale`. Raises ValueError for run lengths, which are pixels."""
        raise ValueError("run lengths cannot be scaled")


@final
@dataclass(frozen=True, eq=False)
class Rings(Outline):
    """Closed polygons, each (k, 2) x, y in pixels, k >= 3, all finite."""

    rings: tuple[Float[np.ndarray, "k 2"], ...]

    def mask(self, height: int, width: int) -> Bool[np.ndarray, "h w"]:
        out = np.zeros((height, width), dtype=bool)
        for ring in self.rings:
            out |= _filled(ring, height, width)
        return out

    def box(self) -> Float[np.ndarray, "4"]:
        points = np.concatenate(self.rings)
        return np.concatenate([points.min(axis=0), points.max(axis=0)])

    def fault(self, height: int, width: int) -> str:
        left, top, right, bottom = self.box()
        if left < -width or top < -height or right > 2 * width or bottom > 2 * height:
            return "a point lies more than an image's length outside"
        length = sum(float(np.abs(np.diff(ring, axis=0, append=ring[:1])).max(axis=1).sum()) for ring in self.rings)
        steps = FINE * length + 2 * sum(len(ring) for ring in self.rings)
        return "" if steps <= MAX_STEPS else f"its edges are {length:,.0f} pixels long"

    def content(self) -> bytes:
        return b"|".join(ring.tobytes() for ring in self.rings)

    def scaled(self, scale: Float[np.ndarray, "2"]) -> Outline:
        return Rings(tuple(ring * scale for ring in self.rings))


@final
@dataclass(frozen=True, eq=False)
class Runs(Outline):
    """Run lengths down the columns of an image of `height` x `width`: `counts` (m,) are not negative and sum to
    height · width. The first run is background.

    2 x 2 pixels with counts (1, 2, 1): going down the columns, pixel 0 is background, 1 and 2 are the object, 3 is
    background: bottom left and top right.
    """

    height: int
    width: int
    counts: Int[np.ndarray, "m"]

    def mask(self, height: int, width: int) -> Bool[np.ndarray, "h w"]:
        if (height, width) != (self.height, self.width):
            raise ValueError(
                f"run lengths of {self.height} x {self.width} pixels cannot be drawn at {height} x {width}"
            )
        inside = np.arange(len(self.counts)) % 2 == 1
        return np.repeat(inside, self.counts).reshape(width, height).T  # (w · h,) column by column → (h, w)

    def box(self) -> Float[np.ndarray, "4"]:
        ends = np.cumsum(self.counts)
        starts, ends = (ends - self.counts)[1::2], ends[1::2]
        starts, ends = starts[ends > starts], ends[ends > starts]
        if not len(starts):
            return np.full(4, np.nan)
        first, last = starts // self.height, (ends - 1) // self.height
        over = last > first  # a run past the end of a column touches its bottom and the top of the next
        top = 0 if over.any() else (starts % self.height).min()
        bottom = self.height - 1 if over.any() else ((ends - 1) % self.height).max()
        return np.array([first.min(), top, last.max() + 1, bottom + 1], dtype=np.float64)

    def fault(self, height: int, width: int) -> str:
        fits = (height, width) == (self.height, self.width)
        return "" if fits else f"its run lengths are of {self.width} x {self.height} pixels, not {width} x {height}"

    def content(self) -> bytes:
        return self.counts.tobytes()


@final
@dataclass(frozen=True, eq=False)
class Block(Outline):
    """Every pixel of a box, xyxy: the place of an object whose outline is unknown."""

    corners: Float[np.ndarray, "4"]

    def mask(self, height: int, width: int) -> Bool[np.ndarray, "h w"]:
        out = np.zeros((height, width), dtype=bool)
        left, top = np.floor(np.clip(self.corners[:2], 0, (width, height))).astype(int)
        right, bottom = np.ceil(np.clip(self.corners[2:], 0, (width, height))).astype(int)
        out[top:bottom, left:right] = True
        return out

    def box(self) -> Float[np.ndarray, "4"]:
        return self.corners

    def fault(self, height: int, width: int) -> str:
        return ""

    def content(self) -> bytes:
        return b"block:" + self.corners.tobytes()

    def scaled(self, scale: Float[np.ndarray, "2"]) -> Outline:
        return Block(self.corners * np.tile(scale, 2))


def drawable(outline: Outline, height: int, width: int) -> tuple[Outline | None, str]:
    """What of an outline can be drawn into an image of this size, and why not all of it."""
    fault = outline.fault(height, width)
    if fault and isinstance(outline, Rings):
        rest = Rings(tuple(ring for ring in outline.rings if not Rings((ring,)).fault(height, width)))
        return (rest if rest.rings and not rest.fault(height, width) else None), fault
    return (None if fault else outline), fault


def rings_of(polygons: Sequence[Sequence[float]]) -> Rings:
    """COCO's [[x1, y1, x2, y2, …], …]. Raises ValueError with the first fault."""
    rings, faults = sound_rings(polygons)
    if faults or rings is None:
        raise ValueError(faults[0] if faults else "no polygon")
    return rings


def sound_rings(polygons: Sequence[Sequence[float]]) -> tuple[Rings | None, list[str]]:
    """The rings that are polygons, None if there are none, and what is wrong with each of the others."""
    rings, faults = [], []
    for flat in polygons:
        if len(flat) < 6 or len(flat) % 2:
            faults.append(f"a polygon of {len(flat)} numbers instead of at least three pairs")
        elif not np.isfinite(flat).all():
            faults.append("a polygon with a coordinate that is not a number")
        else:
            rings.append(np.array(flat, dtype=np.float64).reshape(-1, 2))  # (2k,) → (k, 2)
    return (Rings(tuple(rings)) if rings else None), faults


def runs_of(height: int, width: int, counts: str | Sequence[int]) -> Runs:
    """Run lengths, as compressed text or numbers. Raises ValueError with the fault."""
    runs = _uncompressed(counts) if isinstance(counts, str) else counts
    if min(runs, default=0) < 0:
        raise ValueError("a run length below 0")
    if (total := sum(runs)) != height * width:
        raise ValueError(f"run lengths that sum to {total:.6g}, not {width} x {height} = {height * width}")
    return Runs(height, width, np.array(runs, dtype=np.int32))


def _uncompressed(text: str) -> list[int]:
    """COCO's compressed counts: five bits per character, the lowest first; 0x20 says that more follow, 0x10 in the last
    character is the sign. From the fourth count on, each is the difference to the count two places earlier."""
    counts: list[int] = []
    value, place = 0, 0
    for code in text.encode("utf-8", "replace"):  # non-ASCII bytes are outside the range checked below
        code -= 48
        if not 0 <= code < 64 or place > 30:
            raise ValueError("compressed run lengths with a character outside 0 to o, or a number of more than 35 bits")
        value |= (code & 31) << place
        place += 5
        if code < 32:
            value -= (code & 16) << (place - 4)
            counts.append(value + counts[-2] if len(counts) > 2 else value)
            value, place = 0, 0
    if place or not counts:
        raise ValueError("compressed run lengths that end within a number")
    return counts


def _filled(ring: Float[np.ndarray, "k 2"], height: int, width: int) -> Bool[np.ndarray, "h w"]:
    """The pixels inside one ring, by the rule above."""
    a = np.trunc(FINE * ring + 0.5).astype(np.int64)
    b = np.roll(a, -1, axis=0)
    wide = np.abs(b - a)
    steep = wide[:, 1] > wide[:, 0]
    back = np.where(steep, a[:, 1] > b[:, 1], a[:, 0] > b[:, 0])  # every edge is drawn in one direction
    start, end = np.where(back[:, None], b, a), np.where(back[:, None], a, b)
    length = wide.max(axis=1)
    run = np.where(steep, end[:, 0] - start[:, 0], end[:, 1] - start[:, 1]) / np.maximum(length, 1)
    edge = np.repeat(np.arange(len(a)), length + 1)
    step = np.arange(len(edge)) - np.repeat(np.cumsum(length + 1) - length - 1, length + 1)
    major = step + np.where(steep, start[:, 1], start[:, 0])[edge]
    minor = np.trunc(np.where(steep, start[:, 0], start[:, 1])[edge] + run[edge] * step + 0.5).astype(np.int64)
    u, v = np.where(steep[edge], minor, major), np.where(steep[edge], major, minor)
    crossed = (edge[1:] == edge[:-1]) & (u[1:] != u[:-1])  # ends of neighbouring edges coincide
    left = np.minimum(u[1:], u[:-1])[crossed]
    high = np.minimum(v[1:], v[:-1])[crossed]
    column, rest = np.divmod(left, FINE)
    hit = (rest == FINE // 2) & (column >= 0) & (column < width)
    row = np.ceil(np.clip((high[hit] + 0.5) / FINE - 0.5, 0, height)).astype(np.int64)
    toggles = np.bincount(column[hit] * (height + 1) + row, minlength=width * (height + 1))
    toggles = toggles.reshape(width, height + 1)  # (w · (h + 1),) → a column of toggles and its end
    return (np.cumsum(toggles[:, :height], axis=1) % 2 == 1).T
