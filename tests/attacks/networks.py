"""A small classifier of digits that trains in a second, and three ways of hiding its gradients."""

from __future__ import annotations

from functools import cache

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

from sightline.attacks.scores import Scores
from sightline.randomness.keyed import torch_seeded


@cache
def digits() -> tuple[Tensor, Tensor]:
    """(1797, 1, 8, 8) in levels of 0-255, whole; labels (1797,)."""
    data = load_digits()
    return torch.tensor(data.images).float()[:, None].mul(255 / 16).round(), torch.tensor(data.target)


@cache
@torch.enable_grad()
@torch.autocast("cpu", enabled=False)  # a search may ask first, in reduced precision
def classifier() -> nn.Module:
    """About 90 % right on the images from 1,400 on."""
    images, labels = digits()
    with torch_seeded(0, "attacked network"):
        network = nn.Sequential(nn.Flatten(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
        optimizer = torch.optim.Adam(network.parameters(), lr=5e-3)
        for _ in range(300):
            rows = torch.randint(0, 1400, (128,))
            loss = nn.functional.cross_entropy(network(images[rows] / 255), labels[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return network.eval()


def plain(pixels: Tensor) -> Tensor:
    return classifier()(pixels / 255)


def quantised(pixels: Tensor) -> Tensor:
    """A layer whose derivative is 0 everywhere."""
    return plain((pixels / 8).round() * 8)


def cold_softmax(pixels: Tensor) -> Tensor:
    """Probabilities at a temperature of 1e-3."""
    return (plain(pixels) / 1e-3).softmax(1)


def noisy(pixels: Tensor) -> Tensor:
    """Scores with noise of at most 0.5 whose slope drowns that of the scores."""
    slope, phase = 2 * torch.randn(64, 10), 7 * torch.rand(10)
    return plain(pixels) + 0.5 * torch.sin(pixels.flatten(1) @ slope + phase)


HIDERS: dict[str, tuple[Scores, str]] = {
    "quantised": (quantised, "no gradient"),
    "cold softmax": (cold_softmax, "saturated"),
    "noisy": (noisy, "random"),
}


def held_out(n: int) -> tuple[Tensor, Tensor, Tensor]:
    """Images, labels and ids that training has not seen."""
    images, labels = digits()
    return images[1400 : 1400 + n], labels[1400 : 1400 + n], torch.arange(1400, 1400 + n)
