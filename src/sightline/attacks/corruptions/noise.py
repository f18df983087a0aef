"""Noise: Gaussian, of photon counts, and of pixels that are dead or saturated."""

from __future__ import annotations

import numpy as np

from .kernels import Picture

GAUSSIAN = (0.08, 0.12, 0.18, 0.26, 0.38)  # deviation
SHOT = (60, 25, 12, 5, 3)  # photons of a white pixel
IMPULSE = (0.03, 0.06, 0.09, 0.17, 0.27)  # share of the values


def gaussian_noise(x: Picture, severity: int, draws: np.random.Generator) -> Picture:
    return x + draws.normal(0.0, GAUSSIAN[severity], x.shape)


def shot_noise(x: Picture, severity: int, draws: np.random.Generator) -> Picture:
    return draws.poisson(x * SHOT[severity]) / SHOT[severity]


def impulse_noise(x: Picture, severity: int, draws: np.random.Generator) -> Picture:
    """Half of the changed values become 0, half 1; each channel for itself."""
    changed = draws.random(x.shape) < IMPULSE[severity]
    white = draws.random(x.shape) < 0.5
    return np.where(changed, white.astype(x.dtype), x)
