"""A decoded Pillow image → uint8 values, by the rules below, which the tests check against plain numpy.

    16-bit grey      round(v / 257), that is (v · 255 + 32767) // 65535; 12-bit likewise with 4095; see also `depth`
    16-bit colour    v // 256: Pillow gives the high byte only
    alpha            (c · a + background · (255 - a) + 127) // 255, the rounded quotient (a tie cannot occur)
    CMYK             ((255 - c) · (255 - k) + 127) // 255; every CMYK JPEG is assumed to be inverted, as Adobe writes them
    palette          each index replaced by its colour; 1 bit → 0 and 255; grey → three equal channels
    luminance        (19595 R + 38470 G + 7471 B + 32768) >> 16: ITU-R 601, as Pillow's mode L computes it
    TIFF             bands beyond the colours are not used, unless the file calls one alpha
    GIF              what the first frame does not cover is transparent, as in browsers

Pillow's own `convert("RGB")` clips 16-bit grey to white and shows the hidden colour of transparent pixels.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from jaxtyping import UInt8, UInt16

from . import tiff
from .containers import Container
from .rejection import Rejected

if TYPE_CHECKING:
    from PIL import Image

EXTRA_SAMPLES = 338  # the tag of a TIFF
Colour = UInt8[np.ndarray, "h w"] | UInt8[np.ndarray, "h w 3"]
Alpha = UInt8[np.ndarray, "h w"] | None
Pixels = TypeVar("Pixels", bound=np.ndarray)  # (h, w, c) of any type


def layers(image: Image.Image, container: Container, notes: list[str]) -> tuple[Colour, Alpha]:
    """Colour (h, w) or (h, w, 3), and alpha (h, w) or None if nothing is transparent. Appends to `notes`."""
    mode = image.mode
    if mode in ("P", "PA"):
        colour, alpha = _look_up(image)
        notes.append("palette")
    elif mode == "1":
        colour, alpha = np.asarray(image).astype(np.uint8) * np.uint8(255), None
    elif mode.startswith("I;16"):
        colour, alpha = _scale_16_bit(image, container, notes), None
    elif mode in ("L", "RGB"):
        colour, alpha = np.asarray(image), None
    elif mode in ("LA", "RGBA"):
        both = np.asarray(image)
        colour, alpha = (both[..., 0] if mode == "LA" else both[..., :3]), both[..., -1]
    elif mode == "CMYK":
        colour, alpha = _from_cmyk(np.asarray(image)), None
        notes.append("cmyk-converted")
    elif mode in ("I", "F"):
        raise Rejected("float-without-range", f"samples of Pillow's mode {mode}")
    else:
        raise Rejected("unsupported-format", f"pixels of Pillow's mode {mode} are not supported")
    if container.bits == 16 and not mode.startswith("I;16"):
        notes.append("16-bit-high-byte")
    alpha = _without_extra_bands(image, container, alpha, notes)
    if alpha is None and mode != "P":
        alpha = _colour_key(image, container, colour)
    alpha = _hide_uncovered(container, colour.shape[0], colour.shape[1], alpha)
    return colour, None if alpha is None or (alpha == 255).all() else alpha


def _without_extra_bands(image: Image.Image, container: Container, alpha: Alpha, notes: list[str]) -> Alpha:
    """The alpha of a TIFF that may have bands which are neither colour nor alpha, such as infrared. A band that the file does
    not call alpha is none (TIFF 6.0, ExtraSamples), though Pillow takes a fourth one for that."""
    if container.format != "TIFF":
        return alpha
    stored = len(container.tags.get(tiff.BITS, (1,)))
    used = {"L": 1, "LA": 2, "RGB": 3, "RGBA": 4, "CMYK": 4}.get(image.mode, stored)
    unnamed = image.mode in ("LA", "RGBA") and not getattr(image, "tag_v2", {}).get(EXTRA_SAMPLES)
    if stored > used or unnamed:
        notes.append("extra-bands-unused")
    return None if unnamed else alpha


def _look_up(image: Image.Image) -> tuple[Colour, Alpha]:
    index = np.asarray(image)
    flat = image.getpalette("RGB")
    table = np.array(flat, dtype=np.uint8).reshape(-1, 3)  # (3n,) → (n, 3)
    place = index if index.ndim == 2 else index[..., 0]
    if place.max() >= len(table):
        raise Rejected("damaged", f"a pixel has index {place.max()} in a palette of {len(table)} colours")
    if index.ndim == 3:
        return table[place], index[..., 1]
    transparency = image.info.get("transparency")
    if transparency is None:
        return table[place], None
    opacity = np.full(256, 255, dtype=np.uint8)
    if isinstance(transparency, int):
        opacity[transparency] = 0
    else:
        stated = np.frombuffer(transparency, dtype=np.uint8)[:256]
        opacity[: len(stated)] = stated
    return table[place], opacity[place]


def _scale_16_bit(image: Image.Image, container: Container, notes: list[str]) -> Colour:
    top = (1 << container.bits) - 1  # 65535, or 4095 for a 12-bit TIFF
    levels = ((np.arange(1 << 16, dtype=np.uint32) * 255 + top // 2) // top).astype(np.uint8)
    if container.tags.get(tiff.PHOTOMETRIC) == (0,):  # white is zero, which Pillow does not invert at 16 bits
        levels = np.uint8(255) - levels
    notes.append(f"{container.bits}-bit-scaled")
    return levels[np.asarray(image)]


def _from_cmyk(values: UInt8[np.ndarray, "h w 4"]) -> Colour:
    out = np.empty((*values.shape[:2], 3), dtype=np.uint8)
    for rows in _row_blocks(values):
        rest = 255 - values[rows].astype(np.uint16)
        out[rows] = _by_255(rest[..., :3] * rest[..., 3:])
    return out


def _colour_key(image: Image.Image, container: Container, colour: Colour) -> Alpha:
    """Alpha from the one stored value or colour that means transparent (PNG's tRNS, a GIF whose palette is a grey ramp)."""
    key = image.info.get("transparency")
    if key is None:
        return None
    if image.mode.startswith("I;16"):
        hit = np.asarray(image) == key
    elif colour.ndim == 3:
        hit = (colour == np.array(key)).all(axis=2)
    elif image.mode == "L" and container.bits < 8:  # the key is a stored level, the pixels are spread to 0-255
        hit = colour == key * (255 // ((1 << container.bits) - 1))
    else:
        hit = colour == key
    return np.where(hit, np.uint8(0), np.uint8(255))


def _hide_uncovered(container: Container, height: int, width: int, alpha: Alpha) -> Alpha:
    if container.cover is None or container.cover == (0, 0, width, height):
        return alpha
    left, top, right, bottom = container.cover
    shown = np.zeros((height, width), dtype=np.uint8)
    shown[top:bottom, left:right] = 255 if alpha is None else alpha[top:bottom, left:right]
    return shown


def composite(colour: Colour, alpha: UInt8[np.ndarray, "h w"], background: tuple[int, int, int]) -> Colour:
    """The colour over the background, (h, w, 3)."""
    out = np.empty((*alpha.shape, 3), dtype=np.uint8)
    for rows in _row_blocks(alpha):
        if not alpha[rows].any():
            out[rows] = background
            continue
        a = alpha[rows, :, None].astype(np.uint16)  # (r, w, 1)
        under = np.array(background, dtype=np.uint16) * (255 - a)
        out[rows] = _by_255(np.atleast_3d(colour[rows]) * a + under)
    return out


def _by_255(products: UInt16[np.ndarray, "..."]) -> UInt16[np.ndarray, "..."]:
    """products / 255, rounded, for 0 to 255²: shifts instead of a division (Blinn 1994), equal to (p + 127) // 255.

    p = 200 · 100 = 20,000: 20,128 + (20,128 >> 8 = 78) = 20,206, and 20,206 >> 8 = 78, as 20,000 / 255 = 78.4.
    """
    products += 128
    products += products >> 8
    products >>= 8
    return products


def _row_blocks(pixels: UInt8[np.ndarray, "h w ..."]) -> Iterator[slice]:
    """Slices of rows of about a million pixels: only one slice at a time needs wider numbers."""
    height, width = pixels.shape[:2]
    step = max(1, (1 << 20) // width)
    return (slice(top, top + step) for top in range(0, height, step))


def with_channels(colour: Colour, channels: int) -> UInt8[np.ndarray, "h w c"]:
    """(h, w) or (h, w, 3) → (h, w, channels): grey is repeated, colour becomes luminance."""
    if channels == 3 and colour.ndim == 3:
        return colour
    out = np.empty((*colour.shape[:2], channels), dtype=np.uint8)
    if colour.ndim == 2:
        out[...] = colour[..., None]
        return out
    for rows in _row_blocks(colour):
        c = colour[rows].astype(np.uint32)
        out[rows, :, 0] = (c[..., 0] * 19595 + c[..., 1] * 38470 + c[..., 2] * 7471 + 0x8000) >> 16
    return out


def orient(pixels: Pixels, orientation: int) -> Pixels:
    """EXIF 2.3, tag 0x0112: orientations 5 to 8 are stored transposed; then rows, columns or both are reversed."""
    turned: np.ndarray = pixels.swapaxes(0, 1) if orientation >= 5 else pixels
    if orientation in (3, 4, 7, 8):
        turned = turned[::-1]
    if orientation in (2, 3, 6, 7):
        turned = turned[:, ::-1]
    return np.ascontiguousarray(turned)  # type: ignore[return-value]
