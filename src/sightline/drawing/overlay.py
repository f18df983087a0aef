"""Labels and predictions drawn onto an image: classes of pixels as tints, objects as frames.

Ten class colours that people with any kind of colour blindness can tell apart, and that none of the colours of right, wrong and
missed is taken for: at least 23 (CIELAB) from each other and 23 from those three, as they are and under simulated protanopia,
deuteranopia and tritanopia (Machado et al. 2009, "A physiologically-based model for simulation of color vision deficiency").
Hence no red, yellow or green. They are darkened and then lightened for further classes; a class has the same colour everywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import repeat

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

CLASS_COLOURS = (
    (60, 120, 240), (180, 108, 168), (84, 12, 72), (168, 180, 252), (0, 0, 168),
    (228, 228, 216), (132, 0, 252), (96, 108, 96), (156, 0, 156), (60, 48, 36),
)  # fmt: skip
# Frames of true positives, false positives and missed objects; 38 from each other under the same simulations
RIGHT, WRONG, MISSED = (0, 190, 130), (200, 30, 30), (255, 205, 0)
SOLID, DASHED, DOTTED = 0, 6, 2  # frames of the three, so that they differ in more than their colour
TINT = 0.55  # opacity of the colour over the image


def colour(index: int) -> tuple[int, int, int]:
    """The colour of a class."""
    shade = (1.0, 0.6, 1.35)[index // len(CLASS_COLOURS) % 3]
    red, green, blue = (min(int(value * shade), 255) for value in CLASS_COLOURS[index % len(CLASS_COLOURS)])
    return red, green, blue


def object_colour(index: int) -> tuple[int, int, int]:
    """The colour of an object that is to be told apart from its neighbours: neither dark nor pale, so that it shows on any
    background."""
    return CLASS_COLOURS[(0, 1, 6, 8, 3)[index % 5]]


def coloured(image: UInt8[np.ndarray, "h w c"]) -> UInt8[np.ndarray, "h w 3"]:
    """A copy with three channels."""
    return np.repeat(image, 3, axis=2) if image.shape[2] == 1 else image.copy()


def tinted(
    image: UInt8[np.ndarray, "h w c"], index: Int[np.ndarray, "h w"], *, ignore: int = 255
) -> UInt8[np.ndarray, "h w 3"]:
    """Each pixel mixed with its class's colour; ignored ones stay grey."""
    known = index != ignore
    highest = int(index[known].max(initial=0))
    shades = TINT * np.array([colour(value) for value in range(highest + 1)], np.float32)
    plain = coloured(image).astype(np.float32)
    out = (1 - TINT) * plain + shades[np.where(known, index, 0)]
    if not known.all():
        out[~known] = plain[~known].mean(axis=1, keepdims=True) * 0.5
    return out.round().astype(np.uint8)


def framed(
    image: UInt8[np.ndarray, "h w c"],
    boxes: Float[np.ndarray, "n 4"],
    colours: Sequence[tuple[int, int, int]],
    *,
    thick: int = 1,
    dashes: Sequence[int] = (),
) -> UInt8[np.ndarray, "h w 3"]:
    """A frame of `thick` pixels inside the edge of every box; of `dashes`, one a box, as many times `thick` is the length of
    its dashes and gaps, 0 a solid line."""
    out = coloured(image)
    height, width = out.shape[:2]
    limit = np.array([width, height, width, height])
    corners = np.clip(np.round(boxes), 0, limit).astype(int).tolist()
    for (left, top, right, bottom), hue, dash in zip(
        corners, colours, dashes or repeat(SOLID, len(corners)), strict=True
    ):
        if right <= left or bottom <= top:
            continue
        inside = out[top:bottom, left:right]
        y, x = np.ogrid[: bottom - top, : right - left]
        flat = (y < thick) | (y >= bottom - top - thick)
        upright = (x < thick) | (x >= right - left - thick)
        if dash:
            flat, upright = flat & (x // (dash * thick) % 2 == 0), upright & (y // (dash * thick) % 2 == 0)
        inside[flat | upright] = hue
    return out


def outlined(
    image: UInt8[np.ndarray, "h w c"],
    masks: Bool[np.ndarray, "n h w"],
    colours: Sequence[tuple[int, int, int]],
    *,
    thick: int = 1,
) -> UInt8[np.ndarray, "h w 3"]:
    """Every mask as a light tint with an outline of `thick` pixels."""
    out = coloured(image).astype(np.float32)
    for mask, hue in zip(masks, colours, strict=True):
        shade = np.array(hue, np.float32)
        out[mask] = 0.7 * out[mask] + 0.3 * shade
        inner = mask
        for _ in range(thick):
            inner = _inner(inner)
        out[mask & ~inner] = shade
    return out.round().astype(np.uint8)


def _inner(mask: Bool[np.ndarray, "h w"]) -> Bool[np.ndarray, "h w"]:
    """The pixels whose four neighbours are in the mask too."""
    wide = np.pad(mask, 1)
    return wide[:-2, 1:-1] & wide[2:, 1:-1] & wide[1:-1, :-2] & wide[1:-1, 2:]


_LUMA = np.array([0.299, 0.587, 0.114])  # of red, green and blue, ITU-R BT.601


def recoloured(
    picture: UInt8[np.ndarray, "h w 3"],
    mask: Bool[np.ndarray, "h w"],
    hue: tuple[int, int, int],
    *,
    strength: float = 1.0,
) -> UInt8[np.ndarray, "h w 3"]:
    """The picture with the pixels of `mask` in the hue and saturation of `hue`, each as bright as before.

    strength    share of the new colour, 0 to 1
    """
    before = picture.astype(np.float64)
    luma = before @ _LUMA  # (h, w)
    tint = np.array(hue, dtype=np.float64)
    shift = tint - tint @ _LUMA  # of this luma 0: it changes the colour and not the brightness
    after = luma[..., None] + shift * _room(luma, shift)[..., None]
    share = strength * mask[..., None]
    return np.rint(before + share * (after - before)).astype(np.uint8)


def _room(luma: Float[np.ndarray, "h w"], shift: Float[np.ndarray, "3"]) -> Float[np.ndarray, "h w"]:
    """How much of the shift fits at each brightness before a channel leaves 0 to 255: near black and white there is no
    colour."""
    up, down = max(float(shift.max()), 1e-9), max(float(-shift.min()), 1e-9)
    return np.minimum(1.0, np.minimum((255 - luma) / up, luma / down)).clip(min=0)
