"""What would twice the data give? Errors of trainings on parts of the data, carried on by a power law.

The error of a network falls with the number n of training images about as e = a · n^-b (Cortes et al. 1994, "Learning curves";
Hestness et al. 2017, arXiv:1712.00409). log e is a line in log n, which is fitted by weighted least squares: a point has the
variance of its own measurement (binomial, for shares of images), that of another seed's training, and more the further it
lies from the largest n, because a line is only locally right. The interval holds 95 % of the accuracies that such lines
give, with the spread of the training that would be made.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

SEEDS = 0.03  # relative deviation of an error between trainings that differ in nothing but their seed
BENT = 0.04  # relative deviation from a line, for each doubling between a point and the largest n
Z = 1.96


@dataclass(frozen=True)
class Point:
    """A training on `n` images, and its headline, in 0 to 1, on `tested` images."""

    n: int
    value: float
    tested: int


@dataclass(frozen=True)
class Forecast:
    """The headline at `n` images with its interval; `exponent` b of the error."""

    n: int
    value: float
    low: float
    high: float
    exponent: float

    def to_json(self) -> dict[str, Any]:
        return {"n": self.n, "value": self.value, "interval": [self.low, self.high], "exponent": self.exponent}


def forecast(points: Sequence[Point], n: int, *, share: bool = True) -> Forecast:
    """The headline at n images. At least two points with different n; `share`: the headline is a share of images, otherwise the
    error of its measurement is taken for that of as many images."""
    if len({p.n for p in points}) < 2:
        raise ValueError("a line needs two points")
    largest = max(p.n for p in points)
    errors = [_error(p) for p in points]
    x = np.log([p.n / n for p in points])  # 0 at the n that is asked for
    y = np.log(errors)
    far = np.log2([largest / p.n for p in points])
    measured = np.array([(1 - e) / e / p.tested for e, p in zip(errors, points, strict=True)]) if share else 0.0
    variance = measured + SEEDS**2 + (BENT * far) ** 2
    design = np.stack([np.ones_like(x), x], 1) / np.sqrt(variance)[:, None]
    covariance = np.linalg.inv(design.T @ design)
    centre, slope = covariance @ design.T @ (y / np.sqrt(variance))
    slope = min(float(slope), 0.0)  # more data does not harm; a rise is chance
    if slope == 0.0:
        centre = float(np.average(y, weights=1 / variance))
    beyond = BENT * math.log2(n / largest) if n > largest else 0.0
    spread = Z * math.sqrt(float(covariance[0, 0]) + SEEDS**2 + beyond**2)
    low, high = (1 - math.exp(min(float(centre) + side * spread, 0.0)) for side in (1, -1))
    return Forecast(n, 1 - math.exp(float(centre)), low, high, -slope)


def _error(point: Point) -> float:
    """1 minus the headline; half a mistake where there was none, so that it has a logarithm."""
    return min(max(1 - point.value, 0.5 / max(point.tested, 1)), 1.0)
