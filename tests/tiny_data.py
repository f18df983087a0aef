"""Small data sets on disk for tests: every picture is noise from a number, so equal numbers are equal pixels."""

from __future__ import annotations

import io
import struct
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from sightline.data.records.source import Source


def noise(number: int, height: int = 6, width: int = 5, channels: int = 3) -> np.ndarray:
    """(h, w, channels) uint8, or (h, w) for one channel."""
    shape = (height, width, channels) if channels > 1 else (height, width)
    return np.random.default_rng(number).integers(0, 256, shape, dtype=np.uint8)


def png(number: int, channels: int = 3) -> bytes:
    out = io.BytesIO()
    Image.fromarray(noise(number, channels=channels)).save(out, "PNG")
    return out.getvalue()


def write(path: Path, number: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(png(number))
    return path


def write_folder(root: Path, sizes: Mapping[str, int], start: int = 0) -> Path:
    """One folder a class with that many different pictures, 0.png upwards; `start` is the first number of noise."""
    number = start
    for folder, size in sizes.items():
        (root / folder).mkdir(parents=True, exist_ok=True)
        for i in range(size):
            write(root / folder / f"{i}.png", number)
            number += 1
    return root


def idx_bytes(values: np.ndarray) -> bytes:
    """The IDX file of an array of bytes."""
    return bytes((0, 0, 8, values.ndim)) + struct.pack(f">{values.ndim}I", *values.shape) + values.tobytes()


def rows(source: Source) -> list[tuple[str, str | None, str | None]]:
    """(name, label, split) of every record."""
    return [(r.name, r.label, r.split) for r in source.records]


def reasons(source: Source) -> list[str]:
    """file:line:code of every problem."""
    return [f"{p.file}:{p.line}:{p.reason.split(':')[0]}" for p in source.problems]
