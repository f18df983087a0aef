"""Filters and fields that several corruptions share. Images are float64 (h, w, c) in 0 to 1."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from scipy import ndimage
from scipy.signal import fftconvolve

Picture = Float[np.ndarray, "h w c"]
Field = Float[np.ndarray, "h w"]


def gaussian(x: Picture, sigma: float) -> Picture:
    """Each channel blurred; borders repeat the last pixel."""
    return np.stack(
        [ndimage.gaussian_filter(x[..., i], sigma, mode="nearest", truncate=4.0) for i in range(x.shape[2])], 2
    )


def disk(radius: int, alias_blur: float) -> Field:
    """A disk that sums to 1, its edge softened by a Gaussian of 3 or 5 taps."""
    reach = 8 if radius <= 8 else radius
    taps = 1 if radius <= 8 else 2
    line = np.arange(-reach, reach + 1)
    inside = (line[:, None] ** 2 + line[None] ** 2 <= radius**2).astype(np.float64)
    window = np.exp(-(np.arange(-taps, taps + 1) ** 2) / (2 * alias_blur**2))
    window /= window.sum()
    blurred = inside / inside.sum()
    for axis in (0, 1):
        blurred = ndimage.correlate1d(blurred, window, axis=axis, mode="mirror")
    return blurred


def filtered(x: Picture, kernel: Float[np.ndarray, "a b"]) -> Picture:
    """Each channel correlated with the kernel; borders are mirrored without repeating the last pixel. Where the kernel is
    larger than the image, the image is mirrored again and again."""
    up, left = kernel.shape[0] // 2, kernel.shape[1] // 2
    padded = np.pad(x, ((up, up), (left, left), (0, 0)), mode="reflect")
    flipped = kernel[::-1, ::-1]
    return np.stack([fftconvolve(padded[..., i], flipped, mode="valid") for i in range(x.shape[2])], 2)


def shifted(x: np.ndarray, down: int, right: int) -> np.ndarray:
    """The image moved by whole pixels; the border's pixels fill what opens."""
    height, width = x.shape[:2]
    rows = np.clip(np.arange(height) - down, 0, height - 1)
    columns = np.clip(np.arange(width) - right, 0, width - 1)
    return x[rows][:, columns]


def motion(x: Picture, radius: int, sigma: float, angle: float) -> Picture:
    """A half Gaussian of past positions along a line at `angle` degrees."""
    length = 2 * radius + 1
    weight = np.exp(-(np.arange(length) ** 2) / (2 * sigma**2))
    weight /= weight.sum()
    sine, cosine = np.sin(np.deg2rad(angle)), np.cos(np.deg2rad(angle))
    blurred = np.zeros_like(x)
    for i, share in enumerate(weight):
        down, right = -int(np.ceil(i * sine - 0.5)), -int(np.ceil(i * cosine - 0.5))
        if abs(down) >= x.shape[0] or abs(right) >= x.shape[1]:
            break
        blurred += share * shifted(x, down, right)
    return blurred


def magnified(x: Picture, factor: float) -> Float[np.ndarray, "H W c"]:
    """The centre, enlarged by the factor with linear interpolation, at least as large as the image."""
    sides = [int(np.ceil(side / factor)) for side in x.shape[:2]]
    top, left = ((whole - part) // 2 for whole, part in zip(x.shape[:2], sides, strict=True))
    part = x[top : top + sides[0], left : left + sides[1]]
    return ndimage.zoom(part, (factor, factor, 1), order=1)


def laid_over(x: Picture, layer: Float[np.ndarray, "H W d"]) -> Picture:
    """Added where it reaches: an enlarged part can be a pixel smaller than the image."""
    height, width = min(x.shape[0], layer.shape[0]), min(x.shape[1], layer.shape[1])
    total = x.copy()
    total[:height, :width] += layer[:height, :width]
    return total


def plasma(side: int, decay: float, draws: np.random.Generator) -> Field:
    """Clouds by the diamond-square algorithm on a torus, 0 to 1; `side` is a power of two.

    Each round halves the distance between known points and divides the roughness by `decay`.
    """
    field = np.zeros((side, side))
    step, rough = side, 100.0
    while step >= 2:
        half = step // 2
        corner = field[::step, ::step]
        around = corner + np.roll(corner, -1, 0)
        around = around + np.roll(around, -1, 1)
        field[half::step, half::step] = _wobbled(around, rough, draws)
        centre = field[half::step, half::step]
        corner = field[::step, ::step]
        beside = centre + np.roll(centre, 1, 0) + corner + np.roll(corner, -1, 1)
        field[::step, half::step] = _wobbled(beside, rough, draws)
        above = centre + np.roll(centre, 1, 1) + corner + np.roll(corner, -1, 0)
        field[half::step, ::step] = _wobbled(above, rough, draws)
        step, rough = half, rough / decay
    field -= field.min()
    return field / max(field.max(), 1e-12)


def _wobbled(total: Field, rough: float, draws: np.random.Generator) -> Field:
    return total / 4 + rough * draws.uniform(-rough, rough, total.shape)
