"""Images of discs and squares with exact masks, some of them wrong on purpose: what a search for wrong masks must find."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

FAULTS = ("dropped", "swapped", "shifted")  # of one object of a mask
CLASSES = "ground\ndisc\nsquare\n"


def write_shapes(root: Path, n: int, faults: Sequence[int], *, side: int = 48, seed: int = 0) -> dict[int, str]:
    """`n` images with masks (images/, masks/, classes.txt), named by their numbers. In those of `faults` one object's mask is
    dropped, has the other class, or lies elsewhere. Returns the fault of each."""
    rng = np.random.default_rng(seed)
    for folder in ("images", "masks"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    planted = {number: FAULTS[place % len(FAULTS)] for place, number in enumerate(faults)}
    for number in range(n):
        pixels, index = _drawn(rng, side, planted.get(number, ""))
        Image.fromarray(pixels).save(root / "images" / f"{number}.png")
        Image.fromarray(index).save(root / "masks" / f"{number}.png")
    (root / "classes.txt").write_text(CLASSES)
    return planted


def _drawn(rng: np.random.Generator, side: int, fault: str) -> tuple[np.ndarray, np.ndarray]:
    """A disc, a square, in opposite quarters; the fault is that of the one or the other."""
    y, x = np.mgrid[:side, :side]
    pixels = rng.normal((90, 110, 90), 14, (side, side, 3))
    index = np.zeros((side, side), np.uint8)
    corners = np.array([(0.28, 0.28), (0.72, 0.72)]) if rng.random() < 0.5 else np.array([(0.28, 0.72), (0.72, 0.28)])
    wrong = int(rng.integers(1, 3))
    for label, (down, across) in zip((1, 2), corners, strict=True):
        centre = side * (np.array([down, across]) + rng.uniform(-0.04, 0.04, 2))
        radius = side * rng.uniform(0.13, 0.18)
        inside = _inside(label, y, x, centre, radius)
        pixels[inside] = rng.normal((190, 90, 60) if label == 1 else (70, 90, 190), 14, (int(inside.sum()), 3))
        given, where = label, inside
        if label == wrong and fault == "dropped":
            continue
        if label == wrong and fault == "swapped":
            given = 3 - label
        if label == wrong and fault == "shifted":
            where = _inside(label, y, x, centre + radius * rng.choice([-1, 1], 2), radius)
        index[where] = given
    return pixels.clip(0, 255).astype(np.uint8), index


def _inside(label: int, y: np.ndarray, x: np.ndarray, centre: np.ndarray, radius: float) -> np.ndarray:
    if label == 1:
        return (y - centre[0]) ** 2 + (x - centre[1]) ** 2 <= radius**2
    return np.maximum(np.abs(y - centre[0]), np.abs(x - centre[1])) <= 0.9 * radius
