"""Pictures one after the other, as a GIF that plays without a script."""

from __future__ import annotations

import io

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from ..png import fitted


def film(
    pictures: UInt8[np.ndarray, "n h w c"],
    *,
    milliseconds: int = 80,
    rest: int = 0,
    least: int = 168,
    comment: str = "",
) -> bytes:
    """A GIF that repeats for ever; `rest` milliseconds are added to the last picture. Small pictures are enlarged by a whole
    factor to a longer side of about `least`. `comment` becomes the comment of the file. Grey pictures keep their levels,
    colours are reduced to 255 a picture."""
    if not len(pictures):
        raise ValueError("a film needs at least one picture")
    shots = [_shot(fitted(picture, least=least, most=max(least * 2, *picture.shape[:2]))) for picture in pictures]
    durations = [milliseconds] * (len(shots) - 1) + [milliseconds + rest]
    stream = io.BytesIO()
    shots[0].save(
        stream, "GIF", save_all=True, append_images=shots[1:], duration=durations, loop=0, optimize=False, disposal=1,
        comment=comment.encode("ascii", "replace"),
    )  # fmt: skip
    return stream.getvalue()


def _shot(picture: UInt8[np.ndarray, "h w c"]) -> Image.Image:
    if picture.shape[2] == 1:
        return Image.fromarray(picture[..., 0])
    return Image.fromarray(picture).quantize(255, dither=Image.Dither.NONE)
