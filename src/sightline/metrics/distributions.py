"""How near two sets of feature vectors are: what a generator makes against real images.

    Fréchet distance     Heusel et al. 2017, arXiv:1706.08500     of two Gaussians with the sets' means and covariances
    kernel distance      Bińkowski et al. 2018, arXiv:1801.01401  unbiased squared MMD with a cubic kernel
    precision, recall    Kynkäänniemi et al. 2019, arXiv:1904.06991

All depend on the features: distances in different features, or of different numbers of samples, cannot be compared. None of
these is called FID or KID, which are names for the features of one published network.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from sightline.errors import UsageError

Features = np.ndarray  # (n, d) of n samples; the two sets have sizes of their own
_ROWS = 1024  # of a block of distances: 1,024 by 10,000 take 80 MB


class Coverage(NamedTuple):
    """Which modes the samples reach: `counts` (k,) of good samples a mode, `good` the share of samples near any."""

    counts: Int[np.ndarray, "k"]
    good: float

    @property
    def reached(self) -> int:
        """Modes with at least a fifth of their equal share of the samples."""
        return int((self.counts >= max(1.0, 0.2 * self.counts.sum() / len(self.counts))).sum())


class Neighbours(NamedTuple):
    """The nearest reference of each sample: `reference` (n,) its index, `distance` (n,)"""

    reference: Int[np.ndarray, "n"]
    distance: Float[np.ndarray, "n"]


def _two_sets(first: Features, second: Features, least: int = 2) -> tuple[Features, Features]:
    """Both as float64. UsageError for other shapes, or too few rows."""
    first, second = np.asarray(first, np.float64), np.asarray(second, np.float64)
    if first.ndim != 2 or second.ndim != 2 or first.shape[1] != second.shape[1]:
        raise UsageError(f"features of shapes {first.shape} and {second.shape}", "give (n, d) and (m, d)")
    if min(len(first), len(second)) < least:
        raise UsageError(f"{min(len(first), len(second))} samples are too few", f"give at least {least} of each set")
    return first, second


def frechet_distance(first: Features, second: Features, *, shrinkage: float = 0.0) -> float:
    """‖μ₁ - μ₂‖² + tr(Σ₁ + Σ₂ - 2 (Σ₁ Σ₂)^½) of features (n, d) and (m, d).

    With fewer samples than features a covariance has no rank in most directions and the distance is far too large;
    `shrinkage` in [0, 1] mixes each covariance with its mean variance times the identity (Ledoit & Wolf 2004).

    The trace of (Σ₁ Σ₂)^½ is the sum of the singular values of Σ₁^½ Σ₂^½, which stay real and positive where the product
    of two noisy covariances has complex eigenvalues.
    """
    first, second = _two_sets(first, second)
    covariances = [_covariance(one, shrinkage) for one in (first, second)]
    roots = [_root(one) for one in covariances]
    cross = np.linalg.svd(roots[0] @ roots[1], compute_uv=False).sum()
    shift = first.mean(0) - second.mean(0)
    return float(shift @ shift + sum(np.trace(one) for one in covariances) - 2 * cross)


def _covariance(features: Features, shrinkage: float) -> Float[np.ndarray, "d d"]:
    covariance = np.atleast_2d(np.cov(features, rowvar=False))
    mean = np.trace(covariance) / len(covariance)
    return (1 - shrinkage) * covariance + shrinkage * mean * np.eye(len(covariance))


def _root(covariance: Float[np.ndarray, "d d"]) -> Float[np.ndarray, "d d"]:
    values, vectors = np.linalg.eigh(covariance)
    return (vectors * np.sqrt(values.clip(min=0))) @ vectors.T


def kernel_distance(first: Features, second: Features) -> float:
    """The unbiased squared maximum mean discrepancy with the kernel (x·y / d + 1)³. It may be slightly negative where both
    sets have one distribution; each set's mean is over the pairs of its own size."""
    first, second = _two_sets(first, second)
    n, m, d = len(first), len(second), first.shape[1]

    def kernel(a: Features, b: Features) -> Float[np.ndarray, "a b"]:
        return (a @ b.T / d + 1) ** 3

    own, other = kernel(first, first), kernel(second, second)
    within = (own.sum() - np.trace(own)) / (n * (n - 1)) + (other.sum() - np.trace(other)) / (m * (m - 1))
    return float(within - 2 * kernel(first, second).mean())


def precision_recall(made: Features, real: Features, *, k: int = 3) -> tuple[float, float]:
    """(precision, recall): the share of the made samples that lie within the k-nearest-neighbour ball of any real one, and of
    the real ones within that of any made one."""
    made, real = _two_sets(made, real, k + 1)
    return _inside(made, real, k), _inside(real, made, k)


def _inside(points: Features, centres: Features, k: int) -> float:
    radius = np.concatenate([np.partition(block, k, axis=1)[:, k] for block in _distances(centres, centres)])
    return float(np.concatenate([(block <= radius).any(1) for block in _distances(points, centres)]).mean())


def nearest(samples: Features, references: Features) -> Neighbours:
    """For each sample the nearest reference by Euclidean distance: of made images, is it a training image?"""
    samples, references = _two_sets(samples, references, 1)
    index, distance = [], []
    for block in _distances(samples, references):
        index.append(block.argmin(1))
        distance.append(block.min(1))
    return Neighbours(np.concatenate(index), np.concatenate(distance))


def memorised(made: Features, train: Features, held_out: Features, *, share: float = 0.01) -> float:
    """The share of made samples that are nearer to a training image than all but `share` of the held-out real images are:
    about `share` where nothing was memorised, towards 1 where training images are repeated."""
    usual = nearest(held_out, train).distance
    return float((nearest(made, train).distance < np.quantile(usual, share)).mean())


def coverage(points: Features, centres: Float[np.ndarray, "k d"], radius: float) -> Coverage:
    """How many points lie within `radius` of each of k known modes."""
    found = nearest(points, centres)
    good = found.distance <= radius
    return Coverage(np.bincount(found.reference[good], minlength=len(centres)), float(good.mean()))


def _distances(points: Features, centres: Features) -> list[Float[np.ndarray, "b m"]]:
    """Euclidean distances in blocks of rows; exact 0 between equal rows, which ‖a‖² + ‖b‖² - 2 a·b would miss."""
    from scipy.spatial.distance import cdist

    return [cdist(points[i : i + _ROWS], centres) for i in range(0, len(points), _ROWS)]
