"""Classic image kernels by name: what a convolution can do before anything is learned.

Smoothing kernels sum to 1 and preserve brightness. Edge kernels sum to 0, so a flat image gives 0. Sharpening is the
identity plus an edge kernel. The gradients are Sobel & Feldman's (1968); `log5` is a Laplacian of a Gaussian.

Gabor's kernel (1946; in two dimensions Daugman 1985, JOSA A 2(7)) is a wave under a Gaussian: the model of a simple cell of the
visual cortex.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from sightline.classical.features.banks import gabor as gabor
from sightline.registry import lookup

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


_SYNONYMS = {
    "gaussian": "gauss3",
    "gauss": "gauss3",
    "blur": "gauss3",
    "box": "box3",
    "mean": "box3",
    "laplace": "laplace4",
}


def image_kernel(name: str, *, dtype: torch.dtype = torch.float32) -> Float[Tensor, "k k"]:
    """A kernel by name, in the dtype of images (float32) by default. UsageError with the nearest name.

    >>> correlate(image, image_kernel("sobel_x")[None, None], padding=1)  # image (b, 1, h, w)
    """
    rows, divisor = lookup("image kernel", name, KERNELS, _SYNONYMS)
    return (torch.tensor(rows, dtype=torch.float64) / divisor).to(dtype)  # divided in float64: rounded once
