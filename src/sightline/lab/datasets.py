"""Small data for experiments: points in the plane, and scikit-learn's digits. Nothing is read from outside."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from sklearn.datasets import load_digits
from torch import Tensor


class Labelled(NamedTuple):
    """Inputs of any shape (n, …) and their classes (n,)."""

    x: Float[Tensor, "n ..."]
    y: Int[Tensor, "n"]

    def numpy(self) -> tuple[np.ndarray, np.ndarray]:
        return self.x.numpy(), self.y.numpy()


def digits() -> tuple[Labelled, Labelled]:
    """1,797 handwritten digits of 8 x 8 pixels with zero mean and unit deviation: 1,297 to train on, 500 to test."""
    found = load_digits()
    x = torch.tensor(found.images, dtype=torch.float32)[:, None]  # (1797, 8, 8) → (1797, 1, 8, 8)
    y = torch.tensor(found.target)
    x = (x - x[:1297].mean()) / x[:1297].std()
    return Labelled(x[:1297], y[:1297]), Labelled(x[1297:], y[1297:])


def xor(n: int, seed: int, noise: float = 0.2) -> Labelled:
    """n points around (±1, ±1); the class is whether the signs differ. No line separates them."""
    draw = torch.Generator().manual_seed(seed)
    corners = torch.randint(0, 2, (n, 2), generator=draw)
    x = corners * 2.0 - 1.0 + noise * torch.randn(n, 2, generator=draw)
    return Labelled(x, corners[:, 0] ^ corners[:, 1])


def rings(n: int, seed: int, noise: float = 0.1) -> Labelled:
    """A disc of class 0 in a ring of class 1."""
    draw = torch.Generator().manual_seed(seed)
    y = torch.randint(0, 2, (n,), generator=draw)
    angle = 2 * torch.pi * torch.rand(n, generator=draw)
    radius = 0.4 + y + noise * torch.randn(n, generator=draw)
    return Labelled(torch.stack([radius * angle.cos(), radius * angle.sin()], 1), y)


def spirals(n: int, seed: int, noise: float = 0.05) -> Labelled:
    """Two spirals that turn around each other one and a half times."""
    draw = torch.Generator().manual_seed(seed)
    y = torch.randint(0, 2, (n,), generator=draw)
    t = torch.rand(n, generator=draw).sqrt()
    angle = 3 * torch.pi * t + torch.pi * y
    x = torch.stack([t * angle.cos(), t * angle.sin()], 1) * 1.5
    return Labelled(x + noise * torch.randn(n, 2, generator=draw), y)


def blobs(n: int, seed: int, classes: int = 3, noise: float = 0.35) -> Labelled:
    """Gaussian clouds around points of the unit circle, a class each: lines separate them."""
    draw = torch.Generator().manual_seed(seed)
    y = torch.randint(0, classes, (n,), generator=draw)
    angle = 2 * torch.pi * y / classes + 0.5
    x = torch.stack([angle.cos(), angle.sin()], 1) * 1.3 + noise * torch.randn(n, 2, generator=draw)
    return Labelled(x, y)
