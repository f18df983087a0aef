"""Labels and predictions drawn onto an image: classes of pixels as tints, objects as frames.

The colours are Tableau's ten (Stone 2016), which most colour-blind people can tell apart, darkened and then lightened
for further classes; a class has the same colour everywhere.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

_TABLEAU = (
    (31, 119, 180), (255, 127, 14), (44, 160, 44), (214, 39, 40), (148, 103, 189),
    (140, 86, 75), (227, 119, 194), (127, 127, 127), (188, 189, 34), (23, 190, 207),
)  # fmt: skip
# Frames of true positives, false positives and missed objects
RIGHT, WRONG, MISSED = (44, 160, 44), (214, 39, 40), (255, 200, 0)
TINT = 0.55  # opacity of the colour over the image


def colour(index: int) -> tuple[int, int, int]:
    """The colour of a class."""
    shade = (1.0, 0.6, 1.35)[index // len(_TABLEAU) % 3]
    red, green, blue = (min(int(value * shade), 255) for value in _TABLEAU[index % len(_TABLEAU)])
    return red, green, blue


def coloured(image: UInt8[np.ndarray, "h w c"]) -> UInt8[np.ndarray, "h w 3"]:
    """A copy with three channels."""
    return np.repeat(image, 3, axis=2) if image.shape[2] == 1 else image.copy()


def tinted(
    image: UInt8[np.ndarray, "h w c"], index: Int[np.ndarray, "h w"], *, ignore: int = 255
) -> UInt8[np.ndarray, "h w 3"]:
    """Each pixel mixed with its class's colour; ignored ones stay grey."""
    out = coloured(image).astype(np.float32)
    known = index != ignore
    for value in np.unique(index[known]).tolist():
        which = index == value
        out[which] = (1 - TINT) * out[which] + TINT * np.array(colour(int(value)), np.float32)
    out[~known] = out[~known].mean(axis=1, keepdims=True) * 0.5
    return out.round().astype(np.uint8)


def framed(
    image: UInt8[np.ndarray, "h w c"],
    boxes: Float[np.ndarray, "n 4"],
    colours: Sequence[tuple[int, int, int]],
    *,
    thick: int = 1,
) -> UInt8[np.ndarray, "h w 3"]:
    """A frame of `thick` pixels inside the edge of every box."""
    out = coloured(image)
    height, width = out.shape[:2]
    limit = np.array([width, height, width, height])
    for box, hue in zip(np.clip(np.round(boxes), 0, limit).astype(int).tolist(), colours, strict=True):
        left, top, right, bottom = box
        if right <= left or bottom <= top:
            continue
        out[top : min(top + thick, bottom), left:right] = hue
        out[max(bottom - thick, top) : bottom, left:right] = hue
        out[top:bottom, left : min(left + thick, right)] = hue
        out[top:bottom, max(right - thick, left) : right] = hue
    return out


def outlined(
    image: UInt8[np.ndarray, "h w c"], masks: Bool[np.ndarray, "n h w"], colours: Sequence[tuple[int, int, int]]
) -> UInt8[np.ndarray, "h w 3"]:
    """Every mask as a light tint with an outline of one pixel."""
    out = coloured(image).astype(np.float32)
    for mask, hue in zip(masks, colours, strict=True):
        shade = np.array(hue, np.float32)
        out[mask] = 0.7 * out[mask] + 0.3 * shade
        out[mask & ~_inner(mask)] = shade
    return out.round().astype(np.uint8)


def _inner(mask: Bool[np.ndarray, "h w"]) -> Bool[np.ndarray, "h w"]:
    """The pixels whose four neighbours are in the mask too."""
    wide = np.pad(mask, 1)
    return wide[:-2, 1:-1] & wide[2:, 1:-1] & wide[1:-1, :-2] & wide[1:-1, 2:]
