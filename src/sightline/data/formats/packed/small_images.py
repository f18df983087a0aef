"""Small images in their publishers' own binary files: CIFAR-10, CIFAR-100 and USPS.

CIFAR (Krizhevsky 2009, "Learning multiple layers of features from tiny images"), the binary version: rows of one label byte
(CIFAR-100: the superclass, then the class) and 3,072 bytes, red, green, blue, each 32 x 32. Names stand in batches.meta.txt,
or in fine_label_names.txt. CIFAR-100's superclasses are kept as a column of metadata.

USPS (Le Cun et al. 1989, "Backpropagation applied to handwritten zip code recognition"), as `zip.train.gz` and `zip.test.gz` of
Hastie, Tibshirani & Friedman: lines of a label and 256 numbers from -1 (white) to 1 (ink), 16 x 16. Ink becomes 255.
"""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int, UInt8

from sightline.data.records.records import Arrays, Record
from sightline.data.records.source import Source
from sightline.errors import DataError
from sightline.storage.text import printable

MAX_BYTES = 1 << 30
_SIDE, _PIXELS = 32, 3 * 32 * 32
_CIFAR10 = {"train": tuple(f"data_batch_{i}.bin" for i in range(1, 6)), "test": ("test_batch.bin",)}
_CIFAR100 = {"train": ("train.bin",), "test": ("test.bin",)}
_USPS = {"train": "zip.train.gz", "test": "zip.test.gz"}


def is_small_images(names: set[str]) -> bool:
    """Whether a folder with these file names is one of the three."""
    return "data_batch_1.bin" in names or {"train.bin", "fine_label_names.txt"} <= names or "zip.train.gz" in names


def read_small_images(root: Path, names: set[str]) -> Source:
    """The images of the folder. DataError naming the file that is missing or damaged."""
    if "zip.train.gz" in names:
        return _usps(root, names)
    fine = "fine_label_names.txt" in names
    files = _CIFAR100 if fine else _CIFAR10
    classes = _names(root / ("fine_label_names.txt" if fine else "batches.meta.txt"))
    coarse = _names(root / "coarse_label_names.txt") if "coarse_label_names.txt" in names else ()
    images: list[np.ndarray] = []
    records: list[Record] = []
    for split, parts in files.items():
        for part in parts:
            if part not in names:
                raise DataError(f"{part} is missing in {printable(str(root))}", "download the binary version again")
            label, own_pixels = _cifar(root / part, 2 if fine else 1)
            if int(label[:, -1].max()) >= len(classes):
                raise DataError(f"{part} has the label {label[:, -1].max()}, and {len(classes)} classes have names")
            images.append(own_pixels)
            for row, own in enumerate(label.tolist()):
                known = (coarse[own[0]],) if coarse and own[0] < len(coarse) else ()
                records.append(Record(len(records), f"{part}/{row:06d}", classes[own[-1]], split, metadata=known))
    columns = ("superclass",) if coarse else ()
    pixels = Arrays(np.concatenate(images))
    return Source(root.resolve().name, "cifar", str(root), tuple(records), classes, pixels, columns=columns)


def _names(path: Path) -> tuple[str, ...]:
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{printable(path.name)} with the names of the classes cannot be read", "add it") from error
    return tuple(line.strip() for line in lines if line.strip())


def _cifar(path: Path, labels: int) -> tuple[Int[np.ndarray, "n l"], UInt8[np.ndarray, "n 32 32 3"]]:
    row = labels + _PIXELS
    size = path.stat().st_size
    if not size or size % row or size > MAX_BYTES:
        raise DataError(f"{path.name} has {size:,} bytes, which are no rows of {row:,}", "download it again")
    rows = np.fromfile(path, np.uint8).reshape(-1, row)
    pixels = rows[:, labels:].reshape(-1, 3, _SIDE, _SIDE).transpose(0, 2, 3, 1)
    return rows[:, :labels].astype(np.int64), np.ascontiguousarray(pixels)


def _usps(root: Path, names: set[str]) -> Source:
    images: list[np.ndarray] = []
    records: list[Record] = []
    for split, file in _USPS.items():
        if file not in names:
            continue
        rows = _numbers(root / file)
        images.append(((rows[:, 1:] + 1) * 127.5).round().clip(0, 255).astype(np.uint8).reshape(-1, 16, 16))
        records += [
            Record(len(records) + row, f"{split}/{row:06d}", str(int(label)), split)
            for row, label in enumerate(rows[:, 0].tolist())
        ]
    pixels, classes = Arrays(np.concatenate(images)), tuple(str(digit) for digit in range(10))
    return Source(root.resolve().name, "usps", str(root), tuple(records), classes, pixels)


def _numbers(path: Path) -> Float[np.ndarray, "n 257"]:
    try:
        with gzip.open(path, "rt", encoding="ascii") as file:
            text = file.read(MAX_BYTES)
        rows = np.array([line.split() for line in text.split("\n") if line.strip()], dtype=np.float64)
    except (OSError, EOFError, zlib.error, ValueError) as error:
        raise DataError(f"{path.name} cannot be read: {error}", "download it again") from error
    if (
        rows.ndim != 2
        or rows.shape[1] != 257
        or not np.isin(rows[:, 0], range(10)).all()
        or np.abs(rows[:, 1:]).max() > 1
    ):
        raise DataError(f"{path.name} has no lines of a digit and 256 numbers from -1 to 1", "download it again")
    return rows
