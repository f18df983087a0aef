"""The colour spaces in which an image is segmented and its regions are compared.

Uijlings et al. 2013, "Selective search for object recognition", IJCV 104, section 3.2: shadows and highlights change some of
them and not others, so a boundary that one space misses another one shows. Every channel is scaled to [0, 1].
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import Float, UInt8

_Image = Float[np.ndarray, "h w 3"]
_GREY = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601


def colour_space(image: UInt8[np.ndarray, "h w c"], name: str) -> Float[np.ndarray, "h w d"]:
    """The image in the space of that name, one to three channels. An image of one channel is grey in every space."""
    colours = image[..., :3] if image.shape[2] >= 3 else image[..., :1].repeat(3, axis=2)
    return SPACES[name](colours / 255.0)


def _intensity(rgb: _Image) -> Float[np.ndarray, "h w 1"]:
    return (rgb @ _GREY)[..., None]


def _hsv(rgb: _Image) -> _Image:
    from skimage.color import rgb2hsv

    return rgb2hsv(rgb)


def _lab(rgb: _Image) -> _Image:
    from skimage.color import rgb2lab

    low, extent = np.array([0.0, -128.0, -128.0]), np.array([100.0, 255.0, 255.0])
    return (rgb2lab(rgb) - low) / extent


def _normalised_rg(rgb: _Image) -> _Image:
    """r and g, which no shadow changes, and intensity. Black has no colour: a third each."""
    total = rgb.sum(2, keepdims=True)
    shares = np.divide(rgb, total, out=np.full_like(rgb, 1 / 3), where=total > 0)
    return np.concatenate([shares[..., :2], _intensity(rgb)], axis=2)


SPACES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "hsv": _hsv,
    "lab": _lab,
    "rgI": _normalised_rg,
    "hue": lambda rgb: _hsv(rgb)[..., :1],
    "intensity": _intensity,
}
