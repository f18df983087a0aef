"""Normalised cuts: an image in two parts, each of which holds together (Shi & Malik 2000, TPAMI 22).

The cut that is least for the parts' own weight is approximated by the second smallest solution of (D - W) y = λ D y, where W
are affinities of pixels and D their sums.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float


def affinities(image: Float[np.ndarray, "h w"], *, sigma: float = 0.1, reach: float = 5.0) -> Float[np.ndarray, "n n"]:
    """exp(-(difference of levels / sigma)² - (distance / (reach / 2))²) for pixels at most `reach` apart, else 0."""
    y, x = (axis.ravel() for axis in np.mgrid[: image.shape[0], : image.shape[1]])
    distance = np.hypot(y[:, None] - y, x[:, None] - x)
    level = image.ravel()
    weight = np.exp(-(((level[:, None] - level) / sigma) ** 2) - (2 * distance / reach) ** 2)
    return np.where(distance <= reach, weight, 0.0)


def second_vector(weight: Float[np.ndarray, "n n"]) -> Float[np.ndarray, "n"]:
    """The generalised eigenvector with the second smallest λ, of length 1 by D, its largest entry positive."""
    total = weight.sum(1)
    scale = 1 / np.sqrt(total)
    # with z = √D y: √D⁻¹ (D - W) √D⁻¹ z = λ z, which is symmetric
    _, vectors = np.linalg.eigh(np.eye(len(weight)) - scale[:, None] * weight * scale)
    vector = scale * vectors[:, 1]
    return vector * np.sign(vector[np.abs(vector).argmax()])


def cut_cost(weight: Float[np.ndarray, "n n"], part: Bool[np.ndarray, "n"]) -> float:
    """cut(A, B) / assoc(A, V) + cut(A, B) / assoc(B, V)."""
    between = weight[part][:, ~part].sum()
    return float(between / weight[part].sum() + between / weight[~part].sum())


def normalised_cut(
    image: Float[np.ndarray, "h w"], *, sigma: float = 0.1, reach: float = 5.0
) -> Bool[np.ndarray, "h w"]:
    """The part where the vector is above the threshold, of 20 evenly spread ones, whose cut costs least."""
    weight = affinities(image, sigma=sigma, reach=reach)
    vector = second_vector(weight)
    between = np.linspace(vector.min(), vector.max(), 22)[1:-1]
    best = min(between, key=lambda threshold: cut_cost(weight, vector > threshold))
    return (vector > best).reshape(image.shape)
