"""How many of several small p-values are real? Control of the false-discovery rate."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float


def benjamini_hochberg(p: Float[np.ndarray, "m"], rate: float) -> Bool[np.ndarray, "m"]:
    """Which of m hypotheses are rejected: the k smallest p-values, for the largest k with p₍ₖ₎ ≤ rate · k / m.

    Controls the expected share of false rejections at `rate` where the tests are independent or positively dependent
    (Benjamini & Hochberg 1995, "Controlling the false discovery rate").
    """
    m = len(p)
    order = np.argsort(p, kind="stable")
    passed = np.flatnonzero(p[order] <= rate * np.arange(1, m + 1) / max(m, 1))
    rejected = np.zeros(m, dtype=bool)
    if len(passed):
        rejected[order[: passed[-1] + 1]] = True
    return rejected


def benjamini_yekutieli(p: Float[np.ndarray, "m"], rate: float) -> Bool[np.ndarray, "m"]:
    """The same under any dependence, at the price of a factor 1 + 1/2 + … + 1/m (Benjamini & Yekutieli 2001, "The control of
    the false discovery rate in multiple testing under dependency")."""
    return benjamini_hochberg(p, rate / max(1.0, float((1 / np.arange(1, len(p) + 1)).sum())))
