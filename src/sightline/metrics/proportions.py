"""The interval of a share."""

from __future__ import annotations

import math


def wilson(share: float, n: int, z: float) -> tuple[float, float]:
    """The score interval of a proportion of n (Wilson 1927): it stays inside [0, 1] and keeps its coverage near both ends."""
    share = min(max(share, 0.0), 1.0)  # a report is written of damaged files too, whose shares may be anything
    if n == 0:
        return 0.0, 1.0
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    # exact at the ends, where rounding would leave 1 - 2e-16
    return 0.0 if share <= 0 else max(0.0, centre - half), 1.0 if share >= 1 else min(1.0, centre + half)
