"""The 1,797 handwritten digits of scikit-learn (Alpaydin & Kaynak 1998, UCI "Optical Recognition"): 8x8 grey.

Their values count ink from 0 to 16. Here v becomes (v·255 + 8) // 16, the nearest byte: 0 stays 0 and 16 becomes 255.
White ink on black, as in MNIST. The file is read from scikit-learn's folder: importing scikit-learn takes 0.8 s.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from sightline.data.records.records import Arrays, Record
from sightline.data.records.source import Source

_FILE = "datasets/data/digits.csv.gz"  # of the package: 64 values of ink and the digit in each row


def read_digits() -> Source:
    """All digits, in scikit-learn's order, without a given split."""
    images, digits = _images_and_digits()
    records = tuple(Record(row, f"digits/{row:04d}", str(digit)) for row, digit in enumerate(digits.tolist()))
    classes = tuple(str(digit) for digit in range(10))
    return Source("digits", "digits", "", records, classes, Arrays(bytes_of(images)))


def _images_and_digits() -> tuple[np.ndarray, np.ndarray]:
    """Ink (n, 8, 8) and digits (n,)."""
    package = find_spec("sklearn")
    for folder in (package.submodule_search_locations or ()) if package is not None else ():
        if (file := Path(folder, _FILE)).is_file():
            table = np.loadtxt(file, delimiter=",")
            return table[:, :-1].reshape(-1, 8, 8), table[:, -1].astype(np.int64)
    from sklearn.datasets import load_digits  # a version that keeps the file elsewhere

    bunch = load_digits()
    return bunch.images, bunch.target


def bytes_of(ink: np.ndarray) -> UInt8[np.ndarray, "..."]:
    """Ink 0-16 → 0-255, the nearest byte (halves up)."""
    return ((ink.astype(np.int64) * 255 + 8) // 16).astype(np.uint8)
