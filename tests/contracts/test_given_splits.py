"""A split that is given and cannot be used stops a training: no other takes its place unasked."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from sightline.data.dataset import build_dataset
from sightline.errors import DataError
from tests.asking import called
from tests.tiny_annotated import (
    HEIGHT,
    WIDTH,
    annotation,
    coco,
    coco_folder,
    mask_png,
    masked,
    picture,
    voc,
    voc_xml,
    write_json,
)
from tests.tiny_data import write_folder


def table(root: Path) -> Path:
    """Its test rows name files that are gone."""
    write_folder(root, {"cat": 20, "dog": 20})
    rows = [f"{name}/{i}.png,{name},train" for name in ("cat", "dog") for i in range(20)]
    rows += [f"gone/{i}.png,{name},test" for name in ("cat", "dog") for i in range(3)]
    (root / "labels.csv").write_text("\n".join(["path,label,split", *rows]))
    return root / "labels.csv"


def links(root: Path) -> Path:
    """test/ holds links to nothing."""
    write_folder(root, {"train/cat": 20, "train/dog": 20})
    for name in ("cat", "dog"):
        (root / "test" / name).mkdir(parents=True)
        (root / "test" / name / "0.png").symlink_to("/nowhere/0.png")
    return root


def lists(root: Path) -> Path:
    """The images that test.txt names have no masks."""
    masked(root, {"train": 20, "test": 2})
    for name in ("test0", "test1"):
        (root / "masks" / f"{name}.png").unlink()
    return root


def folders(root: Path) -> Path:
    """images/test has no masks/test."""
    for i in range(20):
        picture(root / "images" / "train" / f"{i}.png", i)
        mask_png(root / "masks" / "train" / f"{i}.png", np.full((HEIGHT, WIDTH), i % 2))
    picture(root / "images" / "test" / "0.png", 99)
    (root / "classes.txt").write_text("sky\nroad\n")
    return root


def pages(root: Path) -> Path:
    """The images that test.txt names are gone."""
    names = [f"t{i}" for i in range(20)]
    text = voc_xml([("cat", (1, 1, 5, 5)), ("dog", (2, 2, 6, 6))])
    return voc(root, dict.fromkeys(names, text), {"train": names, "test": ["gone0", "gone1"]})


def json_files(root: Path) -> Path:
    """test.json names images that are gone."""
    coco_folder(root, [annotation(i, image=i, category=1 + i % 2) for i in range(1, 21)], 20, "train.json")
    write_json(root / "test.json", coco([{"id": 1, "file_name": "gone.png", "height": 8, "width": 8}], [annotation(1)]))
    picture(root / "images" / "spare.png", 99)
    return root


@pytest.mark.parametrize("layout", [table, links, lists, folders, pages, json_files])
def test_a_lost_split_stops_and_is_named(tmp_path: Path, layout: Callable[[Path], Path]) -> None:
    data = layout(tmp_path / "set")
    with pytest.raises(DataError, match="the test split is empty"):
        build_dataset(str(data))
    code, found, _ = called("data", str(data))  # the hint leads here: what is wrong is named, and that it would stop
    assert code == 0
    assert found["problems"]
    assert any("training would refuse this: the test split is empty" in note for note in found["notes"])


def test_a_split_that_loses_some_goes_on(tmp_path: Path) -> None:
    data = table(tmp_path / "set")
    data.write_text(data.read_text().replace("cat/0.png,cat,train", "cat/0.png,cat,test"))
    dataset = build_dataset(str(data))
    assert len(dataset.ids("test")) == 1
    assert len(dataset.problems) == 6
    assert np.all(dataset.used)
    assert json.dumps([p.row() for p in dataset.problems]).count("missing") == 6


def test_a_train_that_stands_alone_is_dealt_out_and_that_is_said(tmp_path: Path) -> None:
    write_folder(tmp_path / "set", {"train/cat": 20, "train/dog": 20})
    dataset = build_dataset(str(tmp_path / "set"))
    assert all(len(dataset.ids(split)) for split in ("train", "val", "test"))
    assert any(note.startswith("only train is given, so it is divided: 0.7 train") for note in dataset.notes)
    assert not any("no split is given" in note for note in dataset.notes)
