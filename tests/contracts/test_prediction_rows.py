"""Rows on disk come back as they were, whatever they are called, or are refused."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sightline.errors import DamagedError
from sightline.evaluation.predictions import read_rows, write_rows
from sightline.structures.predictions import ClassRows


def rows(seed: int, n: int, k: int) -> ClassRows:
    rng = np.random.default_rng(seed)
    return ClassRows(np.arange(n) + 100, rng.integers(0, k, n), rng.dirichlet(np.ones(k), n))


def names(k: int) -> list[str]:
    return [f"class {c}" for c in range(k)]


HOSTILE = [
    "plain.png", "", "a/b c.png", "emoji 😀.png", "quote\"'`.png",
    "line\nbreak\r\t.png", "nul\0.png", "back\\slash.png",
    "\\udcff", "\\\\udcff", "\udcff raw bytes",
    os.fsdecode(b"caf\xe9 \xff\xfe.png"), "\ud83d\ude00", "=cmd()", "<script>",
    "\u202ertl", "e\u0301", "é", "../up", "con ", "x" * 255,
]  # fmt: skip


def test_rows_come_back_as_they_were(tmp_path: Path) -> None:
    r = rows(9, len(HOSTILE), 4)
    r.target[3] = -1
    classes = ["\udc80", "a\\b", '"\n', "😀"]
    write_rows(tmp_path / "x.parquet", r, names=HOSTILE, classes=classes)
    back, found, found_classes = read_rows(tmp_path / "x.parquet")
    assert found == HOSTILE
    assert found_classes == classes
    for name in ("id", "target", "probability"):
        ours, theirs = getattr(back, name), getattr(r, name)
        assert ours.dtype == theirs.dtype
        assert np.array_equal(ours, theirs)
    assert [p.name for p in tmp_path.iterdir()] == ["x.parquet"]


@settings(max_examples=60, deadline=None)
@given(found=st.lists(st.text(st.characters(exclude_categories=())), min_size=2, max_size=6))
def test_any_string_is_a_name(found: list[str], tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("rows") / "x.parquet"
    n = len(found)
    write_rows(path, rows(0, n, n), names=found, classes=found)
    assert read_rows(path)[1:] == (found, found)


def test_no_rows(tmp_path: Path) -> None:
    none = ClassRows(np.zeros(0, dtype=int), np.zeros(0, dtype=int), np.zeros((0, 3)))
    write_rows(tmp_path / "x.parquet", none, names=[], classes=names(3))
    back, found, _ = read_rows(tmp_path / "x.parquet")
    assert (len(back), back.probability.shape, found) == (0, (0, 3), [])


def test_same_rows_same_bytes_and_others_can_read_them(tmp_path: Path) -> None:
    r = rows(10, 50, 3)
    for name in ("a", "b"):
        write_rows(tmp_path / name, r, names=[f"{i}.png" for i in range(50)], classes=names(3))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    table = pyarrow.parquet.read_table(tmp_path / "a")
    kinds = {f.name: f.type for f in table.schema}
    assert kinds == {
        "id": pyarrow.int64(),
        "name": pyarrow.string(),
        "target": pyarrow.int32(),
        "probability": pyarrow.list_(pyarrow.float64(), 3),
    }
    assert table.column("name").to_pylist()[7] == "7.png"
    assert table.column("probability").to_pylist()[7] == r.probability[7].tolist()


def test_lengths_must_agree(tmp_path: Path) -> None:
    for n, k in ((4, 3), (5, 2)):
        with pytest.raises(ValueError, match="for 5 rows"):
            write_rows(tmp_path / "x", rows(0, 5, 3), names=["a"] * n, classes=names(k))
    assert not list(tmp_path.iterdir())


def test_a_flipped_bit_never_changes_the_rows(tmp_path: Path) -> None:
    """400 bits, one at a time: the file is refused, or (where the bit carries nothing) reads the same."""
    r = rows(11, 40, 3)
    path = tmp_path / "x.parquet"
    write_rows(path, r, names=[f"{i}.png" for i in range(40)], classes=names(3))
    good = path.read_bytes()
    refused = 0
    for bit in np.random.default_rng(0).integers(0, 8 * len(good), 400):
        bad = bytearray(good)
        bad[bit // 8] ^= 1 << (bit % 8)
        path.write_bytes(bytes(bad))
        try:
            back, found, classes = read_rows(path)
        except DamagedError:
            refused += 1
            continue
        assert np.array_equal(back.probability, r.probability)
        assert np.array_equal(back.target, r.target)
        assert np.array_equal(back.id, r.id)
        assert found[39] == "39.png"
        assert classes == names(3)
    assert refused > 200


def test_what_is_not_a_file_of_rows_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    write_rows(path, rows(12, 6, 3), names=list("abcdef"), classes=names(3))
    good = path.read_bytes()
    for bad in (b"", b"PAR1", good[: len(good) // 2], good[:-1], good + b"x", b"\0" * 1000):
        path.write_bytes(bad)
        with pytest.raises(DamagedError, match=r"x\.parquet does not hold prediction rows"):
            read_rows(path)
    pyarrow.parquet.write_table(pyarrow.table({"id": [1]}), path)
    with pytest.raises(DamagedError, match="does not hold prediction rows"):
        read_rows(path)
    path.write_bytes(good)
    table = pyarrow.parquet.read_table(path)
    for columns in (["id", "name", "target"], ["name", "id", "target", "probability"]):
        pyarrow.parquet.write_table(table.select(columns), path)
        with pytest.raises(DamagedError, match="columns"):
            read_rows(path)
    with pytest.raises(DamagedError, match="cannot read"):
        read_rows(tmp_path / "absent.parquet")


def test_a_newer_file_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    write_rows(path, rows(12, 6, 3), names=list("abcdef"), classes=names(3))
    table = pyarrow.parquet.read_table(path)
    about = json.loads(table.schema.metadata[b"sightline"]) | {"version": 2}
    pyarrow.parquet.write_table(table.replace_schema_metadata({b"sightline": json.dumps(about).encode()}), path)
    with pytest.raises(DamagedError, match="newer sightline"):
        read_rows(path)
