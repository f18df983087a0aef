"""IDX, Parquet and the digits: exact pixels and labels, names and splits kept, damage refused by file; real data opened."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sightline.data.audit.audit import audit
from sightline.data.dataset import build_dataset
from sightline.data.formats import parquet
from sightline.data.formats.digits import bytes_of
from sightline.data.formats.sniff import open_data
from sightline.data.records.source import Source
from sightline.errors import DataError
from tests.tiny_data import idx_bytes, noise, png, reasons


# ------------------------------------------------------------------------------------------------ IDX
def write_idx(root: Path, n: int = 6, *, dots: bool = False, zipped: bool = False) -> np.ndarray:
    pixels = np.stack([noise(i, 4, 3, 1) for i in range(2 * n)])
    labels = np.arange(2 * n, dtype=np.uint8) % 11
    for prefix, part in (("train", slice(0, n)), ("t10k", slice(n, None))):
        for what, values in (("images", pixels[part]), ("labels", labels[part])):
            mark = "." if dots else "-"
            name = f"{prefix}-{what}{mark}idx{values.ndim}-ubyte"
            data = idx_bytes(values)
            (root / (f"{name}.gz" if zipped else name)).write_bytes(gzip.compress(data) if zipped else data)
    return pixels


@pytest.mark.parametrize(("dots", "zipped"), [(False, False), (True, False), (False, True)])
def test_idx(tmp_path: Path, dots: bool, zipped: bool) -> None:
    pixels = write_idx(tmp_path, dots=dots, zipped=zipped)
    source = open_data(str(tmp_path))
    assert source.kind == "idx"
    assert source.classes == tuple(str(i) for i in range(11))  # numeric order: "10" after "9"
    assert [r.split for r in source.records] == ["train"] * 6 + ["test"] * 6
    assert [r.label for r in source.records] == [str(i % 11) for i in range(12)]
    for row, record in enumerate(source.records):
        assert record.id == row
        np.testing.assert_array_equal(source.load(record), pixels[row])


TRAIN_IMAGES, TRAIN_LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"


@pytest.mark.parametrize(
    ("file", "change", "says"),
    [
        (TRAIN_IMAGES, lambda d: d[:-1], "announces 72 bytes and holds 71"),
        (TRAIN_IMAGES, lambda d: d + b"x", "announces 72 bytes and holds more"),
        (TRAIN_IMAGES, lambda d: b"", "is not an IDX file"),
        (TRAIN_IMAGES, lambda d: d[:9], "is not an IDX file"),
        (TRAIN_IMAGES, lambda d: b"\0\0\x0d\x03" + d[4:], "is not an IDX file"),
        (TRAIN_IMAGES, lambda d: d[:4] + b"\xff" * 12 + d[16:], "announces"),
        (TRAIN_IMAGES, lambda d: d[:4] + bytes(12), "announces 0 bytes"),
        (TRAIN_IMAGES, lambda d: gzip.compress(d), "is not an IDX file"),
        (TRAIN_LABELS, lambda d: d[:4] + b"\0\0\0\x05" + d[8:-1], "holds 6 images, train-labels-idx1-ubyte 5 labels"),
        (
            "t10k-images-idx3-ubyte",
            lambda d: d[:8] + b"\0\0\0\x03\0\0\0\x04" + d[16:],
            r"training images are \(4, 3\), test images \(3, 4\)",
        ),
    ],
)
def test_damaged_idx_is_refused_by_name(tmp_path: Path, file: str, change: Callable[[bytes], bytes], says: str) -> None:
    write_idx(tmp_path)
    path = tmp_path / file
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(DataError, match=says):
        open_data(str(tmp_path))


def test_cut_gzip_and_absent_partner_are_refused(tmp_path: Path) -> None:
    write_idx(tmp_path, zipped=True)
    path = tmp_path / f"{TRAIN_IMAGES}.gz"
    whole = path.read_bytes()
    for data in (whole[:40], whole[:-6] + b"??????", b"no gzip at all, and long enough"):
        path.write_bytes(data)
        with pytest.raises(DataError, match=TRAIN_IMAGES):
            open_data(str(tmp_path))
    path.write_bytes(whole)
    (tmp_path / f"{TRAIN_LABELS}.gz").unlink()
    with pytest.raises(DataError, match="train-labels-idx1-ubyte is missing"):
        open_data(str(tmp_path))


# ------------------------------------------------------------------------------------------------ Parquet
HUB = {
    "info": {"features": {"img": {"_type": "Image"}, "label": {"_type": "ClassLabel", "names": ["zebra", "ant", "Öl"]}}}
}


def write_parquet(
    path: Path, labels: list[Any], *, struct: bool = True, hub: dict[str, Any] | None = HUB, start: int = 0
) -> None:
    blobs = [png(start + i) for i in range(len(labels))]
    column = [{"bytes": b, "path": None} for b in blobs] if struct else blobs
    table = pa.table({"img": column, "label": labels})
    if hub is not None:
        table = table.replace_schema_metadata({"huggingface": json.dumps(hub)})
    pq.write_table(table, path, row_group_size=2)


@pytest.mark.parametrize("struct", [True, False])
def test_parquet_keeps_the_schemas_order_and_the_shards_splits(tmp_path: Path, struct: bool) -> None:
    (tmp_path / "data").mkdir()
    write_parquet(tmp_path / "data" / "train-00000-of-00002.parquet", [0, 1, 2, 0, 1], struct=struct)
    write_parquet(tmp_path / "data" / "train-00001-of-00002.parquet", [2], struct=struct, start=5)
    write_parquet(tmp_path / "data" / "validation-00000-of-00001.parquet", [1], struct=struct, start=6)
    source = open_data(str(tmp_path))
    assert source.classes == ("zebra", "ant", "Öl")
    labels = ["zebra", "ant", "Öl", "zebra", "ant", "Öl", "ant"]
    assert [(r.label, r.split) for r in source.records] == list(zip(labels, ["train"] * 6 + ["val"], strict=True))
    assert [r.name for r in source.records] == sorted(r.name for r in source.records)
    for record in reversed(source.records):
        assert source.load(record) == png(record.id)


@pytest.mark.parametrize("struct", [True, False])
def test_a_parquet_set_beyond_the_budget_is_unpacked_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, struct: bool
) -> None:
    """A row group is of two pictures, some 400 bytes; however they are drawn, each is unpacked once."""
    write_parquet(tmp_path / "x.parquet", [i % 3 for i in range(20)], struct=struct)
    monkeypatch.setattr(parquet, "BUDGET", 1000)
    monkeypatch.setenv("SIGHTLINE_CACHE", str(tmp_path / "cache"))
    unpacked = []
    values = parquet._values
    monkeypatch.setattr(parquet, "_values", lambda shard, group: unpacked.append(group) or values(shard, group))
    source = open_data(str(tmp_path / "x.parquet"))
    for id in np.random.default_rng(0).permutation(np.repeat(np.arange(20), 3)).tolist():
        assert source.load(source.records[id]) == png(id)
    assert sorted(unpacked) == list(range(10))
    assert not list((tmp_path / "cache").iterdir())  # the file has no name: nothing is left behind


def test_a_parquet_set_beyond_the_budget_needs_no_room_on_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_parquet(tmp_path / "x.parquet", [i % 3 for i in range(20)])
    monkeypatch.setattr(parquet, "BUDGET", 1000)
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("SIGHTLINE_CACHE", str(tmp_path / "file"))
    source = open_data(str(tmp_path / "x.parquet"))
    for record in [*source.records, *source.records[::3]]:
        assert source.load(record) == png(record.id)
    assert 1 <= len(source.contents._kept) < 10  # type: ignore[attr-defined]


def test_a_parquet_set_within_the_budget_stays_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_parquet(tmp_path / "x.parquet", [i % 3 for i in range(20)])
    monkeypatch.setenv("SIGHTLINE_CACHE", str(tmp_path / "cache"))
    source = open_data(str(tmp_path / "x.parquet"))
    assert [source.load(record) for record in source.records] == [png(i) for i in range(20)]
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        (pa.array(["b", "a", None, "b"]).dictionary_encode(), ("a", "b")),
        (pa.array([1, 0, None, 1]).dictionary_encode(), ("0", "1")),
        (pa.array([True, False, None, True]), ("False", "True")),
        (pa.array([10.0, 9.0, None, 10.0]), ("9", "10")),
        (pa.array([10.0, 9.0, float("nan"), 10.0]), ("9", "10")),
        (pa.array(["b", "a", None, "b"], pa.string_view()), ("a", "b")),
    ],
)
def test_labels_of_any_plain_type(tmp_path: Path, labels: pa.Array, classes: tuple[str, ...]) -> None:
    images = pa.array([png(i) for i in range(4)], pa.binary_view())
    pq.write_table(pa.table({"image": images, "label": labels, "target": [5, 6, 7, 8]}), tmp_path / "x.parquet")
    source = open_data(str(tmp_path))
    assert source.classes == classes
    assert [r.label for r in source.records] == [classes[1], classes[0], classes[1]]
    assert reasons(source) == ["x.parquet:3:no-label"]
    assert [source.load(r) for r in source.records] == [png(0), png(1), png(3)]


def test_no_other_column_takes_the_place_of_the_labels(tmp_path: Path) -> None:
    columns = {"image": [png(0), png(1)], "label": [[1, 2], [3]], "target": [5, 6]}
    pq.write_table(pa.table(columns), tmp_path / "x.parquet")
    assert open_data(str(tmp_path)).classes == ("1", "2", "3")
    pq.write_table(pa.table(columns | {"label": [0.5, 1.0]}), tmp_path / "x.parquet")
    assert open_data(str(tmp_path)).classes == ("0.5", "1")


def test_a_text_that_the_schema_does_not_name_is_refused(tmp_path: Path) -> None:
    write_parquet(tmp_path / "x.parquet", ["ant", "bird", "O\u0308l", "zebra"])
    source = open_data(str(tmp_path))
    assert reasons(source) == ["x.parquet:2:unknown-label"]
    assert [r.label for r in source.records] == ["ant", "Öl", "zebra"]
    write_parquet(tmp_path / "x.parquet", ["\u00d6l", "O\u0308l"], hub=None)
    with pytest.raises(DataError, match="differ only in"):
        open_data(str(tmp_path))


def test_a_shard_whose_labels_are_hidden_is_a_split_that_is_lost(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    write_parquet(tmp_path / "data" / "train-0.parquet", [0, 1, 2] * 20)
    write_parquet(tmp_path / "data" / "test-0.parquet", [-1, -1], start=60)
    with pytest.raises(DataError, match="the test split is empty"):
        build_dataset(str(tmp_path))


@pytest.mark.parametrize(
    ("labels", "hub", "classes"),
    [
        ([10, 9, 2], None, ("2", "9", "10")),
        (["b", "a", "b"], None, ("a", "b")),
        ([1, 0, 1], {"info": "damaged"}, ("0", "1")),
    ],
)
def test_parquet_without_names(tmp_path: Path, labels: list, hub: dict | None, classes: tuple[str, ...]) -> None:
    write_parquet(tmp_path / "x.parquet", labels, hub=hub)
    source = open_data(str(tmp_path))
    assert source.classes == classes
    assert [r.label for r in source.records] == [str(label) for label in labels]


def test_parquet_rows_without_a_known_label_are_refused(tmp_path: Path) -> None:
    write_parquet(tmp_path / "x.parquet", [0, -1, 3, None, 1])
    source = open_data(str(tmp_path))
    assert [r.label for r in source.records] == ["zebra", "ant"]
    assert reasons(source) == ["x.parquet:2:no-label", "x.parquet:3:unknown-label", "x.parquet:4:no-label"]
    assert [source.load(r) for r in source.records] == [png(0), png(4)]


def test_a_parquet_row_without_bytes_is_quarantined(tmp_path: Path) -> None:
    column = [{"bytes": png(0), "path": "a.png"}, {"bytes": None, "path": "b.png"}, None, {"bytes": b"", "path": None}]
    pq.write_table(pa.table({"image": column, "label": [0, 1, 0, 1]}), tmp_path / "x.parquet")
    found = audit(open_data(str(tmp_path)))
    assert found.used.tolist() == [True, False, False, False]
    assert [(p.file, p.reason.split(":")[0]) for p in found.problems] == [
        (f"x/00000{row}", "empty-file") for row in (1, 2, 3)
    ]


@pytest.mark.parametrize("kept", [0, 3, 200, -5])
def test_damaged_parquet_is_refused_by_name(tmp_path: Path, kept: int) -> None:
    path = tmp_path / "x.parquet"
    write_parquet(path, [0, 1, 2])
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(DataError, match=r"x\.parquet cannot be read as Parquet"):
        open_data(str(path))


def test_parquet_without_images_or_with_other_names_is_refused(tmp_path: Path) -> None:
    pq.write_table(pa.table({"x": [1], "label": [0]}), tmp_path / "n.parquet")
    with pytest.raises(DataError, match=r"n\.parquet has no column of image bytes.*x: int64, label: int64"):
        open_data(str(tmp_path / "n.parquet"))
    other = json.loads(json.dumps(HUB))
    other["info"]["features"]["label"]["names"].reverse()
    write_parquet(tmp_path / "n.parquet", [0, 1])
    write_parquet(tmp_path / "m.parquet", [0, 1], hub=other)
    with pytest.raises(DataError, match=r"n\.parquet names other classes than m\.parquet"):
        open_data(str(tmp_path))


def test_digits_are_there_and_scaled_exactly() -> None:
    from sklearn.datasets import load_digits

    ink = np.arange(17)
    assert bytes_of(ink).tolist() == [int(v * 255 / 16 + 0.5) for v in range(17)]
    source = open_data("digits")
    truth = load_digits()
    assert (len(source), source.classes) == (1797, tuple("0123456789"))
    assert [r.label for r in source.records] == [str(t) for t in truth.target]
    picture = source.load(source.records[1700])
    assert picture.shape == (8, 8)
    assert picture.dtype == np.uint8
    np.testing.assert_array_equal(picture, np.round(truth.images[1700] * 255 / 16 + 1e-9))


# ------------------------------------------------------------------------------------------------ real data
def real(name: str) -> Source:
    root = os.environ.get("SIGHTLINE_DATA")
    if not root or not Path(root, name).is_dir():
        pytest.skip(f"SIGHTLINE_DATA holds no {name}")
    return open_data(name)


def test_real_mnist() -> None:
    source = real("mnist")
    assert len(source) == 70_000
    assert sum(r.split == "train" for r in source.records) == 60_000
    assert [r.label for r in source.records[:5]] == list("50419")  # as every tutorial shows
    assert [r.label for r in source.records[60_000:60_005]] == list("72104")
    assert source.load(source.records[0]).shape == (28, 28)


def test_real_cifar10() -> None:
    source = real("cifar10")
    assert source.classes[:3] == ("airplane", "automobile", "bird")
    counts = {(c, s): 0 for c in source.classes for s in ("train", "test")}
    for record in source.records:
        counts[record.label, record.split] += 1  # type: ignore[index]
    assert set(counts.values()) == {5000, 1000}
    assert source.load(source.records[59_999])[:2] == b"\xff\xd8"


def test_real_faces() -> None:
    source = real("faces")
    assert (len(source), len(source.classes), source.kind) == (400, 40, "image-folder")
    assert {r.label for r in source.records if r.split == "test"} == {"s5", "s6", "s7"}
