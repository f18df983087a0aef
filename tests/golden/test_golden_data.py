"""Golden numbers about data: folds, shares of big sets, and the 784 inputs of a MNIST digit."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sightline.data.audit.duplicates import place_of
from sightline.data.dataset import build_dataset
from sightline.data.folds import k_fold
from sightline.data.splits import fractions_for
from tests.golden.rows import Golden
from tests.tiny_data import idx_bytes

golden = Golden("data")
Inputs = dict[str, Any]


@pytest.mark.parametrize("identifier", golden.rows)
def test_row(identifier: str) -> None:
    golden.check(identifier)


def test_every_row_is_computed() -> None:
    assert golden.computed.keys() == golden.rows.keys()


@golden("kfold-semantics")
def _folds(inputs: Inputs) -> dict[str, Any]:
    fold = k_fold(inputs["n"], inputs["k"], seed=0)
    validated = [np.flatnonzero(fold == f) for f in range(inputs["k"])]
    every = np.concatenate(validated).tolist()
    return {
        "each_once": sorted(every) == list(range(inputs["n"])),
        "disjoint": len(set(every)) == len(every),
        "sizes": [len(v) for v in validated],
    }


@golden("split-4M")
def _shares(inputs: Inputs) -> dict[str, Any]:
    total = sum(inputs["n"])
    shares = fractions_for(total)
    assert [round(share * total) for share in shares] == inputs["n"]
    return {"total": total, "pct": [100 * share for share in shares]}


def test_kfold_semantics() -> None:
    """Ten samples, five folds: sizes 2, each validated exactly once, folds disjoint; stratified keeps the ratio."""
    for seed in range(20):
        fold = k_fold(10, 5, seed=seed)
        validated = [np.flatnonzero(fold == f) for f in range(5)]
        assert [len(v) for v in validated] == [2, 2, 2, 2, 2]
        assert sorted(np.concatenate(validated).tolist()) == list(range(10))
        labels = np.array([0] * 60 + [1] * 30 + [2] * 10)
        fold = k_fold(100, 5, seed=seed, labels=labels)
        for f in range(5):
            assert np.bincount(labels[fold == f]).tolist() == [12, 6, 2]


def test_four_million_images_are_split_99_5_to_a_quarter_each() -> None:
    """3,980,000 / 10,000 / 10,000 of 4,000,000; by hash the counts come out within chance (5 sigma)."""
    shares = fractions_for(4_000_000)
    assert [round(share * 4_000_000) for share in shares] == [3_980_000, 10_000, 10_000]
    places = np.array([place_of(f"pixels:{i}") for i in range(200_000)])
    for low, high in ((0, shares.test), (shares.test, shares.test + shares.val)):
        count = int(((places >= low) & (places < high)).sum())
        assert abs(count - 500) < 5 * 500**0.5


def test_a_digit_has_784_pixels(tmp_path: Path) -> None:
    """28 x 28; on the real files where they are, else on generated ones."""
    root = os.environ.get("SIGHTLINE_DATA")
    what = "mnist" if root and Path(root, "mnist").is_dir() else str(_generated(tmp_path))
    dataset = build_dataset(what, channels=1)
    pixels = dataset.pixels(int(dataset.ids("train")[0]), channels=1)
    assert pixels.shape == (28, 28, 1)
    assert pixels.ravel().shape == (784,)
    if what == "mnist":
        given = [sum(r.split == split for r in dataset.records) for split in ("train", "test")]
        assert given == [60_000, 10_000]
        assert len(dataset.ids("test")) == 10_000


def _generated(root: Path) -> Path:
    rng = np.random.default_rng(0)
    (root / "train-images-idx3-ubyte").write_bytes(idx_bytes(rng.integers(0, 256, (40, 28, 28), dtype=np.uint8)))
    (root / "train-labels-idx1-ubyte").write_bytes(idx_bytes(np.arange(40, dtype=np.uint8) % 10))
    return root


def test_the_generated_stand_in_reads_the_same_way(tmp_path: Path) -> None:
    dataset = build_dataset(str(_generated(tmp_path)), channels=1)
    assert dataset.pixels(0, channels=1).size == 784


@pytest.mark.parametrize("n", [2, 7, 11])
def test_uneven_folds_differ_by_one(n: int) -> None:
    assert sorted(np.bincount(k_fold(n, 2, seed=0)).tolist()) == [n // 2, n - n // 2]
