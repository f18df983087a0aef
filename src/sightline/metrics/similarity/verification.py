"""Verification: do two images show the same? From the distance of each pair.

FAR   false acceptance rate: different pairs within the threshold
FRR   false rejection rate: equal pairs beyond it
EER   where the two are equal, on the straight line between the two nearest thresholds
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from sightline.metrics.ranking import auc_of_sums, code_length, rank_code


class PairDistances(NamedTuple):
    """Unordered pairs: rows `first` and `second` (m,), whether they show the `same`, and their `distance`."""

    first: Int[np.ndarray, "m"]
    second: Int[np.ndarray, "m"]
    same: Bool[np.ndarray, "m"]
    distance: Float[np.ndarray, "m"]


def distance_matrix(
    one: Float[np.ndarray, "n d"],
    other: Float[np.ndarray, "m d"],
    weight: Float[np.ndarray, "w"] | None = None,
    bias: float = 0.0,
) -> Float[np.ndarray, "n m"]:
    """Euclidean distances. With the `weight` (d,) and `bias` of a siamese head they are -log σ(Σ ω|Δ| + b), the negative
    logarithm of the probability that two show the same: in order like the probability, but without its saturation."""
    from scipy.spatial.distance import cdist  # imported here: the package must load without scipy

    if weight is None or not len(weight):
        return cdist(one, other)
    score = np.full((len(one), len(other)), float(bias))
    for sign in (1, -1):  # the city-block distance takes no negative weights
        part = np.maximum(sign * weight, 0.0)
        score += sign * cdist(one * part, other * part, "cityblock")
    return np.logaddexp(0.0, -score)


def pairs_of(identity: Int[np.ndarray, "n"], distance: Float[np.ndarray, "n n"]) -> PairDistances:
    """All unordered pairs of known identity."""
    known = np.flatnonzero(identity >= 0)
    one, other = np.triu_indices(len(known), 1)
    first, second = known[one], known[other]
    return PairDistances(first, second, identity[first] == identity[second], distance[first, second])


def error_rates(pairs: PairDistances, threshold: float, weight: Float[np.ndarray, "r m"]) -> Float[np.ndarray, "2 r"]:
    """FAR and FRR at the threshold, each pair counted `weight` times; NaN without pairs of a kind."""
    within = pairs.distance <= threshold
    rates = []
    for kind, wrong in ((~pairs.same, within), (pairs.same, ~within)):
        total = weight[:, kind].sum(1)
        rates.append(np.where(total > 0, weight[:, kind & wrong].sum(1) / np.where(total > 0, total, 1.0), np.nan))
    return np.stack(rates)


def equal_error_rate(sums: Float[np.ndarray, "*r codes"]) -> Float[np.ndarray, "*r"]:
    """EER from the weight of each rank code (`ranking.rank_code`) of scores that rise with likeness; NaN without pairs of a
    kind."""
    negative, positive = sums[..., 0::2], sums[..., 1::2]
    zero = np.zeros((*sums.shape[:-1], 1))
    with np.errstate(invalid="ignore", divide="ignore"):
        frr = np.concatenate([zero, positive.cumsum(-1)], -1) / positive.sum(-1, keepdims=True)
        far = 1 - np.concatenate([zero, negative.cumsum(-1)], -1) / negative.sum(-1, keepdims=True)
    gap = frr - far  # rises from -1 to 1
    after = np.maximum((gap >= 0).argmax(-1), 1)[..., None]
    high, low = np.take_along_axis(gap, after, -1), np.take_along_axis(gap, after - 1, -1)
    with np.errstate(invalid="ignore", divide="ignore"):
        share = -low / (high - low)
    before = np.take_along_axis(far, after - 1, -1)
    return (before + share * (np.take_along_axis(far, after, -1) - before))[..., 0]


def verification(pairs: PairDistances) -> dict[str, float]:
    """AUC and EER; NaN without pairs of a kind."""
    code = rank_code(pairs.same, -pairs.distance)
    sums = np.bincount(code, minlength=code_length(code)).astype(np.float64)
    return {"auc": float(auc_of_sums(sums)), "eer": float(equal_error_rate(sums)) if len(sums) else np.nan}


def threshold_of_equal_errors(pairs: PairDistances) -> float | None:
    """The distance at which FAR and FRR are nearest to each other, midway between two neighbouring distances; None without
    pairs of a kind."""
    if pairs.same.all() or not pairs.same.any():
        return None
    order = np.argsort(pairs.distance, kind="stable")
    distance, same = pairs.distance[order], pairs.same[order]
    far, frr = np.cumsum(~same) / (~same).sum(), 1 - np.cumsum(same) / same.sum()
    ends = np.flatnonzero(np.r_[distance[1:] != distance[:-1], True])  # thresholds lie between distances that differ
    best = ends[np.abs(far - frr)[ends].argmin()]
    after = min(best + 1, len(distance) - 1)
    return float((distance[best] + distance[after]) / 2)
