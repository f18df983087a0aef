"""Does a method depend on what the head learned? Decided over a set of maps, never by one.

Two maps of one image may resemble each other by chance: a class activation map has a few dozen cells, and every weighting of
the same non-negative features is high where the features are. So the correlation with the map of a network whose head is
random is averaged over images and over draws of the random weights, with its sign: chance averages to 0, a method that
ignores the head stays near 1. Adebayo et al. 2018, arXiv:1810.03292, average over images as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

RESEMBLES = 0.5  # mean rank correlation above which the map is said to stay the same
ENOUGH = 5  # images; fewer give a figure and no verdict, except for one that is the same by every draw
CERTAIN = 0.9


@dataclass(frozen=True)
class Sanity:
    """The mean rank correlation over `images`, `draws` of random heads each; `low` to `high` is its range over images."""

    spearman: float
    low: float
    high: float
    images: int
    draws: int

    @property
    def verdict(self) -> Literal["ignores the head", "depends on the head", "too few images"]:
        if self.images < ENOUGH and self.low <= CERTAIN:
            return "too few images" if self.high > RESEMBLES else "depends on the head"
        return "ignores the head" if self.spearman > RESEMBLES else "depends on the head"

    @property
    def caught(self) -> bool:
        return self.verdict == "ignores the head"


def judged(rows: Sequence[tuple[float, ...]]) -> Sanity:
    """Of the rank correlations of each image's draws."""
    means = np.array([np.mean(row) for row in rows])
    return Sanity(float(means.mean()), float(means.min()), float(means.max()), len(rows), len(rows[0]))
