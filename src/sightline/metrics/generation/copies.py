"""Did a generator learn its training images by heart?"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float

ALONE = 1 / 3  # of the distance to the second nearest training image (Yoon et al. 2023)
USUAL = 0.01  # share of held-out images that are this near to a training image
_ROWS = 256  # of a block of distances


def two_nearest(points: Float[np.ndarray, "n d"], references: Float[np.ndarray, "m d"]) -> Float[np.ndarray, "n 2"]:
    """Distances to the nearest and to the second nearest reference, of which there must be two."""
    from scipy.spatial.distance import cdist

    blocks = [points[i : i + _ROWS] for i in range(0, len(points), _ROWS)]
    return np.concatenate(
        [np.sort(np.partition(cdist(block, references), 1, axis=1)[:, :2], axis=1) for block in blocks]
    )


def copies(
    made: Float[np.ndarray, "n d"], train: Float[np.ndarray, "m d"], held_out: Float[np.ndarray, "k d"]
) -> Bool[np.ndarray, "n"]:
    """Which made images repeat a training image: it is nearer than 99 % of held-out real images are to theirs, and no other
    training image is nearly as near.

    The first alone also holds for a blurred mean, which is near to many images at once; the second alone for an odd image with
    one odd neighbour.
    """
    limit = np.quantile(two_nearest(held_out, train)[:, 0], USUAL)
    first, second = two_nearest(made, train).T
    return (first <= limit) & (first <= ALONE * second)
