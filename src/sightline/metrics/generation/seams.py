"""Whether the place where two pictures were joined can be seen."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Num


def seam_ratio(image: Num[np.ndarray, "h w c"], region: Bool[np.ndarray, "h w"], *, reach: int = 3) -> float:
    """Mean absolute difference between neighbours across the boundary of the region, divided by that between neighbours on one
    side of it within `reach` pixels: 1 where no seam can be seen. NaN without a boundary or with flat surroundings."""
    from scipy.ndimage import binary_dilation

    value = image.astype(np.float64)
    across: list[np.ndarray] = []
    around: list[np.ndarray] = []
    edge = binary_dilation(region, iterations=reach) & binary_dilation(~region, iterations=reach)
    for axis in (0, 1):
        n = region.shape[axis]
        one, other = (np.take(region, range(*ends), axis) for ends in ((0, n - 1), (1, n)))
        near = np.take(edge, range(n - 1), axis) & np.take(edge, range(1, n), axis)
        step = np.abs(np.diff(value, axis=axis)).mean(2)
        across.append(step[one != other])
        around.append(step[(one == other) & near])
    seam, rest = np.concatenate(across), np.concatenate(around)
    if not len(seam) or not len(rest) or rest.mean() == 0:
        return float("nan")
    return float(seam.mean() / rest.mean())
