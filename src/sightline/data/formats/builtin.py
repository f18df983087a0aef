"""The built-in data sets.

`digits` comes with scikit-learn and is always available. `mnist` and `cifar10` are read from `$SIGHTLINE_DATA/<name>`:
nothing is downloaded. Readers are imported when they are used: a mistyped name is answered from this list alone.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from sightline.errors import DataError
from sightline.registry import Registry
from sightline.storage.text import printable

if TYPE_CHECKING:
    from sightline.data.records.source import Source

DATASETS = Registry("data set")
VARIABLE = "SIGHTLINE_DATA"


@DATASETS.register
def digits() -> Source:
    """1,797 handwritten digits, 8x8 grey, ten classes."""
    from .digits import read_digits

    return read_digits()


@DATASETS.register
def mnist() -> Source:
    """60,000 + 10,000 handwritten digits, 28x28 grey: the four IDX files."""
    from .idx import read_idx_folder

    return read_idx_folder(data_folder("mnist", "the four IDX files of MNIST"))


@DATASETS.register
def cifar10() -> Source:
    """50,000 + 10,000 photographs, 32x32, ten classes: Parquet in the layout of the Hugging Face hub."""
    from .parquet import read_parquet

    folder = data_folder("cifar10", "CIFAR-10's Parquet files")
    shards = list(folder.glob("*.parquet"))
    if not shards:
        raise DataError(f"no Parquet files in {printable(str(folder))}", "put CIFAR-10's Parquet files there")
    return read_parquet(shards, root=folder)


def data_folder(name: str, what: str) -> Path:
    """`$SIGHTLINE_DATA/<name>`. Raises DataError with what to put where."""
    root = os.environ.get(VARIABLE)
    if not root:
        raise DataError(
            f"{name} is not available: {VARIABLE} is not set",
            f"put {what} into a folder {name} and set {VARIABLE} to the folder above it, or give the folder itself",
        )
    folder = Path(root, name)
    if not folder.is_dir():
        raise DataError(f"{name} is not available: {printable(str(folder))} does not exist", f"put {what} there")
    return folder
