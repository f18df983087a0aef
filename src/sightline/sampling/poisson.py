"""Poisson blending (Pérez, Gangnet & Blake 2003, "Poisson image editing"): a region of one picture in another without a seam.

    f = arg min ∫ |∇f - v|²  inside the region,  f = target outside of it

v is the gradient of the source. Discretely, with the four neighbours q of each pixel p of the region:

    4 f_p - Σ f_q (q inside) = Σ target_q (q outside) + Σ v_pq,   v_pq = source_p - source_q

so differences between neighbours inside are as close to those of the source as the target at the boundary allows; where the
source differs from the target by a constant, they are exactly those of the source, and the result is the target's colour.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Num

from sightline.errors import UsageError

_STEPS = ((0, 1), (0, -1), (1, 0), (-1, 0))


def poisson_blend(
    source: Num[np.ndarray, "h w c"],
    target: Num[np.ndarray, "_ _ _"],
    region: Bool[np.ndarray, "_ _"],
    *,
    mixed: bool = False,
) -> np.ndarray:
    """The target with the gradients of the source inside the region, (h, w, c) float64 in the units of the input, unclipped.

    At the edge of the picture a pixel has fewer neighbours, and the equation fewer terms. `mixed`: of each difference the
    larger of source and target counts (equation 12 of the paper), which keeps texture of the target behind thin objects.

    UsageError for pictures of different shapes, and for a region that covers the picture, where nothing fixes its colours.
    """
    from scipy.sparse import coo_matrix  # half a second that importing this package should not cost
    from scipy.sparse.linalg import splu

    if source.shape != target.shape or source.shape[:2] != region.shape:
        raise UsageError(
            f"source {source.shape}, target {target.shape} and region {region.shape} differ in size", "resize them"
        )
    if region.all():
        raise UsageError("the region covers the whole picture, so nothing fixes its colours", "leave a margin")
    out = target.astype(np.float64)
    rows, columns = np.nonzero(region)
    n = len(rows)
    if not n:
        return out
    number = np.full(region.shape, -1)
    number[rows, columns] = np.arange(n)
    source, known = source.astype(np.float64), out.copy()
    degree, right = np.zeros(n), np.zeros((n, source.shape[2]))
    places: list[tuple[np.ndarray, np.ndarray]] = []
    for down, across in _STEPS:
        r, c = rows + down, columns + across
        there = (r >= 0) & (r < region.shape[0]) & (c >= 0) & (c < region.shape[1])
        p, q = (rows[there], columns[there]), (r[there], c[there])
        step = source[p] - source[q]
        if mixed:
            own = known[p] - known[q]
            step = np.where(np.abs(own) > np.abs(step), own, step)
        degree[there] += 1
        right[there] += step
        inside = region[q]
        right[np.flatnonzero(there)[~inside]] += known[q][~inside]
        places.append((np.flatnonzero(there)[inside], number[q][inside]))
    i, j = (np.concatenate([np.arange(n), *part]) for part in zip(*places, strict=True))
    value = np.concatenate([degree, -np.ones(len(i) - n)])
    out[rows, columns] = splu(coo_matrix((value, (i, j)), shape=(n, n)).tocsc()).solve(right)
    return out
