"""Thumbnails for a page of many pictures: no larger than displayed, each with a palette of 256 colours."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from .png import fitted

COLOURS = 256


def shrunk(png: bytes, *, most: int) -> bytes:
    """The PNG with its longer side at most `most` pixels, its colours reduced to a palette: a third of the bytes."""
    with Image.open(io.BytesIO(png), formats=["PNG"]) as image:
        picture = np.asarray(image.convert("RGB"))
    small = Image.fromarray(fitted(picture, least=1, most=most))
    stream = io.BytesIO()
    reduced = small.quantize(COLOURS, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    reduced.save(stream, format="PNG", optimize=True)
    return stream.getvalue()
