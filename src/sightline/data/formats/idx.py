"""MNIST's own format: IDX, plain or gzipped (LeCun, Cortes & Burges, "The MNIST database of handwritten digits").

Two zero bytes, a type (0x08 = unsigned byte), the number of dimensions, each dimension as a big-endian 32-bit integer,
the values. The size must match the header: a short, long or damaged file is refused.
Fashion-MNIST, KMNIST and EMNIST's subsets use the same files.
"""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from sightline.data.records.records import Arrays, Record
from sightline.data.records.source import Source
from sightline.errors import DataError
from sightline.storage.text import printable

MAX_BYTES = 4 << 30
_FILES = {"train": "train", "test": "t10k"}


def is_idx_folder(names: set[str]) -> bool:
    """Whether a folder with these file names holds MNIST's training images."""
    return any(name in names for name in _spellings("train", "images", 3))


def read_idx_folder(root: Path) -> Source:
    """The training and, where present, test images of a folder with MNIST's four standard names.

    Classes are the label values in numeric order. Raises DataError naming the file that is missing or damaged.
    """
    images: list[np.ndarray] = []
    records: list[Record] = []
    for split, prefix in _FILES.items():
        pair = _pair(root, prefix)
        if pair is None:
            continue
        pixels, labels = pair
        images.append(pixels)
        start = len(records)
        records += [
            Record(start + row, f"{split}/{row:06d}", str(label), split) for row, label in enumerate(labels.tolist())
        ]
    if images[0].shape[1:] != images[-1].shape[1:]:
        raise DataError(
            f"{printable(str(root))}: training images are {images[0].shape[1:]}, test images {images[-1].shape[1:]}"
        )
    classes = tuple(str(v) for v in sorted({int(r.label) for r in records if r.label}))
    return Source(root.resolve().name, "idx", str(root), tuple(records), classes, Arrays(np.concatenate(images)))


def _pair(root: Path, prefix: str) -> tuple[np.ndarray, np.ndarray] | None:
    """(images (n, h, w), labels (n,)) of one split; None if it has no files."""
    image_file, label_file = _find(root, prefix, "images", 3), _find(root, prefix, "labels", 1)
    if image_file is None and label_file is None and prefix != "train":
        return None
    if image_file is None or label_file is None:
        missing = "images-idx3" if image_file is None else "labels-idx1"
        raise DataError(
            f"{prefix}-{missing}-ubyte is missing in {printable(str(root))}", "add it: images and labels come in pairs"
        )
    x, y = read_idx(image_file, 3), read_idx(label_file, 1)
    if len(x) != len(y):
        raise DataError(f"{image_file.name} holds {len(x)} images, {label_file.name} {len(y)} labels")
    return x, y


def _spellings(prefix: str, what: str, dimensions: int) -> list[str]:
    plain = [f"{prefix}-{what}-idx{dimensions}-ubyte", f"{prefix}-{what}.idx{dimensions}-ubyte"]
    return plain + [f"{name}.gz" for name in plain]


def _find(root: Path, prefix: str, what: str, dimensions: int) -> Path | None:
    return next((p for n in _spellings(prefix, what, dimensions) if (p := root / n).is_file()), None)


def read_idx(path: Path, dimensions: int) -> UInt8[np.ndarray, "..."]:
    """The array of one IDX file of unsigned bytes. Raises DataError unless its size is exactly that of the
    header."""
    name = printable(path.name)
    try:
        with gzip.open(path) if path.suffix == ".gz" else open(path, "rb") as file:
            head = file.read(4 + 4 * dimensions)
            if len(head) < 4 + 4 * dimensions or head[:4] != bytes((0, 0, 8, dimensions)):
                raise DataError(f"{name} is not an IDX file of unsigned bytes in {dimensions} dimensions")
            shape = struct.unpack(f">{dimensions}I", head[4:])
            size = math.prod(shape)
            if not 0 < size <= MAX_BYTES:
                raise DataError(f"{name} announces {size:,} bytes", "download it again")
            body = file.read(size + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{name} cannot be read: {error}", "download it again") from error
    if len(body) != size:
        raise DataError(f"{name} announces {size:,} bytes and holds {'more' if len(body) > size else len(body)}")
    return np.frombuffer(body, np.uint8).reshape(shape)
