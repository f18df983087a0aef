"""Controlled change: one property of the image moves, step by step, and everything else stays.

    rotation     degrees around the centre, to a keyed side
    scale        factor of the size; what opens is filled by the border's pixels
    brightness   levels added to every value
    occlusion    a grey square at a keyed place, its side as a share of the image's
    jpeg         quality of the compression
    viewpoint    degrees by which a flat image is turned away around its vertical axis, to a keyed side (a homography)

Each is a curve of accuracy over its strength, from no change on. Unlike adversarial images these are what a camera does.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, UInt8
from scipy import ndimage

from sightline.randomness.keyed import reference_hash

from .corruptions.digital import jpeg
from .corruptions.kernels import Picture

DISTANCE = 2.0  # of the camera from the image, in widths: how strong the perspective is
GREY = 0.5


@dataclass(frozen=True)
class Change:
    """`apply(x, strength, draws)` on values from 0 to 1; `strengths` from none on; `unit` of the axis; `moves`: what is seen
    changes its place, so that masks and boxes would have to move as well."""

    name: str
    unit: str
    strengths: tuple[float, ...]
    apply: Callable[[Picture, float, np.random.Generator], Picture]
    moves: bool = False


def _moved(x: Picture, back: Float[np.ndarray, "3 3"]) -> Picture:
    """The image under the homography whose inverse, from new to old points (row, column, 1) around the centre, is `back`."""
    height, width = x.shape[:2]
    middle = np.array([(height - 1) / 2, (width - 1) / 2])[:, None, None]
    points = np.mgrid[:height, :width] - middle
    homogeneous = np.tensordot(back, np.concatenate([points, np.ones((1, height, width))]), 1)  # (3, h, w)
    places = homogeneous[:2] / homogeneous[2:] + middle
    planes = [ndimage.map_coordinates(x[..., i], places, order=1, mode="nearest") for i in range(x.shape[2])]
    return np.stack(planes, 2)


def _rotation(x: Picture, degrees: float, draws: np.random.Generator) -> Picture:
    angle = math.radians(degrees) * (1 if draws.random() < 0.5 else -1)
    cosine, sine = math.cos(angle), math.sin(angle)
    return _moved(x, np.array([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1]]))


def _scale(x: Picture, factor: float, draws: np.random.Generator) -> Picture:
    return _moved(x, np.diag([1 / factor, 1 / factor, 1]))


def _brightness(x: Picture, levels: float, draws: np.random.Generator) -> Picture:
    return x + levels / 255


def _occlusion(x: Picture, share: float, draws: np.random.Generator) -> Picture:
    height, width = x.shape[:2]
    side = round(share * min(height, width))
    top, left = (int(draws.random() * (whole - side + 1)) for whole in (height, width))
    covered = x.copy()
    covered[top : top + side, left : left + side] = GREY
    return covered


def _jpeg(x: Picture, quality: float, draws: np.random.Generator) -> Picture:
    return x if quality >= 100 else jpeg(x, int(quality))


def _viewpoint(x: Picture, degrees: float, draws: np.random.Generator) -> Picture:
    """A plane at distance d, turned by θ: a point u of it appears at d·u·cos θ / (d + u·sin θ), in widths."""
    angle = math.radians(degrees) * (1 if draws.random() < 0.5 else -1)
    distance = DISTANCE * x.shape[1]
    forth = np.array([[1, 0, 0], [0, math.cos(angle), 0], [0, math.sin(angle) / distance, 1]])
    return _moved(x, np.linalg.inv(forth))


CHANGES = {
    change.name: change
    for change in (
        Change("rotation", "degrees", (0.0, 5.0, 10.0, 15.0, 20.0, 30.0, 45.0), _rotation, moves=True),
        Change("scale", "factor of the size", (0.5, 0.7, 0.85, 1.0, 1.2, 1.5, 2.0), _scale, moves=True),
        Change("brightness", "levels added", (-100.0, -60.0, -30.0, 0.0, 30.0, 60.0, 100.0), _brightness),
        Change("occlusion", "side of the square, share of the image's", (0.0, 0.1, 0.2, 0.3, 0.4, 0.5), _occlusion),
        Change("jpeg", "quality, 100: none", (100.0, 80.0, 60.0, 40.0, 20.0, 10.0), _jpeg),
        Change("viewpoint", "degrees", (0.0, 10.0, 20.0, 30.0, 45.0, 60.0), _viewpoint, moves=True),
    )
}


def change(
    image: UInt8[np.ndarray, "h w c"], name: str, strength: float, *, seed: int = 0, id: int = 0
) -> UInt8[np.ndarray, "h w c"]:
    """The image changed, rounded to whole levels. The draws depend on (seed, name, id) alone: a curve follows one place of
    the square, one side of the rotation."""
    draws = np.random.Generator(np.random.PCG64(reference_hash(seed, f"change {name}", id)))
    changed = CHANGES[name].apply(image.astype(np.float64) / 255, strength, draws)
    return np.round(np.clip(changed, 0, 1) * 255).astype(np.uint8)
