"""Budgets: which changes of an image count as small, in levels of 0-255.

linf   no value changes by more than eps
l2     the Euclidean norm of all changes is at most eps; 128 levels are 0.5 where pixels run from 0 to 1
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from sightline.errors import UsageError, nearest
from sightline.losses.adversarial import LEVELS, clipped

from .draws import Ids, flat, normal
from .scores import Pixels

_TINY = 1e-12


def norm(change: Pixels) -> Float[Tensor, "b 1 1 1"]:
    """The Euclidean norm of each image's change."""
    return change.flatten(1).norm(dim=1).view(-1, 1, 1, 1)  # (b, c·h·w) → (b, 1, 1, 1)


class Ball(ABC):
    """The images within a distance of an image."""

    @abstractmethod
    def project(self, moved: Pixels, x: Pixels, eps: float) -> Pixels:
        """The nearest image within the budget, between 0 and 255."""

    @abstractmethod
    def direction(self, gradient: Pixels) -> Pixels:
        """The steepest ascent of norm 1."""

    @abstractmethod
    def start(self, x: Pixels, eps: float, seed: int, ids: Ids) -> Pixels:
        """A point drawn uniformly from the ball, between 0 and 255."""

    @abstractmethod
    def rounded(self, moved: Pixels, x: Pixels, eps: float) -> UInt8[Tensor, "b c h w"]:
        """Whole levels within the budget. `x` must have whole levels."""


class Linf(Ball):
    def project(self, moved: Pixels, x: Pixels, eps: float) -> Pixels:
        return clipped(moved, x, eps)

    def direction(self, gradient: Pixels) -> Pixels:
        return gradient.sign()

    def start(self, x: Pixels, eps: float, seed: int, ids: Ids) -> Pixels:
        return clipped(x + eps * (2 * flat(tuple(x.shape[1:]), seed, "attack start", ids) - 1), x, eps)

    def rounded(self, moved: Pixels, x: Pixels, eps: float) -> UInt8[Tensor, "b c h w"]:
        whole = float(int(eps + 1e-6))  # a change of 8.4 may round to 8, never to 9
        return clipped(moved.round(), x, whole).to(torch.uint8)


class L2(Ball):
    def project(self, moved: Pixels, x: Pixels, eps: float) -> Pixels:
        change = moved - x
        return (x + change * (eps / norm(change).clamp(min=_TINY)).clamp(max=1.0)).clamp(0.0, LEVELS)

    def direction(self, gradient: Pixels) -> Pixels:
        return gradient / norm(gradient).clamp(min=_TINY)

    def start(self, x: Pixels, eps: float, seed: int, ids: Ids) -> Pixels:
        shape = tuple(x.shape[1:])
        direction = self.direction(normal(shape, seed, "attack start", ids))
        radius = flat((1, 1, 1), seed, "attack radius", ids) ** (1 / x[0].numel())  # uniform in volume
        return (x + eps * radius * direction).clamp(0.0, LEVELS)

    def rounded(self, moved: Pixels, x: Pixels, eps: float) -> UInt8[Tensor, "b c h w"]:
        """Rounding adds a norm of its own, so the change is shrunk, by bisection, until its rounding fits."""
        change = moved.clamp(0.0, LEVELS) - x
        low = torch.zeros_like(norm(change))  # a factor whose rounding fits, and one that may not
        high = torch.ones_like(low)
        best = x
        for step in range(12):
            factor = high if step == 0 else (low + high) / 2
            candidate = (x + change * factor).round()
            fits = norm(candidate - x) <= eps
            best = torch.where(fits, candidate, best)
            low, high = torch.where(fits, factor, low), torch.where(fits, high, factor)
        return best.to(torch.uint8)


BALLS: dict[str, Ball] = {"linf": Linf(), "l2": L2()}


def ball_named(name: str) -> Ball:
    if name not in BALLS:
        raise UsageError(f"unknown norm {name!r}", nearest(name, BALLS))
    return BALLS[name]
