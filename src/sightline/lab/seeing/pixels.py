"""Arrays of numbers as pictures, for the pages of experiments."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from sightline.drawing.heat import heat
from sightline.drawing.png import grid

Map = Float[Tensor, "h w"] | Float[np.ndarray, "h w"]


def grey(values: Map, low: float | None = None, high: float | None = None) -> UInt8[np.ndarray, "h w 1"]:
    """Black at `low`, white at `high`; the least and the greatest value where left out. A flat map is mid-grey."""
    x = np.asarray(values.detach() if isinstance(values, torch.Tensor) else values, dtype=np.float64)
    low, high = float(x.min()) if low is None else low, float(x.max()) if high is None else high
    level = np.full_like(x, 0.5) if high <= low else (x - low) / (high - low)
    return (np.clip(level, 0, 1) * 255).round().astype(np.uint8)[..., None]


def signed(values: Map, scale: float | None = None) -> UInt8[np.ndarray, "h w 3"]:
    """Red above 0, blue below, white at 0; the strongest colour at `scale`, by default at the largest magnitude."""
    x = np.asarray(values.detach() if isinstance(values, torch.Tensor) else values, dtype=np.float64)
    largest = float(np.abs(x).max()) if scale is None else scale
    return heat(np.full((*x.shape, 3), 255, np.uint8), x, largest or 1.0).picture


def named_grid(
    pictures: Sequence[tuple[str, UInt8[np.ndarray, "h w c"]]], columns: int, side: int = 128
) -> UInt8[np.ndarray, "h w 3"]:
    """Pictures in reading order with their names below, each enlarged to about `side` pixels."""
    return grid(
        [p for _, p in pictures], columns=columns, captions=[n for n, _ in pictures], least=side, most=max(side, 256)
    )
