"""Do the images of two splits look alike? Shifts of the measured columns between splits.

Each column of numbers is compared by the two-sample Kolmogorov-Smirnov statistic D, the largest distance between the two
distribution functions: 0 for equal distributions, 1 for disjoint ones. A shift is named where D is at least 0.2 and the
p-values of all columns pass Benjamini-Yekutieli at 1 %: columns of one image are dependent, and a training is too dear to be
called off for a chance difference.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .false_discovery import benjamini_yekutieli
from .images import ImageTable

LEAST = 30  # images on either side
LARGE = 0.2
RATE = 0.01


@dataclass(frozen=True)
class Shift:
    """The column's medians in the split and in the training images, and D."""

    column: str
    value: float
    train: float
    distance: float

    def to_json(self) -> dict[str, Any]:
        return {"column": self.column, "value": self.value, "train": self.train, "distance": self.distance}


def shifts(train: ImageTable, other: ImageTable) -> list[Shift]:
    """The columns that differ between the training images and those of another split, the largest distance first."""
    from scipy.stats import ks_2samp  # half a second that importing this package should not cost

    found, p = [], []
    for name, values in other.numbers.items():
        pair = [v[np.isfinite(v)] for v in (values, train.numbers.get(name, np.zeros(0)))]
        if min(map(len, pair)) < LEAST:
            continue
        test = ks_2samp(*pair, method="asymp")
        medians = [float(np.median(v)) for v in pair]
        found.append(Shift(name, medians[0], medians[1], float(test.statistic)))
        p.append(float(test.pvalue))
    real = benjamini_yekutieli(np.array(p), RATE)
    kept = [s for s, is_real in zip(found, real, strict=True) if is_real and s.distance >= LARGE]
    return sorted(kept, key=lambda s: -s.distance)
