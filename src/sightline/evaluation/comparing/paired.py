"""Is A better than B on the same images, by more than chance? Every image is its own control: only the differences count.

**Shares** (an image is right or wrong): McNemar's test of the images that only one of the two got right, two-sided, with mid-p
(Fagerland, Lydersen & Laake 2013, "The McNemar test for binary matched-pairs data": the exact test is too cautious, the
chi-squared one not enough). **Scores** (IoU, F1, an error of each image): the paired bootstrap; p is twice the share
of resamples on the other side of zero. **Intervals** are paired bootstrap percentiles for both: one resample draws the same
images for both networks.

**Several networks**: every pair is tested, and p is adjusted by Holm's method (1979), so that the chance of a single wrong
"different" among all pairs stays below 5 %.

What is compared are these networks on images like these. Two trainings that differ in nothing but the seed are two networks,
and on enough images they do differ; that a recipe is better needs several seeds of each.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from sightline.evaluation.intervals import RESAMPLES, interval, weights_in_blocks

ALPHA = 0.05
SURE = 1e-12  # differences below this are rounding


@dataclass(frozen=True)
class Difference:
    """Of two networks on `n` images: the mean scores, `gain` = `first` - `second` with its 95 % `interval` (None without
    spread), the images on which either is better, and `p`: of this pair alone, and `adjusted` for all pairs."""

    n: int
    first: float
    second: float
    interval: tuple[float, float] | None
    only_first: int
    only_second: int
    test: str
    p: float
    adjusted: float = math.nan

    @property
    def gain(self) -> float:
        return self.first - self.second

    @property
    def different(self) -> bool:
        return bool(self.adjusted < ALPHA)


def difference(
    first: Float[np.ndarray, "n"],
    second: Float[np.ndarray, "n"],
    *,
    share: bool,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> Difference:
    """Compare the scores of two networks on the same images, in the same order; images without a score (NaN) are left out.
    `share`: scores are 1 (right) and 0 (wrong)."""
    known = np.isfinite(first) & np.isfinite(second)
    one, two = first[known], second[known]
    gap, n = one - two, int(known.sum())
    better, worse = int((gap > SURE).sum()), int((gap < -SURE).sum())
    if not n:
        return Difference(0, math.nan, math.nan, None, 0, 0, "none", 1.0, 1.0)
    drawn = np.concatenate([weights @ gap for weights in weights_in_blocks(n, seed, resamples)]) / n  # (r,)
    span = interval(drawn) if better or worse else None
    p = mcnemar(better, worse) if share else _bootstrap_p(drawn)
    if not better and not worse:
        p = 1.0
    name = "McNemar, mid-p" if share else "paired bootstrap"
    return Difference(n, float(one.mean()), float(two.mean()), span, better, worse, name, p, p)


def mcnemar(only_first: int, only_second: int) -> float:
    """The two-sided mid-p of McNemar's test: images that only one of two networks got right."""
    total, least = only_first + only_second, min(only_first, only_second)
    if only_first == only_second:
        return 1.0
    logs = np.array(
        [math.lgamma(total + 1) - math.lgamma(i + 1) - math.lgamma(total - i + 1) for i in range(least + 1)]
    )
    masses = np.exp(logs - total * math.log(2))  # P(X = 0 … least), X ~ Binomial(total, 1/2)
    return float(min(1.0, 2 * masses.sum() - masses[-1]))


def _bootstrap_p(drawn: Float[np.ndarray, "r"]) -> float:
    """Twice the share of resamples on the other side of zero; never below what so many resamples can tell."""
    tail = min(float((drawn <= 0).mean()), float((drawn >= 0).mean()))
    return min(1.0, max(2 * tail, 2 / (len(drawn) + 1)))


def holm(p: Sequence[float]) -> list[float]:
    """Adjusted p: the i-th smallest of m times m - i + 1, never below one before it, at most 1."""
    order, adjusted, largest = np.argsort(p, kind="stable"), [0.0] * len(p), 0.0
    for rank, place in enumerate(order.tolist()):
        largest = max(largest, min(1.0, (len(p) - rank) * p[place]))
        adjusted[place] = largest
    return adjusted
