"""Changes that make recognition hard and that no camera model covers: bending, clutter, unusual members of a class."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Float, UInt8
from scipy import ndimage
from torch import Tensor
from torch.nn import functional as F

from sightline.attacks.changes import change
from sightline.lab.datasets import Labelled

Picture = UInt8[np.ndarray, "h w c"]


def large(digit: Float[Tensor, "8 8"]) -> Picture:
    """A digit of 0 to 1 in the middle of 16 x 16 levels, enlarged to 12 x 12."""
    wide = F.interpolate(digit[None, None], size=(12, 12), mode="bilinear", align_corners=False)[0, 0]
    return (F.pad(wide, (2, 2, 2, 2)).numpy() * 255).round().astype(np.uint8)[..., None]


def bent(x: Picture, pixels: float, which: int) -> Picture:
    """Rows and columns pushed aside by up to so many pixels, along waves whose phases depend on `which`."""
    draw = np.random.default_rng(which)
    first, second = draw.uniform(0, 2 * np.pi, 2)
    rows, columns = np.mgrid[: x.shape[0], : x.shape[1]].astype(float)
    moved = [
        rows + pixels * np.sin(2 * np.pi * columns / 12 + first),
        columns + pixels * np.sin(2 * np.pi * rows / 12 + second),
    ]
    values = ndimage.map_coordinates(x[..., 0].astype(float), moved, order=1, mode="nearest")
    return np.clip(values, 0, 255).round().astype(np.uint8)[..., None]


def cluttered(x: Picture, strokes: float, which: int) -> Picture:
    """So many strokes of 2 x 4 pixels at places that depend on `which`; the digit stays on top."""
    draw, canvas = np.random.default_rng(which), np.zeros_like(x)
    for _ in range(round(strokes)):
        high, wide = (2, 4) if draw.random() < 0.5 else (4, 2)
        top, left = draw.integers(0, x.shape[0] - high), draw.integers(0, x.shape[1] - wide)
        canvas[top : top + high, left : left + wide] = draw.integers(100, 256)
    return np.maximum(x, canvas)


def unusual(train: Labelled, test: Labelled) -> Float[Tensor, "n"]:
    """Distance of each test image from the mean training image of its class."""
    means = torch.stack([train.x[train.y == c].mean(0) for c in range(10)])
    return (test.x - means[test.y]).flatten(1).norm(dim=1)


Changed = Callable[[np.ndarray, float, int], np.ndarray]
# strengths from none on, and (image, strength, which draws) → image
CHALLENGES: dict[str, tuple[tuple[float, ...], Changed]] = {
    "viewpoint": ((0, 30, 60, 75), lambda x, s, i: change(x, "viewpoint", s, id=i)),
    "rotation": ((0, 20, 40, 60), lambda x, s, i: change(x, "rotation", s, id=i)),
    "scale": ((1, 0.8, 0.6, 0.45), lambda x, s, i: change(x, "scale", s, id=i)),
    "occlusion": ((0, 0.2, 0.35, 0.5), lambda x, s, i: change(x, "occlusion", s, id=i)),
    "light": ((0, 50, 100, 150), lambda x, s, i: change(x, "brightness", s, id=i)),
    "deformation": ((0, 1, 2, 3), bent),
    "clutter": ((0, 2, 4, 8), cluttered),
}  # fmt: skip
