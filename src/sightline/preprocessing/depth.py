"""Samples of more than 8 bits: all of their bits, and how they become 8.

A file says how many bits it stores, not how many a camera filled: 12 bits in files of 16 would become sixteen grey levels.
So the depth of a data set is that of its content, one for all of its images; a run keeps it, and reads every image by it.

    depth 12: v → (min(v, 4095) · 255 + 2047) // 4095; depth 16, or none: as in `pixels`
"""

from __future__ import annotations

import io
import sys
from typing import Any

import numpy as np
from jaxtyping import UInt8, UInt16
from PIL import Image

from . import tiff
from .containers import Container

DEPTHS = (8, 10, 12, 14, 16)  # of cameras and scanners
Samples = UInt16[np.ndarray, "h w"] | UInt16[np.ndarray, "h w s"]


def depth_of(peak: int) -> int:
    """The depth of content whose largest value is `peak`."""
    return next(depth for depth in DEPTHS if peak < 1 << depth)


def samples_of(image: Image.Image, data: bytes, container: Container) -> Samples | None:
    """All the bits of a decoded image of more than 8 bits; None if it has no more, or Pillow cannot deliver them."""
    if container.bits <= 8:
        return None
    if image.mode.startswith("I;16"):
        return np.asarray(image).astype(np.uint16)
    if container.bits != 16 or image.mode not in ("RGB", "RGBA"):
        return None
    low = _low_bytes(data, container, image.mode)
    return None if low is None else np.asarray(image).astype(np.uint16) << 8 | low


def _low_bytes(data: bytes, container: Container, mode: str) -> UInt8[np.ndarray, "h w c"] | None:
    """The low byte of every sample of a colour image. Pillow keeps the high one only; told that the bytes lie the other way
    round, it keeps the low one."""
    with Image.open(io.BytesIO(data), formats=(container.format,)) as image:
        image.tile = [tile._replace(args=_swapped(tile.args)) for tile in image.tile]
        try:
            image.load()
        except ValueError:  # grey with alpha has no such raw mode
            return None
        return np.asarray(image) if image.mode == mode else None


def _swapped(args: Any) -> Any:
    """The arguments of a decoder with the raw mode of the other byte order; N is this machine's own."""
    raw = args if isinstance(args, str) else args[0]
    for end, other in ((";16B", ";16L"), (";16L", ";16B"), (";16N", ";16B" if sys.byteorder == "little" else ";16L")):
        if raw.endswith(end):
            raw = raw.removesuffix(end) + other
            return raw if isinstance(args, str) else (raw, *args[1:])
    raise ValueError(f"no raw mode of the other byte order: {raw}")


def to_8_bits(samples: Samples, depth: int, container: Container) -> UInt8[np.ndarray, "..."]:
    """Colour or grey of `depth` bits in 8; larger values are white."""
    top = (1 << depth) - 1
    values = np.minimum(np.arange(1 << 16, dtype=np.uint32), top)
    levels = ((values * 255 + top // 2) // top).astype(np.uint8)
    if container.tags.get(tiff.PHOTOMETRIC) == (0,):  # white is zero, which Pillow does not invert at 16 bits
        levels = np.uint8(255) - levels
    return levels[samples if samples.ndim == 2 else samples[..., :3]]


def peak_of(samples: Samples) -> int:
    """The largest value of grey or colour; alpha fills its range whatever the camera."""
    return int((samples if samples.ndim == 2 else samples[..., :3]).max())


def adds_to_8_bits(samples: Samples) -> bool:
    """Whether the samples hold more than 8 bits do: all of v · 257 do not."""
    return bool((samples % 257 != 0).any())
