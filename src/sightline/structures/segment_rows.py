"""What remains of a segmented image: counts, from which every metric, slice, interval and comparison follows.

Counts of images add up, so any set of images, drawn in any way, is judged by the sums of its rows.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from jaxtyping import Float, Int


@dataclass(frozen=True)
class SegmentRows:
    """One row an image.

    id          (n,) row of the data manifest
    confusion   (n, k, k) pixels, row: true class, column: predicted class; ignored pixels are in none
    boundary    (n, 4) pixels: of the true boundary, those of them met by a predicted one, of the predicted boundary,
                those of them met by a true one (`metrics.segmentation.boundary_counts`)
    loss_sum    (n,) cross-entropy in nats, summed over the `pixels` (n,) that are known in the batch's frame
    """

    id: Int[np.ndarray, "n"]
    confusion: Int[np.ndarray, "n k k"]
    boundary: Int[np.ndarray, "n 4"]
    loss_sum: Float[np.ndarray, "n"]
    pixels: Int[np.ndarray, "n"]

    def __len__(self) -> int:
        return len(self.id)

    def take(self, which: np.ndarray) -> SegmentRows:
        """The rows that an index array or a boolean mask selects."""
        return SegmentRows(*(getattr(self, field.name)[which] for field in fields(self)))

    @classmethod
    def join(cls, parts: list[SegmentRows]) -> SegmentRows:
        return cls(*(np.concatenate([getattr(p, field.name) for p in parts]) for field in fields(cls)))
