"""k-fold cross-validation: every sample is validated exactly once, in one of k disjoint folds.

Stone 1974, "Cross-validatory choice and assessment of statistical predictions". Stratified folds keep the ratio of
the classes: the samples of each class are shuffled and dealt in turn, continuing where the previous class ended, so that
both the counts of a class and the sizes of the folds differ by at most one.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Int

from sightline.errors import UsageError
from sightline.randomness.keyed import permutation


def k_fold(
    n: int, k: int, *, seed: int, labels: Int[np.ndarray, "n"] | None = None, units: Int[np.ndarray, "n"] | None = None
) -> Int[np.ndarray, "n"]:
    """The fold (0 … k-1) of each of n samples; fold f validates where it equals f and trains on the rest.

    With `labels` it is stratified. With `units` the samples of one unit stay together and count as one, with the label of
    the first. Raises UsageError unless 2 ≤ k ≤ the number of samples (or units).
    """
    if units is not None:
        _, first, back = np.unique(units, return_index=True, return_inverse=True)
        whole = k_fold(len(first), k, seed=seed, labels=None if labels is None else labels[first])
        return whole[back]
    if not 2 <= k <= n:
        raise UsageError(f"{n} samples cannot form {k} folds", f"use 2 to {n} folds" if n > 1 else "add samples")
    order = permutation(n, seed, "k-fold").numpy()
    if labels is not None:
        order = order[np.argsort(labels[order], kind="stable")]  # class by class, each shuffled
    folds = np.empty(n, dtype=np.int64)
    folds[order] = np.arange(n) % k
    return folds
