"""Names on boxes and regions, placed so that each can be read: inside the image, and never over another name.

Whoever comes first gets the best place, so callers put what matters most (mistakes, then high scores) first. A label that finds
no free place is tried in its shorter form and then left out: a frame without a name is better than two names on each other.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int, UInt8
from PIL import Image, ImageDraw

from .svg import shortened
from .text import WHITE, Colour, height_of, ink, width_of, writable, write

SIZE = 13  # pixels of the font, on pictures of up to `LARGEST` pixels
LARGEST = 640
_ROOM = 3  # pixels between a chip's text and its sides
Box = tuple[float, float, float, float]  # left, top, right, bottom
Rectangle = tuple[int, int, int, int]


@dataclass(frozen=True)
class Label:
    """What is written on the object in `box`: the first of `texts` that finds a free place, on a chip of colour `hue`."""

    box: Box
    texts: tuple[str, ...]
    hue: Colour


@dataclass(frozen=True)
class PlacedLabel:
    """A chip: its rectangle, inside the image, and its text."""

    at: Rectangle
    text: str
    hue: Colour


def name_or_number(classes: Sequence[str], index: int, length: int) -> str:
    """The name of a class in at most `length` letters, its number where no font can write it."""
    name = shortened(classes[index], length) if index < len(classes) else ""
    return name if writable(name, SIZE) is not None else f"class {index}"


def font_size(picture: UInt8[np.ndarray, "h w c"]) -> int:
    """Larger on a picture that will be shrunk."""
    return round(SIZE * max(1.0, max(picture.shape[:2]) / LARGEST))


def place_labels(labels: Sequence[Label], height: int, width: int, size: int) -> list[PlacedLabel]:
    """The labels that find a place, in order."""
    placed: list[PlacedLabel] = []
    for label in labels:
        chip = next(_free(label, [p.at for p in placed], height, width, size), None)
        if chip is not None:
            placed.append(chip)
    return placed


def _free(label: Label, taken: Sequence[Rectangle], height: int, width: int, size: int) -> Iterator[PlacedLabel]:
    """Free places for the label, its longest text and its best place first."""
    for text in label.texts:
        known = writable(text, size)
        if known is None:
            continue
        spelling, font = known
        wide, high = width_of(spelling, font) + 2 * _ROOM, height_of(font) + _ROOM
        for left, top in _corners(label.box, wide, high):
            # moved into the image sideways only: moved down it would hide the object of another corner
            x = min(max(round(left), 0), width - wide)
            at = (x, round(top), x + wide, round(top) + high)
            if x >= 0 and at[1] >= 0 and at[3] <= height and not any(_overlap(at, other) for other in taken):
                yield PlacedLabel(at, spelling, label.hue)


def _corners(box: Box, wide: int, high: int) -> list[tuple[float, float]]:
    """Where a chip may stand: above the box, below it, then inside it; at its left side before its right one."""
    left, top, right, bottom = box
    return [
        (x, y)
        for y in (top - high, bottom, top, bottom - high)
        for x in ((left, right - wide) if right > left else (left,))
    ]


def _overlap(one: Rectangle, other: Rectangle) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def labelled(picture: UInt8[np.ndarray, "h w 3"], labels: Sequence[Label]) -> UInt8[np.ndarray, "h w 3"]:
    """The picture with the labels on chips."""
    size, (height, width) = font_size(picture), picture.shape[:2]
    canvas = Image.fromarray(picture)
    for chip in place_labels(labels, height, width, size):
        left, top, right, bottom = chip.at
        ImageDraw.Draw(canvas).rectangle((left, top, right - 1, bottom - 1), fill=chip.hue)
        known = writable(chip.text, size)
        assert known is not None
        write(canvas, chip.text, (left + _ROOM, top + _ROOM // 2), known[1], ink(chip.hue))
    return np.asarray(canvas).copy()


def named_regions(
    picture: UInt8[np.ndarray, "h w 3"], index: Int[np.ndarray, "h w"], names: Sequence[str]
) -> UInt8[np.ndarray, "h w 3"]:
    """The picture with each class's name in the thickest part of its region, where there is room for it."""
    from scipy.ndimage import distance_transform_edt  # loaded only where masks are drawn

    size, (height, width) = font_size(picture), picture.shape[:2]
    canvas = Image.fromarray(picture)
    taken: list[Rectangle] = []
    step = max(1, max(height, width) // LARGEST)  # the thickest part of a large picture is found on a coarse grid
    coarse = index[::step, ::step]
    for value in np.unique(coarse).tolist():
        known = writable(name_or_number(names, value, 24), size) if value < len(names) else None
        if known is None:
            continue
        text, font = known
        depth = step * distance_transform_edt(np.pad(coarse == value, 1))[1:-1, 1:-1]
        y, x = (step * int(at) for at in np.unravel_index(int(depth.argmax()), depth.shape))
        wide, high = width_of(text, font) + 2, height_of(font) + 2
        left = min(max(int(x) - wide // 2, 0), width - wide)
        top = min(max(int(y) - high // 2, 0), height - high)
        at = (left, top, left + wide, top + high)
        if depth.max() < 0.6 * high or left < 0 or top < 0 or any(_overlap(at, other) for other in taken):
            continue
        taken.append(at)
        write(canvas, text, (left + 1, top + 1), font, WHITE, edge=max(1, size // SIZE))
    return np.asarray(canvas).copy()
