"""k-fold cross-validation: every sample is validated exactly once, in one of k disjoint folds.

Stone 1974, "Cross-validatory choice and assessment of statistical predictions". Stratified folds keep each class's
ratio: the samples of each class are shuffled and dealt in turn, going on where the class before ended, so that both a
class's counts and the folds' sizes differ by at most one.
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

    With `labels` it is stratified. With `units` samples of one unit stay together, are dealt as one and count as one,
    with the label of their first. Raises UsageError unless 2 ≤ k ≤ the number of samples (or units).
    """
    if units is not None:
        _, first, back = np.unique(units, return_index=True, return_inverse=True)
        whole = k_fold(len(first), k, seed=seed, labels=None if labels is None else labels[first])
        return whole[back]
    if not 2 <= k <= n:
        raise UsageError(f"{k} folds of {n} samples", f"take from 2 to {n} folds")
    order = permutation(n, seed, "k-fold").numpy()
    if labels is not None:
        order = order[np.argsort(labels[order], kind="stable")]  # class by class, each shuffled
    folds = np.empty(n, dtype=np.int64)
    folds[order] = np.arange(n) % k
    return folds
