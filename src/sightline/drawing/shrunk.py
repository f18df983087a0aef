"""Thumbnails for a page of many pictures: no larger than displayed, each with a palette of 256 colours."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from .png import Picture, fitted

COLOURS = 256
SMALLEST = 64  # pixels: no picture is shrunk below


def shrunk(png: bytes, *, most: int, limit: int | None = None) -> bytes:
    """The PNG with its longer side at most `most` pixels, its colours reduced to a palette: a third of the bytes. Shrunk
    further while it has more than `limit` bytes."""
    with Image.open(io.BytesIO(png), formats=["PNG"]) as image:
        picture = np.asarray(image.convert("RGB"))
    small = with_palette(fitted(picture, least=1, most=most))
    while limit is not None and len(small) > limit and most > SMALLEST:
        most = max(SMALLEST, int(min(most, max(picture.shape[:2])) * 0.8))
        small = with_palette(fitted(picture, least=1, most=most))
    return small


def with_palette(picture: Picture) -> bytes:
    """PNG of a colour picture (h, w, 3) with at most 256 colours."""
    stream = io.BytesIO()
    reduced = Image.fromarray(picture).quantize(COLOURS, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    reduced.save(stream, format="PNG", optimize=True)
    return stream.getvalue()
