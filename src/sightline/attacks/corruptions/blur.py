"""Blur: out of focus, behind frosted glass, in motion, zoomed."""

from __future__ import annotations

import numpy as np

from .kernels import Picture, disk, filtered, gaussian, laid_over, magnified, motion

DEFOCUS = ((3, 0.1), (4, 0.5), (6, 0.5), (8, 0.5), (10, 0.5))  # radius, softness of the edge
GLASS = ((0.7, 1, 2), (0.9, 2, 1), (1.0, 2, 3), (1.1, 3, 2), (1.5, 4, 2))  # blur, reach of a swap, rounds
MOTION = ((10, 3.0), (15, 5.0), (15, 8.0), (15, 12.0), (20, 15.0))  # radius, sigma
ZOOM = ((1.11, 0.01), (1.16, 0.01), (1.21, 0.02), (1.26, 0.02), (1.31, 0.03))  # largest factor (not reached), step


def defocus_blur(x: Picture, severity: int, draws: np.random.Generator) -> Picture:
    return filtered(x, disk(*DEFOCUS[severity]))


def glass_blur(x: Picture, severity: int, draws: np.random.Generator) -> Picture:
    """Blurred, then every pixel from the last to the first becomes one nearby, then blurred again.

    The paper swaps the two. Its code assigns views of one array to each other, which leaves both with the same value, and
    that is what everybody has measured with.
    """
    sigma, reach, rounds = GLASS[severity]
    image = np.floor(gaussian(x, sigma) * 255) / 255
    height, width = x.shape[:2]
    rows, columns = range(height - reach, reach, -1), range(width - reach, reach, -1)
    for _ in range(rounds):
        moves = draws.integers(-reach, reach, (max(len(rows), 0), max(len(columns), 0), 2))
        for i, row in enumerate(rows):
            for j, column in enumerate(columns):
                right, down = moves[i, j]
                image[row, column] = image[row + down, column + right]
    return gaussian(image, sigma)


def motion_blur(x: Picture, severity: int, draws: np.random.Generator) -> Picture:
    return motion(x, *MOTION[severity], angle=draws.uniform(-45, 45))


def zoom_blur(x: Picture, severity: int, draws: np.random.Generator) -> Picture:
    """The mean of the image and of enlargements of its centre."""
    factors = np.arange(1, *ZOOM[severity])
    total = x.copy()
    for factor in factors:
        total = laid_over(total, magnified(x, float(factor)))
    return total / (len(factors) + 1)
