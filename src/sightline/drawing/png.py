"""Pixels → PNG bytes and `data:` URIs: always encoded here, never a user's file under its own name or type.

Re-encoding drops whatever a file carried beside its pixels (EXIF, comments, colour profiles, text chunks). Tiny
pictures are enlarged by whole factors without smoothing, so that an 8 × 8 digit looks as the network sees it.
"""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import UInt8
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from .text import BLACK, height_of, in_lines, width_of, writable, write

Picture = UInt8[np.ndarray, "h w c"]
PAPER = 255  # the value between the pictures of a grid
CAPTION = 12  # pixels of the font under them


def png_bytes(picture: Picture, text: Mapping[str, str] | None = None) -> bytes:
    """PNG of a uint8 (h, w, 1 | 3) array, or (h, w); no metadata but `text`, by key (at most 79 Latin letters)."""
    stream, about = io.BytesIO(), PngInfo()
    for key, value in (text or {}).items():
        about.add_text(key, value)
    _image(picture).save(stream, format="PNG", optimize=True, pnginfo=about)
    return stream.getvalue()


def data_uri(png: bytes) -> str:
    """`data:image/png;base64,…`."""
    return f"data:image/png;base64,{base64.b64encode(png).decode('ascii')}"


def reencoded(png: bytes, *, most_pixels: int = 50_000_000) -> bytes:
    """The pixels of a PNG file, encoded here. Raises ValueError if it is not a PNG, is damaged, or
    has more than `most_pixels`."""
    try:
        with Image.open(io.BytesIO(png), formats=["PNG"]) as image:
            if image.width * image.height > most_pixels:
                raise ValueError(f"{image.width} × {image.height} pixels are more than {most_pixels:,}")
            mode = "L" if image.mode in ("1", "L") else "RGB"
            picture = np.asarray(image.convert(mode))
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise ValueError(f"not a readable PNG: {error}") from error
    return png_bytes(picture)


def fitted(picture: Picture, *, least: int = 96, most: int = 256) -> Picture:
    """The picture with its longer side in [least, most]: enlarged by a whole factor, or shrunk with smoothing."""
    picture = picture[..., None] if picture.ndim == 2 else picture  # (h, w) → (h, w, 1)
    height, width = picture.shape[:2]
    longer = max(height, width)
    if longer > most:
        size = (max(1, round(width * most / longer)), max(1, round(height * most / longer)))
        small = np.asarray(_image(picture).resize(size, Image.Resampling.LANCZOS))
        return small[..., None] if small.ndim == 2 else small  # (h, w) → (h, w, 1)
    factor = max(1, min(math.ceil(least / longer), most // longer))
    return picture.repeat(factor, axis=0).repeat(factor, axis=1)  # (h, w, c) → (f·h, f·w, c)


def enlarged(picture: Picture, *, least: int = 320, most: int = 640) -> Picture:
    """The picture, or each of its pixels as often as brings its longer side to `least` without exceeding `most`: room for
    names on it. Never shrunk."""
    longer = max(picture.shape[:2])
    factor = max(1, min(math.ceil(least / longer), most // longer))
    return picture.repeat(factor, axis=0).repeat(factor, axis=1)  # (h, w, c) → (f·h, f·w, c)


def grid(
    pictures: Sequence[Picture],
    *,
    columns: int,
    gap: int = 4,
    least: int = 96,
    most: int = 256,
    captions: Sequence[str] = (),
) -> Picture:
    """Pictures in reading order on white, each fitted and centred in equal cells, with its caption below: uint8 (H, W, 3)."""
    if not pictures:
        raise ValueError("a grid needs at least one picture")
    shown = [_three(fitted(p, least=least, most=most)) for p in pictures]
    high, wide = max(p.shape[0] for p in shown), max(p.shape[1] for p in shown)
    if any(captions):
        below = [caption(text, wide) for text in captions]
        room = max(strip.shape[0] for strip in below)
        shown = [_above(p, strip, high, wide, room) for p, strip in zip(shown, below, strict=True)]
        high += room
    columns = min(columns, len(shown))
    rows = math.ceil(len(shown) / columns)
    sheet = np.full((rows * (high + gap) - gap, columns * (wide + gap) - gap, 3), PAPER, np.uint8)
    for place, picture in enumerate(shown):
        top = (place // columns) * (high + gap) + (high - picture.shape[0]) // 2
        left = (place % columns) * (wide + gap) + (wide - picture.shape[1]) // 2
        sheet[top : top + picture.shape[0], left : left + picture.shape[1]] = picture
    return sheet


def caption(text: str, width: int) -> Picture:
    """The text in black on white, centred, in at most two lines: uint8 (h, width, 3); of height 0 if no font can write it."""
    known = writable(text, CAPTION) if text else None
    if known is None:
        return np.full((0, width, 3), PAPER, np.uint8)
    spelling, font = known
    lines, high = in_lines(spelling, width, font), height_of(font) + 2
    canvas = Image.new("RGB", (width, high * len(lines) + 2), (PAPER,) * 3)
    for row, line in enumerate(lines):
        write(canvas, line, ((width - width_of(line, font)) // 2, 2 + row * high), font, BLACK)
    return np.asarray(canvas)


def _above(picture: Picture, strip: Picture, high: int, wide: int, room: int) -> Picture:
    """The picture centred in a cell of `high` x `wide`, and its caption at the top of `room` more."""
    cell = np.full((high + room, wide, 3), PAPER, np.uint8)
    top, left = (high - picture.shape[0]) // 2, (wide - picture.shape[1]) // 2
    cell[top : top + picture.shape[0], left : left + picture.shape[1]] = picture
    cell[high : high + strip.shape[0]] = strip
    return cell


def _three(picture: Picture) -> Picture:
    return picture if picture.shape[2] == 3 else picture[..., :1].repeat(3, axis=2)  # (h, w, 1) → (h, w, 3)


def _image(picture: Picture) -> Image.Image:
    if picture.dtype != np.uint8:
        raise TypeError(f"a picture is uint8, not {picture.dtype}")
    flat = picture[..., 0] if picture.ndim == 3 and picture.shape[2] == 1 else picture  # (h, w, 1) → (h, w)
    if flat.ndim not in (2, 3) or (flat.ndim == 3 and flat.shape[2] != 3):
        raise ValueError(f"a picture is (h, w), (h, w, 1) or (h, w, 3), not {picture.shape}")
    return Image.fromarray(np.ascontiguousarray(flat))


def png_size(png: bytes) -> tuple[int, int]:
    """(width, height) of a PNG."""
    with Image.open(io.BytesIO(png), formats=["PNG"]) as image:
        return image.width, image.height
