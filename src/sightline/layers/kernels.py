"""Image kernels by name, as they are drawn: what a convolution does before anything is learned.

Smoothing kernels sum to 1 and keep the brightness, edge kernels sum to 0 and answer a flat image with nothing, sharpening is
the identity plus an edge kernel. Sobel & Feldman 1968 for the gradients; log5 is a
Laplacian of a Gaussian.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from sightline.errors import UsageError, nearest

_GAUSS3 = ((1, 2, 1), (2, 4, 2), (1, 2, 1))
_GAUSS5 = ((1, 4, 7, 4, 1), (4, 16, 26, 16, 4), (7, 26, 41, 26, 7), (4, 16, 26, 16, 4), (1, 4, 7, 4, 1))
_LOG5 = ((0, 0, -1, 0, 0), (0, -1, -2, -1, 0), (-1, -2, 16, -2, -1), (0, -1, -2, -1, 0), (0, 0, -1, 0, 0))
_SOBEL = ((-1, 0, 1), (-2, 0, 2), (-1, 0, 1))

# name → (rows, divisor)
KERNELS: dict[str, tuple[tuple[tuple[int, ...], ...], int]] = {
    "identity": (((0, 0, 0), (0, 1, 0), (0, 0, 0)), 1),
    "shift": (((0, 0, 0), (1, 0, 0), (0, 0, 0)), 1),
    "box3": (((1,) * 3,) * 3, 9),
    "box5": (((1,) * 5,) * 5, 25),
    "box7": (((1,) * 7,) * 7, 49),
    "gauss3": (_GAUSS3, 16),
    "gauss3_unnormalised": (_GAUSS3, 1),
    "gauss5": (_GAUSS5, 273),
    "sobel_x": (_SOBEL, 1),
    "sobel_y": (tuple(zip(*_SOBEL, strict=True)), 1),
    "laplace4": (((0, 1, 0), (1, -4, 1), (0, 1, 0)), 1),
    "laplace8": (((1, 1, 1), (1, -8, 1), (1, 1, 1)), 1),
    "sharpen": (((0, -1, 0), (-1, 5, -1), (0, -1, 0)), 1),
    "log5": (_LOG5, 8),
}


def image_kernel(name: str) -> Float[Tensor, "k k"]:
    """The kernel of that name, float64. Raises UsageError with the nearest one for a wrong name."""
    if name not in KERNELS:
        raise UsageError(f"unknown image kernel {name!r}", nearest(name, KERNELS))
    rows, divisor = KERNELS[name]
    return torch.tensor(rows, dtype=torch.float64) / divisor
