"""Maps of numbers as colours on a picture: signed ones symmetric about 0, so that red is for and blue against.

    signed     blue, nothing, red       from -scale to scale
    unsigned   nothing, yellow, dark red   from 0 to scale

Small values are transparent, so that the picture shows where there is nothing to say. The scale is the 99.5th percentile of
the magnitude: a single pixel would otherwise make the rest invisible. It is returned, to be printed beside the picture.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, UInt8

from .overlay import coloured

Picture = UInt8[np.ndarray, "h w c"]
_SHARE = 0.995  # of the pixels lie inside the scale
_FOR = np.array([(255, 255, 255), (250, 178, 60), (214, 48, 31), (103, 0, 13)], float)
_AGAINST = np.array([(255, 255, 255), (116, 173, 209), (49, 94, 170), (8, 29, 88)], float)
_PALE = 0.55  # how much of the picture's contrast remains under a map


class Heat(NamedTuple):
    """`picture` (h, w, 3), and the `scale` that its strongest colour means; 0 where the map is 0 everywhere. `clipped`: the
    largest magnitude, where that is beyond the scale."""

    picture: Picture
    scale: float
    clipped: float | None


def heat(picture: Picture, values: Float[np.ndarray, "h w"], scale: float | None = None) -> Heat:
    """The map over the pale grey picture of the same size; NaN where the map says nothing. `scale`, where several maps share
    one."""
    known = np.isfinite(values)
    magnitude = np.abs(np.where(known, values, 0.0))
    inside = magnitude[known]
    largest = float(inside.max()) if inside.size else 0.0
    if scale is None:
        scale = float(np.quantile(inside, _SHARE)) if inside.size else 0.0
        scale = scale or largest
    level = np.clip(magnitude / scale, 0, 1) if scale else magnitude
    grey = coloured(picture).astype(float) @ np.array([0.299, 0.587, 0.114])
    base = (255 - _PALE * (255 - grey))[..., None]
    tint = np.where(np.where(known, values, 0.0)[..., None] >= 0, _ramp(level, _FOR), _ramp(level, _AGAINST))
    opacity = np.clip(level * 1.6, 0, 0.85)[..., None]
    mixed = base * (1 - opacity) + tint * opacity
    mixed = np.where(known[..., None], mixed, base * 0.6)
    return Heat(mixed.round().astype(np.uint8), scale, largest if largest > scale * (1 + 1e-6) else None)


def _ramp(level: Float[np.ndarray, "h w"], colours: np.ndarray) -> Float[np.ndarray, "h w 3"]:
    places = np.linspace(0, 1, len(colours))
    return np.stack([np.interp(level, places, colours[:, c]) for c in range(3)], -1)


def bar(width: int, height: int, *, signed: bool) -> Picture:
    """The scale as a strip of colours, from the lowest value on the left to the highest on the right."""
    level = np.broadcast_to(np.linspace(-1 if signed else 0, 1, width), (height, width))
    tint = np.where(level[..., None] >= 0, _ramp(np.abs(level), _FOR), _ramp(np.abs(level), _AGAINST))
    opacity = np.clip(np.abs(level) * 1.6, 0, 1)[..., None]
    return (255 * (1 - opacity) + tint * opacity).round().astype(np.uint8)


def in_original(
    values: Float[np.ndarray, "h w"], frame: Float[np.ndarray, "3 3"], size: tuple[int, int]
) -> Float[np.ndarray, "H W"]:
    """A map of the network's frame in the original image of `size` (H, W), linear between the centres of its pixels; NaN
    where the network did not see the original."""
    from scipy.ndimage import map_coordinates  # imported here: the package must load without scipy

    down, across = np.meshgrid(np.arange(size[0]) + 0.5, np.arange(size[1]) + 0.5, indexing="ij")
    x = frame[0, 0] * across + frame[0, 1] * down + frame[0, 2]
    y = frame[1, 0] * across + frame[1, 1] * down + frame[1, 2]
    found = map_coordinates(values.astype(np.float64), [y - 0.5, x - 0.5], order=1, mode="nearest")
    seen = (x >= 0) & (y >= 0) & (x <= values.shape[1]) & (y <= values.shape[0])
    return np.where(seen, found, np.nan)
