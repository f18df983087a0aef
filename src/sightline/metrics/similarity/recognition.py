"""Recognition: who is this, among the others? One value for each query, from the distances of all images to each other.

recall_at_1   the nearest other image shows the same identity
map_at_r      Musgrave, Belongie & Lim 2020, "A metric learning reality check" (arXiv:2003.08505), equation 1: of the R
              nearest others, where R is how many show the same, the mean of (precision at i · whether the i-th does)
one_shot      N-way: one image of the same identity against one of N - 1 others (Lake, Salakhutdinov & Tenenbaum 2015)
"""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float, Int


def ranked_hits(identity: Int[np.ndarray, "n"], distance: Float[np.ndarray, "n n"]) -> Float[np.ndarray, "n m"]:
    """Whether the i-th nearest other image shows the same; of equal distances the first row comes first."""
    masked = distance.copy()
    np.fill_diagonal(masked, np.inf)
    order = np.argsort(masked, axis=1, kind="stable")[:, :-1]  # without the query itself
    return (identity[order] == identity[:, None]).astype(np.float64)


def recall_at_1(hits: Float[np.ndarray, "n m"]) -> Float[np.ndarray, "n"]:
    """NaN where no other image shows the same."""
    return np.where(hits.sum(1) > 0, hits[:, 0], np.nan) if hits.shape[1] else np.full(len(hits), np.nan)


def map_at_r(hits: Float[np.ndarray, "n m"]) -> Float[np.ndarray, "n"]:
    """NaN where no other image shows the same."""
    r = hits.sum(1)
    rank = np.arange(1, hits.shape[1] + 1)
    within = rank <= r[:, None]
    total = (hits * within * np.cumsum(hits, 1) / np.maximum(rank, 1)).sum(1)
    return np.where(r > 0, total / np.maximum(r, 1), np.nan)


def one_shot(identity: Int[np.ndarray, "n"], distance: Float[np.ndarray, "n n"], ways: int) -> Float[np.ndarray, "n"]:
    """The accuracy of each query, averaged over every episode that there is: every support image of its identity, every choice
    of `ways` - 1 other identities, every image of each. A tie counts half. NaN where there are too few identities or no
    support.

    The mean over all choices of identities is an elementary symmetric polynomial of the shares of their images that are
    farther away than the support, so nothing is sampled.
    """
    own, place = np.unique(identity, return_inverse=True)
    value = np.full(len(identity), np.nan)
    if len(own) < ways:
        return value
    groups = [np.flatnonzero(place == g) for g in range(len(own))]
    episodes = math.comb(len(own) - 1, ways - 1)
    for query in range(len(identity)):
        mine = groups[place[query]]
        supports = distance[query, mine[mine != query]]
        if not len(supports):
            continue
        e = np.zeros((ways, len(supports)))  # e[k]: the polynomial of degree k
        e[0] = 1.0
        for g, members in enumerate(groups):
            if g == place[query]:
                continue
            other = np.sort(distance[query, members])
            below, upto = (np.searchsorted(other, supports, side) for side in ("left", "right"))
            farther = 1 - (below + upto) / (2 * len(members))
            e[1:] += e[:-1] * farther
        value[query] = float(e[ways - 1].mean() / episodes)
    return value
