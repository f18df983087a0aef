"""Frames: 3x3 matrices that map points (x, y, 1) of an original image to a network's pixels, and boxes under them."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float


def move_boxes(boxes: Float[np.ndarray, "n 4"], frame: Float[np.ndarray, "3 3"]) -> Float[np.ndarray, "n 4"]:
    """Boxes xyxy of the original in the network's frame; a frame of `Geometry` only scales and shifts."""
    scale, shift = frame[[0, 1], [0, 1]], frame[:2, 2]
    return (boxes.reshape(-1, 2, 2) * scale + shift).reshape(-1, 4)  # (n, 4) → (n, corner, axis) → (n, 4)


def inverse(frame: Float[np.ndarray, "3 3"]) -> Float[np.ndarray, "3 3"]:
    """Network → original."""
    return np.linalg.inv(frame)
