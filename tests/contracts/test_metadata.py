"""Further columns of a table: read as metadata, never learned, and searched for slices that are named by their column."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from sightline.data.dataset import Dataset, build_dataset
from sightline.data.formats.sniff import open_data
from sightline.errors import DataError, UsageError
from sightline.evaluation.diagnosis.images import ImageTable
from sightline.evaluation.diagnosis.slices import ImageScores, find_slices
from sightline.inference.diagnosing.metadata import with_metadata
from tests.asking import called, refused
from tests.tiny_data import png, write_folder

HEAD = "file,split,age,gender,camera,row\n"


def people(root: Path, n: int = 240) -> Path:
    """n images and a table with several columns, of which age, gender and camera may be the label."""
    write_folder(root, {"im": n})
    rows = [
        f"im/{i}.png,{'test' if i % 4 == 0 else 'train'},{18 + i * 7 % 60},{i % 2},{'AB'[i % 3 == 0]},{i}"
        for i in range(n)
    ]
    (root / "labels.csv").write_text(HEAD + "\n".join(rows) + "\n")
    return root


def test_a_table_with_several_columns_asks_for_the_label(tmp_path: Path) -> None:
    people(tmp_path, 20)
    with pytest.raises(DataError, match="no column of labels") as raised:
        open_data(str(tmp_path))
    assert "data.label=NAME" in str(raised.value)
    by_camera = open_data(str(tmp_path), label="camera")
    assert by_camera.classes == ("A", "B") and by_camera.columns == ("age", "gender", "row")
    assert by_camera.records[1].metadata == ("25", "1", "1")
    assert any("kept as metadata and not learned: 'age', 'gender', 'row'" in note for note in by_camera.notes)
    by_age = open_data(str(tmp_path / "labels.csv"), label="AGE")
    assert by_age.column == "age" and by_age.columns == ("gender", "camera", "row")
    with pytest.raises(DataError, match=r"no column 'gendre', which data\.label names") as raised:
        open_data(str(tmp_path), label="gendre")
    assert "gender" in str(raised.value)


def test_a_label_column_where_there_is_no_table_is_refused(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "photos", {"cat": 3, "dog": 3})
    with pytest.raises(UsageError, match=r"data\.label=age has no effect"):
        open_data(str(root), label="age")
    assert open_data(str(root), label="age", strict=False).classes == ("cat", "dog")


def test_lines_of_json_have_metadata(tmp_path: Path) -> None:
    write_folder(tmp_path, {"im": 4})
    lines = [
        {"file_name": f"im/{i}.png", "label": "ab"[i % 2], "camera": "X" if i else None, "iso": 100 * i}
        for i in range(4)
    ]
    (tmp_path / "metadata.jsonl").write_text("\n".join(map(json.dumps, lines)) + "\n")
    source = open_data(str(tmp_path))
    assert source.columns == ("camera", "iso")
    assert [r.metadata for r in source.records] == [(None, "0"), ("X", "100"), ("X", "200"), ("X", "300")]


def test_parquet_has_metadata_and_several_labels_to_choose(tmp_path: Path) -> None:
    table = {
        "image": pa.array([png(i) for i in range(6)]), "label": pa.array([0, 1, 0, 1, 0, 1]),
        "camera": pa.array(["A", "B", None, "A", "B", "A"]), "iso": pa.array([100.0, None, 200.0, 100.5, 1.0, 2.0]),
        "boxes_of_nothing": pa.array([[1], [2], [3], [4], [5], [6]]),
    }  # fmt: skip
    pq.write_table(pa.table(table), tmp_path / "d.parquet")
    source = open_data(str(tmp_path / "d.parquet"))
    assert source.columns == ("camera", "iso") and source.classes == ("0", "1")
    assert [r.metadata for r in source.records][:4] == [("A", "100"), ("B", None), (None, "200"), ("A", "100.5")]
    other = open_data(str(tmp_path / "d.parquet"), label="camera")
    assert other.classes == ("A", "B") and other.columns == ("label", "iso")
    with pytest.raises(DataError, match="no column 'cam'"):
        open_data(str(tmp_path / "d.parquet"), label="cam")


def dataset(root: Path) -> Dataset:
    return build_dataset(open_data(str(people(root)), label="gender"))


def test_numbers_are_numbers_codes_are_words_and_row_numbers_nothing(tmp_path: Path) -> None:
    data = dataset(tmp_path)
    ids = data.ids("test")
    table = with_metadata(ImageTable(ids, {"size": np.ones(len(ids))}, {}), data)
    assert set(table.numbers) == {"size", "age"} and set(table.words) == {"camera"}
    assert table.numbers["age"].tolist() == [18 + int(data.records[i].name[3:-4]) * 7 % 60 for i in ids]
    by_age = build_dataset(open_data(str(tmp_path), label="camera"))
    assert set(with_metadata(ImageTable(by_age.ids()), by_age).words) == {"gender"}, "0 and 1 are codes"


def test_a_column_with_the_name_of_a_measurement_keeps_apart(tmp_path: Path) -> None:
    write_folder(tmp_path, {"im": 12})
    rows = [f"im/{i}.png,{'ab'[i % 2]},{i % 4}.5,{i * i % 7}.25,x" for i in range(12)]
    (tmp_path / "t.csv").write_text("path,label,brightness,id_of_lens,class_of_lens\n" + "\n".join(rows) + "\n")
    (tmp_path / "t.csv").write_text((tmp_path / "t.csv").read_text().replace("id_of_lens", "size"))
    data = build_dataset(open_data(str(tmp_path / "t.csv")))
    table = with_metadata(ImageTable(data.ids(), {"size": np.full(12, 5.0)}), data)
    assert (table.numbers["size"] == 5).all() and set(table.words) >= {"brightness (column)"}


@pytest.mark.parametrize("cause", ["camera", "age"])
def test_a_planted_slice_is_named_by_its_column(tmp_path: Path, cause: str) -> None:
    data = dataset(tmp_path)
    ids = data.ids()
    table = with_metadata(ImageTable(ids), data)
    bad = np.array([w == "B" for w in table.words["camera"]]) if cause == "camera" else table.numbers["age"] < 35
    right = np.where(bad, np.arange(len(ids)) % 5 == 0, np.arange(len(ids)) % 10 > 0).astype(float)
    found = find_slices(ImageScores(ids, right, "accuracy", share=True, table=ImageTable(ids)), table)
    assert found.found[0].words.startswith("camera “B”" if cause == "camera" else "age < ")


def test_a_run_reports_the_column_on_which_it_fails(tmp_path: Path) -> None:
    """Bright and dark images; those of camera B have labels by chance."""
    rng = np.random.default_rng(0)
    rows = []
    (tmp_path / "data" / "im").mkdir(parents=True)
    for i in range(600):
        bright, camera = i % 2, "ABA"[i % 3]
        Image.fromarray((rng.integers(0, 100, (8, 8, 3)) + 130 * bright).astype(np.uint8)).save(
            tmp_path / f"data/im/{i}.png"
        )
        label = bright if camera == "A" else int(rng.random() < 0.5)
        rows.append(
            f"im/{i}.png,{'test' if i % 2 == (i // 2) % 2 else 'train'},{label},{camera},{rng.integers(20, 80)}"
        )
    (tmp_path / "data" / "metadata.csv").write_text("path,split,dusk,camera,age\n" + "\n".join(rows) + "\n")
    out = tmp_path / "run"
    words = ("train", str(tmp_path / "data"), "-m", "linear", "--epochs", "4", "--out", str(out), "input.size=8")
    assert "choose one with data.label" in refused(3, *words)
    code, _, stderr = called(*words, "data.label=dusk")
    assert code == 0, stderr
    first = json.loads((out / "diagnosis" / "test.json").read_text())["slices"]["found"][0]
    assert first["words"] == "camera “B”"
    assert "Camera “B”" in (out / "report.html").read_text()
    code, again, _ = called("evaluate", str(out))
    assert again["slices"]["found"][0]["words"] == "camera “B”"
