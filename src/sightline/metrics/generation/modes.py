"""Modes of unknown data: are all regions of the real features reached? After Richardson & Weiss 2018, arXiv:1805.12462."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

REGIONS = 20
REACHED = 0.2  # a region is reached with this share of its real share


class Regions(NamedTuple):
    """Shares of the real and of the made features in each region, (k,)."""

    real: Float[np.ndarray, "k"]
    made: Float[np.ndarray, "k"]

    @property
    def reached(self) -> float:
        """The share of the regions that hold at least a fifth of the made features that they would hold of real ones."""
        return float((self.made >= REACHED * self.real).mean())


def regions(
    real: Float[np.ndarray, "n d"], made: Float[np.ndarray, "m d"], *, k: int = REGIONS, seed: int = 0
) -> Regions:
    """The regions are the cells of k-means on the real features, which are then counted in both sets."""
    from sklearn.cluster import KMeans

    from sightline.metrics.distributions import nearest

    k = min(k, max(len(real) // 10, 1))
    centres = KMeans(k, n_init=1, random_state=seed).fit(real).cluster_centers_
    return Regions(*(np.bincount(nearest(x, centres).reference, minlength=k) / len(x) for x in (real, made)))
