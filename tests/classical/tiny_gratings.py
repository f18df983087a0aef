"""A folder of gratings in three directions, with noise and random phase: classes that a histogram of colours cannot tell."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

CLASSES = {"across": 0.0, "slanted": np.pi / 4, "upright": np.pi / 2}


def grating(number: int, angle: float, side: int = 24) -> np.ndarray:
    """(side, side, 3) uint8."""
    draw = np.random.default_rng(number)
    y, x = np.mgrid[:side, :side]
    wave = np.sin((x * np.cos(angle) + y * np.sin(angle)) * draw.uniform(0.9, 1.3) + draw.uniform(0, 6.28))
    colour = draw.uniform(0.5, 1, 3)
    values = 128 + 70 * wave[..., None] * colour + draw.normal(0, 25, (side, side, 3))
    return values.clip(0, 255).astype(np.uint8)


def write(folder: Path, each: int = 24, side: int = 24) -> Path:
    for place, (name, angle) in enumerate(CLASSES.items()):
        (folder / name).mkdir(parents=True)
        for number in range(each):
            Image.fromarray(grating(1000 * place + number, angle, side)).save(folder / name / f"{number:03}.png")
    return folder
