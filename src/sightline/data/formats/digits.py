"""The 1,797 handwritten digits of scikit-learn (Alpaydin & Kaynak 1998, UCI "Optical Recognition"): 8x8 grey.

Their values count ink from 0 to 16. Here v becomes (v·255 + 8) // 16, the nearest byte: 0 stays 0 and 16 becomes 255.
White ink on black, as in MNIST.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import UInt8

from sightline.data.records.records import Arrays, Record
from sightline.data.records.source import Source


def read_digits() -> Source:
    """All digits, in scikit-learn's order, without a given split."""
    from sklearn.datasets import load_digits  # 0.5 s, and only this data set needs it

    bunch = load_digits()
    labels = bunch.target.tolist()
    records = tuple(Record(row, f"digits/{row:04d}", str(label)) for row, label in enumerate(labels))
    classes = tuple(str(digit) for digit in range(10))
    return Source("digits", "digits", "", records, classes, Arrays(bytes_of(bunch.images)))


def bytes_of(ink: np.ndarray) -> UInt8[np.ndarray, "..."]:
    """Ink 0-16 → 0-255, the nearest byte (halves up)."""
    return ((ink.astype(np.int64) * 255 + 8) // 16).astype(np.uint8)
