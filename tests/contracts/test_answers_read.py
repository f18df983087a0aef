"""Several labels for each image, and numbers, from tables and Parquet: every value equals what was written by hand."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sightline.data.dataset import build_dataset, with_classes
from sightline.data.formats.answers import as_classes, as_numbers, as_tags
from sightline.data.formats.sniff import open_data
from sightline.data.records.answers import AnswerTable
from sightline.data.records.source import Source
from sightline.errors import DataError
from tests.tiny_data import png, reasons, write, write_folder

SETS = [["sea", "sky"], ["sky"], ["sea"], [], ["land", "sky"], ["land", "sea", "sky"], ["land"], ["sky", "sea"]]


def images(root: Path, count: int) -> Path:
    for i in range(count):
        write(root / "img" / f"{i}.png", i)
    return root


def table(root: Path, header: str, lines: list[str], name: str = "labels.csv") -> Source:
    (images(root, len(lines)) / name).write_text("\n".join([header, *lines]) + "\n")
    return open_data(str(root))


def values(source: Source) -> dict[str, list[float]]:
    """The values of each record by its number."""
    answers = source.annotations
    assert isinstance(answers, AnswerTable)
    return {r.name.rsplit("/", 1)[-1].split(".")[0]: answers.truth(r).tolist() for r in source.records}


def wanted(classes: tuple[str, ...], sets: list[list[str]] = SETS) -> dict[str, list[float]]:
    return {str(i): [float(name in of) for name in classes] for i, of in enumerate(sets)}


@pytest.mark.parametrize("join", ["|", ";", ",", " ", "json", "python"])
def test_several_labels_in_a_cell(tmp_path: Path, join: str) -> None:
    texts = {
        "json": [json.dumps(of).replace('"', '""') for of in SETS],
        "python": [str(of) for of in SETS],
    }.get(join, [join.join(of) or "[]" for of in SETS])
    source = table(tmp_path, "path,tags", [f'img/{i}.png,"{text}"' for i, text in enumerate(texts)])
    assert source.classes == ("land", "sea", "sky")
    assert values(source) == wanted(source.classes)
    assert "several labels for each" in source.notes[0]
    assert "task.kind=classification" in source.notes[0]
    assert as_classes(source).classes != source.classes  # type: ignore[union-attr]
    dataset = build_dataset(source)
    assert dataset.counts().sum(1).tolist() == [3, 4, 5]


def test_a_blank_cell_is_unknown_and_its_image_is_named(tmp_path: Path) -> None:
    source = table(
        tmp_path, "path,tags", ["img/0.png,a|b", "img/1.png,", "img/2.png,b", "img/3.png,a", "img/4.png,b|a"]
    )
    assert [r.name for r in source.records] == [f"img/{i}.png" for i in (0, 2, 3, 4)]
    assert reasons(source) == ["labels.csv:3:no-label"]


def test_a_column_for_each_class(tmp_path: Path) -> None:
    lines = [f"img/{i}.png,{i % 2},{1 - i % 2},{('0', '1', '', '-1')[i % 4]}" for i in range(12)]
    source = table(tmp_path, "image,cat,dog,sea", lines)
    assert source.classes == ("cat", "dog", "sea")
    found = values(source)
    assert found["1"] == [1, 0, 1] and found["0"] == [0, 1, 0]
    assert np.isnan([found[str(i)][2] for i in (2, 3)]).all()
    assert "blank and -1 are unknown" in source.notes[0]


def test_minus_one_is_absent_where_there_is_no_zero(tmp_path: Path) -> None:
    source = table(tmp_path, "image,cat,dog", [f"img/{i}.png,{(-1, 1)[i % 2]},{(1, -1)[i % 2]}" for i in range(6)])
    assert values(source)["0"] == [0, 1]
    assert "-1 is taken as 0" in source.notes[0]


def test_an_image_about_which_nothing_is_known_is_not_used(tmp_path: Path) -> None:
    lines = [*(f"img/{i}.png,{i % 2},{i % 3 // 2}" for i in range(12)), "img/12.png,,-1"]
    dataset = build_dataset(table(tmp_path, "image,cat,dog", lines))
    assert [(p.file, p.reason.split(":")[0]) for p in dataset.problems] == [("img/12.png", "no-label")]
    assert len(dataset) == 12


def test_a_row_for_each_label(tmp_path: Path) -> None:
    lines = [f"img/{i}.png,{tag}" for i in range(6) for tag in ("sea", "sky")[: 1 + (i != 3)]] + ["img/0.png,sky"]
    (images(tmp_path, 6) / "labels.csv").write_text("\n".join(["path,label", *lines]) + "\n")
    source = open_data(str(tmp_path))
    assert values(source) == {str(i): [1.0, float(i != 3)] for i in range(6)}
    assert [p.reason.split(":")[0] for p in source.problems if p.line == len(lines) + 1] == ["repeated"]
    assert "5 of 6 images are in several rows" in source.notes[0]


def test_numbers_in_a_column(tmp_path: Path) -> None:
    ages = [3, 71, 18, 44, 29, 55, 7, 62, 30, 31, 12, 90]
    source = table(tmp_path, "path,age", [f"img/{i}.png,{age}" for i, age in enumerate(ages)])
    assert source.classes == ("age",)
    assert values(source) == {str(i): [age] for i, age in enumerate(ages)}
    assert (
        "a number for each: age (12 different numbers from 3 to 90, 1.0 images each: a measurement" in source.notes[0]
    )
    classes = as_classes(source)
    assert classes is not None and classes.classes[:3] == ("3", "7", "12")


def test_numbers_that_may_be_classes_are_read_as_either(tmp_path: Path) -> None:
    source = table(tmp_path, "path,stars", [f"img/{i}.png,{i % 5 + 1}" for i in range(15)])
    assert source.classes == ("1", "2", "3", "4", "5")
    assert "classes (5 different numbers from 1 to 5, 3.0 images each" in source.notes[0]
    numbers = as_numbers(source)
    assert numbers is not None and numbers.classes == ("stars",)
    assert values(numbers) == {str(i): [i % 5 + 1] for i in range(15)}
    assert {r.label for r in numbers.records} == {None}


def test_several_targets(tmp_path: Path) -> None:
    lines = [f"img/{i}.png,{'' if i == 4 else i * 1.5},{(i * 7) % 11 - 5}" for i in range(11)]
    source = table(tmp_path, "path,left,up", lines)
    assert source.classes == ("left", "up")
    found = values(source)
    assert found["3"] == [4.5, 21 % 11 - 5]
    assert np.isnan(found["4"][0])
    assert "numbers for each: 'left', 'up'" in source.notes[0]


def test_a_column_of_marks_beside_a_measurement_is_asked_about(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no column of labels among 'path', 'age', 'gender'"):
        table(tmp_path, "path,age,gender", [f"img/{i}.png,{i * 3},{i % 2}" for i in range(12)])


def test_classes_as_labels(tmp_path: Path) -> None:
    source = open_data(str(write_folder(tmp_path, {"a": 2, "b": 3})))
    tags = as_tags(source)
    assert tags is not None and tags.classes == ("a", "b")
    assert isinstance(tags.annotations, AnswerTable)
    assert tags.annotations.values.tolist() == [[1, 0]] * 2 + [[0, 1]] * 3
    assert as_numbers(source) is None


@pytest.mark.parametrize("listed", [True, False])
def test_lists_of_json_lines(tmp_path: Path, listed: bool) -> None:
    entries = [
        {"file_name": f"img/{i}.png", "tags": of if listed else "|".join(of) or "[]"} for i, of in enumerate(SETS)
    ]
    (images(tmp_path, len(SETS)) / "metadata.jsonl").write_text("".join(json.dumps(e) + "\n" for e in entries))
    source = open_data(str(tmp_path))
    assert values(source) == wanted(("land", "sea", "sky"))


def parquet(path: Path, column: pa.Array, feature: dict[str, object] | None = None) -> Source:
    made = pa.table({"image": [png(i) for i in range(len(column))], "label": column})
    if feature is not None:
        info = {"info": {"features": {"image": {"_type": "Image"}, "label": feature}}}
        made = made.replace_schema_metadata({"huggingface": json.dumps(info)})
    pq.write_table(made, path / "x.parquet")
    return open_data(str(path / "x.parquet"))


def test_lists_in_parquet(tmp_path: Path) -> None:
    source = parquet(tmp_path, pa.array([*SETS[:3], SETS[4]]))
    answers = source.annotations
    assert isinstance(answers, AnswerTable) and source.classes == ("land", "sea", "sky")
    assert answers.values.tolist() == [[0, 1, 1], [0, 0, 1], [0, 1, 0], [1, 0, 1]]


def test_lists_of_class_numbers_have_the_names_of_the_schema(tmp_path: Path) -> None:
    feature = {"_type": "List", "feature": {"_type": "ClassLabel", "names": ["sky", "sea", "land"]}}
    source = parquet(tmp_path, pa.array([[0, 1], [2], [], [1]]), feature)
    answers = source.annotations
    assert isinstance(answers, AnswerTable) and source.classes == ("sky", "sea", "land")
    assert answers.values.tolist() == [[1, 1, 0], [0, 0, 1], [0, 0, 0], [0, 1, 0]]


def test_vectors_of_numbers_and_of_marks(tmp_path: Path) -> None:
    source = parquet(tmp_path, pa.array([[0.5, 2.0], [1.25, -3.0], [7.0, 0.0]]))
    assert source.classes == ("label_0", "label_1")
    assert isinstance(source.annotations, AnswerTable)
    assert source.annotations.values.tolist() == [[0.5, 2.0], [1.25, -3.0], [7.0, 0.0]]
    marks = parquet(tmp_path, pa.array([[0, 1, 1], [1, 0, 0], [0, 0, 0]]))
    assert marks.annotations is not None and marks.annotations.knows == "tags"


def test_floats_in_parquet_are_numbers(tmp_path: Path) -> None:
    source = parquet(tmp_path, pa.array([0.25 * i for i in range(12)]))
    assert isinstance(source.annotations, AnswerTable)
    assert source.annotations.values[:, 0].tolist() == [0.25 * i for i in range(12)]


def test_a_run_knows_a_label_that_other_data_never_show(tmp_path: Path) -> None:
    dataset = build_dataset(
        table(tmp_path, "path,tags", [f"img/{i}.png,{t}" for i, t in enumerate(["a|b", "a", "b", "b|a"] * 3)]),
        needs="images",
    )
    truth = with_classes(dataset, ("b", "c", "a")).truth(0)
    assert np.asarray(truth).tolist() == [1, 0, 1]
    with pytest.raises(DataError, match="does not know: b"):
        with_classes(dataset, ("a", "c"))


# --------------------------------------------------------------------------------------------------- synsets
SYNSETS = {"n01440764": "tench, Tinca tinca", "n02012849": "crane", "n03126707": "crane"}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("LOC_synset_mapping.txt", "\n".join(f"{s} {of}" for s, of in SYNSETS.items())),
        ("words.txt", "n00001740\tentity\n" + "\n".join(f"{s}\t{of}" for s, of in SYNSETS.items())),
        ("classes.txt", "\n".join(f"{s} {of}" for s, of in SYNSETS.items())),
        ("imagenet_class_index.json", json.dumps({str(i): [s, of] for i, (s, of) in enumerate(SYNSETS.items())})),
        ("names.json", json.dumps(SYNSETS)),
    ],
)
@pytest.mark.parametrize("split", ["", "train/"])
def test_synset_folders_have_the_names_of_their_file(tmp_path: Path, name: str, text: str, split: str) -> None:
    write_folder(tmp_path, {f"{split}{synset}": 2 for synset in SYNSETS})
    (tmp_path / name).write_text(text + "\n")
    source = open_data(str(tmp_path))
    assert source.classes == ("tench", "crane (n02012849)", "crane (n03126707)")
    assert source.synsets == tuple(SYNSETS)
    assert source.records[0].label == "tench"
    assert f"class names from {name}: n01440764 is tench" in source.notes[0]


def test_folders_keep_their_names_where_the_file_lacks_one(tmp_path: Path) -> None:
    write_folder(tmp_path, {"n01440764": 2, "n02012849": 2})
    (tmp_path / "classes.txt").write_text("n01440764 tench\n")
    assert open_data(str(tmp_path)).classes == ("n01440764", "n02012849")
