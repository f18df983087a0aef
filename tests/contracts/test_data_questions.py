"""A label is a class, one of several, or a measurement, by what it is; dates and sentences are refused. Class names with
blanks, commas and numbers stay classes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sightline.data.dataset import build_dataset
from sightline.data.formats.recognition.labels import reading_of
from sightline.data.formats.sniff import open_data
from sightline.errors import DataError
from tests.asking import called
from tests.tiny_data import png, rows, write, write_folder

TAGS = ["haze", "clear", "primary", "road", "water", "agriculture", "partly_cloudy", "bare ground", "mine", "bloom"]
JOINS = {
    "blanks": " ",
    "commas": ",",
    "comma and blank": ", ",
    "semicolons": ";",
    "bars": "|",
    "json": "json",
    "python": "python",
}
BREEDS = [
    "golden retriever", "labrador retriever", "german shepherd", "flat-coated retriever", "pug", "boston terrier",
    "cairn terrier", "old english sheepdog", "great dane", "shih-tzu", "border collie", "collie", "saint bernard",
]  # fmt: skip
NAMES: dict[str, list[str]] = {
    "breeds": BREEDS,
    "cells of plants": [
        f"{p} {d}" for p in ("tomato", "potato", "pepper") for d in ("early blight", "late blight", "healthy")
    ],
    "colours and things": [f"{c} {t}" for c in ("red", "blue", "green") for t in ("car", "truck", "bus")],
    "commas": ["Hepatitis, chronic", "Hepatitis, acute", "Healthy", "Fibrosis, grade 2"],
    "synonyms": ["tench, Tinca tinca", "great white shark, white shark", "tiger shark, Galeocerdo cuvieri", "hen"],
    "digits": [str(i) for i in range(10)],
    "class numbers": [str(i) for i in range(200)],
    "numbers from one": [str(i) for i in range(1, 103)],
    "floats of numbers": [f"{i}.0" for i in range(7)],
    "codes": ["n01440764", "n01443537", "n01484850"],
    "half numbers": ["1.5", "2.5"],
    "numbers with gaps": [str(i) for i in (3, 17, 101, 204, 999)],
    "many numbers with gaps": [str(i * i + 5) for i in range(40)],
    "brackets": ["(empty)", "[other]", "{none}"],
    "years in names": ["model 1998", "model 2004", "model 2010"],
    "ranges": ["0-18", "19-35", "36-60", "61+"],
    "paths": ["a/b", "a/c", "d/b"],
    "and": ["salt and pepper", "salt", "fish and chips"],
}


def drawn(names: list[str], rng: np.random.Generator, each: int) -> list[str]:
    """Every name `each` times or up to twice as often, shuffled."""
    labels = [name for name in names for _ in range(each + int(rng.integers(0, each + 1)))]
    return [labels[i] for i in rng.permutation(len(labels))]


def test_several_labels_in_a_cell_are_recognised() -> None:
    tried = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        tags = [tag for tag in TAGS if " " not in tag][: int(rng.integers(4, 9))]
        sets = [rng.permutation(tags)[: int(rng.choice([1, 2, 2, 3, 3, 4]))].tolist() for _ in range(120)]
        for what, join in JOINS.items():
            cells = {"json": map(json.dumps, sets), "python": map(str, sets)}.get(join, (join.join(of) for of in sets))
            found = reading_of(list(cells), "t.csv", "tags")
            assert found.knows == "tags", what
            assert any(tag in found.evidence for tag in tags), what
            assert (found.cut is None) == (join in ("json", "python"))
            tried += 1
    assert tried == 40 * len(JOINS)


def test_names_of_classes_are_not_taken_for_anything_else() -> None:
    tried = 0
    for seed in range(10):
        rng = np.random.default_rng(seed)
        for names in NAMES.values():
            some = [
                names[i] for i in sorted(rng.permutation(len(names))[: max(2, len(names) - int(rng.integers(0, 3)))])
            ]
            column = str(rng.choice(["label", "class", "species", ""]))
            assert reading_of(drawn(some, rng, 10), "t.csv", column).knows == "class"
            tried += 1
    assert tried == 10 * len(NAMES)


def test_measurements_are_recognised() -> None:
    for seed in range(60):
        rng = np.random.default_rng(seed)
        ages = [str(int(age)) for age in np.clip(rng.gamma(4, 9, 300), 1, 110)]
        scores = [f"{score:.2f}" for score in rng.normal(50, 15, 100)]
        grades = [f"{half / 2:.1f}" for half in rng.integers(2, 11, 200)]
        for labels, column in ((ages, "age"), (ages, "label"), (scores, "y"), (grades, "rating")):
            found = reading_of(labels, "t.csv", column)
            assert found.knows == "numbers"
            assert "different numbers from" in found.evidence


@pytest.mark.parametrize("form", ["%Y-%m-%d", "%d.%m.%Y", "%m/%d/%Y", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M"])
def test_dates_are_refused_by_name(form: str) -> None:
    days = [np.datetime64("2021-01-01") + int(i) for i in np.random.default_rng(1).integers(0, 400, 50)]
    labels = [day.astype("datetime64[s]").item().strftime(form) for day in days]
    with pytest.raises(DataError, match="dates instead of classes"):
        reading_of(labels, "t.csv", "when")


def images(root: Path, count: int) -> Path:
    for i in range(count):
        write(root / "img" / f"{i}.png", i)
    return root


@pytest.mark.parametrize(
    ("column", "says"),
    [
        (pa.array([{"a": 1}] * 12), "no labels"),
        (pa.array(np.datetime64("2020-01-01") + np.arange(12)), "dates"),
    ],
)
def test_parquet_asks_the_same(tmp_path: Path, column: pa.Array, says: str) -> None:
    table = pa.table({"image": [png(i) for i in range(12)], "label": column})
    pq.write_table(table, tmp_path / "x.parquet")
    with pytest.raises(DataError, match=says):
        open_data(str(tmp_path / "x.parquet"))


def test_boxes_in_parquet_are_refused_by_name(tmp_path: Path) -> None:
    objects = [{"bbox": [[1.0, 2.0, 3.0, 4.0]], "category": [0]}] * 2
    pq.write_table(pa.table({"image": [png(0), png(1)], "objects": objects}), tmp_path / "x.parquet")
    with pytest.raises(DataError, match=r"boxes or outlines for each image.*objects"):
        open_data(str(tmp_path / "x.parquet"))


# ------------------------------------------------------------------------------------------------ the hub's metadata
@pytest.mark.parametrize("name", ["metadata.jsonl", "metadata.csv"])
@pytest.mark.parametrize("places", [("",), ("train", "test"), ("training_set", "test_set")])
def test_metadata_labels_the_images_of_its_folder(tmp_path: Path, name: str, places: tuple[str, ...]) -> None:
    wanted = []
    for number, place in enumerate(places):
        entries = []
        for i in range(6):
            write(tmp_path / place / f"{i}.png", 10 * number + i)
            entries.append({"file_name": f"{i}.png", "label": "ab"[i % 2]})
            split = ("train", "test")[number] if place else None
            wanted.append((f"{place}/{i}.png".lstrip("/"), "ab"[i % 2], split))
        text = "".join(json.dumps(entry) + "\n" for entry in entries)
        table = "file_name,label\n" + "".join(f"{e['file_name']},{e['label']}\n" for e in entries)
        (tmp_path / place / name).write_text(text if name.endswith("jsonl") else table)
    assert rows(open_data(str(tmp_path))) == sorted(wanted)


def test_lines_of_json_are_named_where_they_are_wrong(tmp_path: Path) -> None:
    images(tmp_path, 2)
    table = tmp_path / "metadata.jsonl"
    for text, says in (
        ('{"file_name": "img/0.png", "label": "a"}\n{"file_na', r"metadata\.jsonl line 2: not JSON"),
        ('{"file_name": "img/0.png", "label": "a"}\n[1]', r"metadata\.jsonl line 2: not a JSON object"),
    ):
        table.write_text(text)
        with pytest.raises(DataError, match=says):
            open_data(str(table))


@pytest.mark.parametrize("splits", [("train", "test"), ("TRAIN_images", "TEST_images"), ("train", "val", "test")])
def test_one_table_over_folders_of_splits_never_trains_on_another(tmp_path: Path, splits: tuple[str, ...]) -> None:
    lines, number = ["file_name,label"], 0
    for split in splits:
        for i in range(10):
            write(tmp_path / split / f"{i}.png", number)
            lines.append(f"{split}/{i}.png,{'ab'[i % 2]}")
            number += 1
    (tmp_path / "metadata.csv").write_text("\n".join(lines) + "\n")
    for what in (tmp_path, tmp_path / "metadata.csv"):
        dataset = build_dataset(str(what))
        for split in ("val", "test"):
            there = {dataset.records[i].name.split("/")[0].lower().split("_")[0] for i in dataset.ids(split)}
            assert split not in splits or there == {split}
        assert all(dataset.records[i].name.lower().startswith("train") for i in dataset.ids("train"))


def test_a_table_that_contradicts_the_folders_is_asked_about(tmp_path: Path) -> None:
    write_folder(tmp_path, {"p1": 4, "p2": 4})
    lines = ["path,label", *(f"{p}/{i}.png,{'ab'[i % 2]}" for p in ("p1", "p2") for i in range(4))]
    (tmp_path / "labels.csv").write_text("\n".join(lines) + "\n")
    with pytest.raises(DataError, match=r"labels\.csv labels the images of p1/ 'a' and 'b': which are the classes"):
        open_data(str(tmp_path))


# ------------------------------------------------------------------------------------------------ what is said
def test_an_audit_prints_classes_sizes_and_the_task(tmp_path: Path) -> None:
    write_folder(tmp_path, {"train/cat": 4, "train/dog": 5, "test/cat": 2, "test/dog": 3})
    code, found, _ = called("data", str(tmp_path))
    assert code == 0
    assert (found["task"], found["sizes"]) == ("one class for each image (classification)", "5 x 6 pixels")


@pytest.mark.parametrize("what", ["split", "class"])
def test_a_refusal_shows_the_problems_that_led_to_it(tmp_path: Path, what: str) -> None:
    write_folder(tmp_path, {"train/cat": 3, "train/dog": 3, "test/cat": 1, "test/dog": 1})
    broken = (
        ["test/cat/0.png", "test/dog/0.png"]
        if what == "split"
        else ["train/cat/0.png", "train/cat/1.png", "train/cat/2.png"]
    )
    for name in broken:
        (tmp_path / name).write_bytes(b"nothing")
    with pytest.raises(DataError) as caught:
        build_dataset(str(tmp_path))
    for name in broken:
        assert f"{name}: not-an-image" in caught.value.message


def test_sentences_are_refused_by_name() -> None:
    labels = [f"a {colour} {thing} stands beside the {place}" for colour in ("red", "blue", "old", "wet", "big")
              for thing in ("dog", "car", "tree") for place in ("house", "sea", "road")]  # fmt: skip
    with pytest.raises(DataError, match="sentences instead of classes: 45 different ones in 45 rows"):
        reading_of(labels, "t.csv", "caption")
