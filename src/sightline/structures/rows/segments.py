"""Rows of segmentations: counts for each image, from which every metric, slice, interval and comparison follows.

Counts add up, so any set of images, such as a bootstrap resample, is measured by the sum of its rows.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from jaxtyping import Float, Int


@dataclass(frozen=True)
class SegmentRows:
    """One row per image.

    id          (n,) row of the data manifest
    confusion   (n, k, k) pixels, row: true class, column: predicted class; without ignored pixels
    boundary    (n, 4) pixels: true boundary, those of it matched by a predicted one, predicted boundary, those of it
                matched by a true one (`metrics.segmentation.boundary_counts`)
    loss_sum    (n,) cross-entropy in nats, summed over the `pixels` (n,) that are labelled in the batch's frame
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
