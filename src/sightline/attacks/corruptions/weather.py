"""Weather: snow, frost, fog, and the light of another hour."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from scipy import ndimage
from scipy.spatial import KDTree

from .kernels import Field, Picture, laid_over, magnified, motion, plasma

# mean and deviation of the flakes, their size, the threshold, their motion (radius, sigma), the share of the image
SNOW = (
    (0.1, 0.3, 3.0, 0.5, 10, 4.0, 0.8), (0.2, 0.3, 2.0, 0.5, 12, 4.0, 0.7), (0.55, 0.3, 4.0, 0.9, 12, 8.0, 0.7),
    (0.55, 0.3, 4.5, 0.85, 12, 8.0, 0.65), (0.55, 0.3, 2.5, 0.85, 12, 12.0, 0.55),
)  # fmt: skip
FROST = ((1.0, 0.4), (0.8, 0.6), (0.7, 0.7), (0.65, 0.7), (0.6, 0.75))  # shares of the image and of the ice
FOG = ((1.5, 2.0), (2.0, 2.0), (2.5, 1.7), (2.5, 1.5), (3.0, 1.4))  # thickness, smoothness
BRIGHTNESS = (0.1, 0.2, 0.3, 0.4, 0.5)
GREY = np.array([0.299, 0.587, 0.114])  # luma of Rec. 601
ICE = np.array([0.88, 0.95, 1.0])  # the tint of the synthetic ice


def grey(x: Picture) -> Float[np.ndarray, "h w 1"]:
    """The luma of colours; a grey image as it is."""
    return x if x.shape[2] == 1 else (x @ GREY)[..., None]


def snow(x: Picture, severity: int, draws: np.random.Generator) -> Picture:
    """Flakes in motion over an image that is lightened as an overcast sky does."""
    mean, deviation, size, threshold, radius, sigma, share = SNOW[severity]
    flakes = magnified(draws.normal(mean, deviation, x.shape[:2])[..., None], size)
    flakes = np.clip(np.where(flakes < threshold, 0.0, flakes), 0, 1)
    flakes = motion(flakes, radius, sigma, angle=draws.uniform(-135, -45))
    flakes = (np.round(flakes * 255) / 255)[: x.shape[0], : x.shape[1]]
    lightened = share * x + (1 - share) * np.maximum(x, grey(x) * 1.5 + 0.5)
    return laid_over(laid_over(lightened, flakes), np.rot90(flakes, 2))


def frost(x: Picture, severity: int, draws: np.random.Generator) -> Picture:
    """Ice on the window. The published benchmark overlays six photographs, which are not part of this package: the ice here
    is synthetic, so figures do not compare with those of the benchmark."""
    own, ice = FROST[severity]
    return own * x + ice * _ice(x.shape[0], x.shape[1], draws)[..., None] * (ICE if x.shape[2] == 3 else 1.0)


def _ice(height: int, width: int, draws: np.random.Generator) -> Field:
    """Needles along the edges between random cells, denser towards one corner, over a haze."""
    points = draws.uniform(0, 1, (max(12, height * width // 90), 2)) * [height, width]
    places = np.moveaxis(np.mgrid[:height, :width], 0, -1)
    nearest, _ = KDTree(points).query(places, k=2)  # (h, w, 2)
    edges = np.exp(-(nearest[..., 1] - nearest[..., 0]) / 1.2)
    side = 1 << max(height, width, 2).bit_length()
    haze = plasma(side, 1.8, draws)[:height, :width]
    return np.clip(ndimage.gaussian_filter(0.65 * edges + 0.6 * haze**1.5, 0.4), 0, 1)


def fog(x: Picture, severity: int, draws: np.random.Generator) -> Picture:
    thickness, smoothness = FOG[severity]
    side = 1 << (max(x.shape[:2]) - 1).bit_length()
    cloud = plasma(max(side, 2), smoothness, draws)[: x.shape[0], : x.shape[1], None]
    most = x.max()
    return (x + thickness * cloud) * most / (most + thickness)


def brightness(x: Picture, severity: int, draws: np.random.Generator) -> Picture:
    """The value of HSV raised; hue and saturation kept. In HSV, rgb = value · (1 - saturation · f(hue)), so all three
    channels are scaled by the same factor, and black becomes grey."""
    value = x.max(axis=2, keepdims=True)
    raised = np.clip(value + BRIGHTNESS[severity], 0, 1)
    return np.where(value > 0, x * raised / np.where(value > 0, value, 1.0), raised)
