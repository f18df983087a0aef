"""Groups of images that a network sees alike: k-means on its last hidden layer."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int

MOST, LEAST = 20, 60  # groups; images of a group on average
WIDE = 32  # dimensions that are kept: those of the largest variance


def clusters(vectors: Float[np.ndarray, "n d"], *, seed: int = 0) -> Int[np.ndarray, "n"] | None:
    """The group of each vector; None for fewer than two groups' worth of images, or vectors that are not finite. The vectors
    are brought to unit length first: how strongly an image excites the layer says less than in which direction."""
    n = len(vectors)
    k = min(MOST, n // LEAST)
    if k < 2 or not np.isfinite(vectors).all():
        return None
    from sklearn.cluster import KMeans
    from sklearn.decomposition import PCA
    from threadpoolctl import threadpool_limits

    units = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    with threadpool_limits(1):  # sums over threads have no fixed order, and the same run must give the same groups
        wide = min(WIDE, units.shape[1], n)
        reduced = PCA(wide, svd_solver="covariance_eigh" if units.shape[1] <= n else "full").fit_transform(units)
        return np.asarray(KMeans(k, n_init=1, random_state=seed, max_iter=100).fit_predict(reduced))
