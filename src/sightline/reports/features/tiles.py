"""Filters, patches and maps as small pictures of one size, and grids of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image

from sightline.drawing.heat import heat
from sightline.drawing.overlay import coloured, framed
from sightline.drawing.png import CAPTION, Picture, grid
from sightline.drawing.text import BLACK, cut, height_of, writable, write

MIDDLE = 128  # the grey of 0
PALE = (218, 218, 218)  # an edge around maps, which may be white
EMPTY = 225  # the grey of what lies outside of the image


def signed_tile(values: Float[np.ndarray, "c h w"], scale: float | None = None) -> Picture:
    """Grey is 0, the largest magnitude (or `scale`) black or white; three channels are red, green and blue, any other number is
    shown as its mean."""
    shown = values if len(values) in (1, 3) else values.mean(0, keepdims=True)
    most = float(np.abs(shown).max()) if scale is None else scale
    level = shown / most if most else np.zeros_like(shown)
    return np.clip(MIDDLE + 127 * level, 0, 255).round().astype(np.uint8).transpose(1, 2, 0)


def image_tile(pixels: UInt8[np.ndarray, "c h w"]) -> Picture:
    """An image of one or three channels, or the first of any other number, as (h, w, c)."""
    shown = pixels if len(pixels) in (1, 3) else pixels[:1]
    return np.ascontiguousarray(shown.transpose(1, 2, 0))


def map_tile(values: Float[np.ndarray, "h w"], scale: float, *, least: int = 1) -> Picture:
    """A map of activations on white: red is positive, blue negative, and `scale` the strongest colour. Enlarged by whole
    pixels to at least `least`."""
    factor = max(1, -(-least // max(values.shape)))
    large = values.repeat(factor, 0).repeat(factor, 1)
    white = np.full((*large.shape, 1), 255, np.uint8)
    return heat(white, large, scale=scale).picture


def cropped(tile: Picture, box: tuple[int, int, int, int], size: tuple[int, int]) -> Picture:
    """The box of a tile in a frame of `size` (h, w); a field that reaches beyond the image is filled with pale grey where it
    does. The image lies at the side of the frame that it lies at in the field."""
    left, top, right, bottom = box
    part = tile[top:bottom, left:right]
    high, wide = max(size[0], part.shape[0]), max(size[1], part.shape[1])
    frame = np.full((high, wide, tile.shape[2]), EMPTY, np.uint8)
    down = high - part.shape[0] if top == 0 and bottom < tile.shape[0] else 0
    across = wide - part.shape[1] if left == 0 and right < tile.shape[1] else 0
    frame[down : down + part.shape[0], across : across + part.shape[1]] = part
    return frame


def sheet_of(tiles: Sequence[Picture], *, columns: int, side: int, gap: int = 3) -> Picture:
    """Tiles in reading order, each about `side` pixels large."""
    return grid(tiles, columns=columns, gap=gap, least=side, most=max(side + side // 2, 2 * side - 1))


def beside(pictures: Sequence[Picture], gap: int = 10) -> Picture:
    """Pictures in a row, their tops aligned, on white."""
    high = max(picture.shape[0] for picture in pictures)
    parts: list[Picture] = []
    for picture in pictures:
        canvas = np.full((high, picture.shape[1], 3), 255, np.uint8)
        canvas[: picture.shape[0]] = coloured(picture)
        parts += [canvas, np.full((high, gap, 3), 255, np.uint8)]
    return np.concatenate(parts[:-1], 1)


def words(text: str, width: int) -> Picture:
    """The text in one line from the left, cut to `width` pixels: uint8 (h, width, 3); empty if no font can write it."""
    known = writable(text, CAPTION) if text else None
    if known is None:
        return np.full((0, width, 3), 255, np.uint8)
    spelling, font = known
    canvas = Image.new("RGB", (width, height_of(font) + 4), (255, 255, 255))
    write(canvas, cut(spelling, width, font), (0, 2), font, BLACK)
    return np.asarray(canvas)


def edged(tile: Picture, colour: tuple[int, int, int], thick: int) -> Picture:
    """The tile with a coloured edge around it."""
    high, wide = tile.shape[0] + 2 * thick, tile.shape[1] + 2 * thick
    canvas = np.full((high, wide, 3), 255, np.uint8)
    canvas[thick:-thick, thick:-thick] = coloured(tile)
    return framed(canvas, np.array([[0.0, 0.0, wide, high]]), [colour], thick=thick)
