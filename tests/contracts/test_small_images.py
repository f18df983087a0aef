"""CIFAR's and USPS's own files, on small generated copies of their layout."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from sightline.data.dataset import build_dataset
from sightline.data.formats.sniff import open_data
from sightline.errors import DataError


def rows(labels: list[tuple[int, ...]], seed: int) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (len(labels), 3072), dtype=np.uint8)
    return b"".join(bytes(label) + one.tobytes() for label, one in zip(labels, pixels, strict=True))


def write_cifar100(root: Path) -> None:
    (root / "fine_label_names.txt").write_text("apple\nbee\ncan\n")
    (root / "coarse_label_names.txt").write_text("fruit\ninsects\n")
    (root / "train.bin").write_bytes(rows([(0, 0), (1, 1), (0, 2)] * 4, 0))
    (root / "test.bin").write_bytes(rows([(1, 1), (0, 2), (0, 0)], 1))


def test_cifar100(tmp_path: Path) -> None:
    write_cifar100(tmp_path)
    source = open_data(str(tmp_path))
    assert source.classes == ("apple", "bee", "can") and source.columns == ("superclass",)
    first = source.records[0]
    assert (first.label, first.split, first.metadata) == ("apple", "train", ("fruit",))
    data = build_dataset(source)
    assert data.counts()[:, 2].tolist() == [1, 1, 1]
    stored = np.frombuffer((tmp_path / "train.bin").read_bytes(), np.uint8)[2:3074]
    assert np.array_equal(data.pixels(0), stored.reshape(3, 32, 32).transpose(1, 2, 0))


def test_cifar10(tmp_path: Path) -> None:
    (tmp_path / "batches.meta.txt").write_text("airplane\nautomobile\n\n")
    for i in range(1, 6):
        (tmp_path / f"data_batch_{i}.bin").write_bytes(rows([(0,), (1,)], i))
    (tmp_path / "test_batch.bin").write_bytes(rows([(1,), (0,)], 9))
    data = build_dataset(open_data(str(tmp_path)))
    assert data.classes == ("airplane", "automobile") and data.counts().sum(0)[2] == 2 and len(data) == 12


def test_usps(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for name, n in (("zip.train.gz", 40), ("zip.test.gz", 10)):
        values = rng.uniform(-1, 1, (n, 256)).round(3)
        lines = [f"{i % 10}.0000 " + " ".join(f"{v:.3f}" for v in row) for i, row in enumerate(values)]
        with gzip.open(tmp_path / name, "wt") as file:
            file.write("\n".join(lines) + "\n")
        if name == "zip.train.gz":
            expected = ((values[0] + 1) * 127.5).round().astype(np.uint8).reshape(16, 16)
    data = build_dataset(open_data(str(tmp_path)))
    assert data.classes == tuple("0123456789") and data.counts()[:, 2].tolist() == [1] * 10
    assert np.array_equal(data.pixels(0, channels=1)[..., 0], expected)


def test_what_is_damaged_or_missing_is_named(tmp_path: Path) -> None:
    write_cifar100(tmp_path)
    (tmp_path / "train.bin").write_bytes(b"x" * 3073)
    with pytest.raises(DataError, match=r"train\.bin has 3,073 bytes, which are no rows of 3,074"):
        open_data(str(tmp_path))
    (tmp_path / "train.bin").write_bytes(rows([(0, 7)], 0))
    with pytest.raises(DataError, match="label 7, and 3 classes"):
        open_data(str(tmp_path))
    (tmp_path / "test.bin").unlink()
    (tmp_path / "train.bin").write_bytes(rows([(0, 1)], 0))
    with pytest.raises(DataError, match=r"test\.bin is missing"):
        open_data(str(tmp_path))
