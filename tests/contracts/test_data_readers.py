"""Folders and words: the right records for good data; what cannot be meant or read is named, not skipped or followed."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sightline.data.files.walking import walk
from sightline.data.formats.builtin import DATASETS
from sightline.data.formats.sniff import is_path, open_data
from sightline.errors import DataError, UsageError
from tests.counting import at_most_lines
from tests.tiny_data import reasons, rows, write, write_folder

LINES_A_NAME = 80  # of our code; 62 run


# ------------------------------------------------------------------------------------------------ folders
def test_a_folder_a_class(tmp_path: Path) -> None:
    write_folder(tmp_path, {"dog": 2, "cat": 1, "cat/deep/deeper": 1})
    for name in ("cat/Thumbs.db", "cat/.hidden.png", ".git/x.png", "README", "cat/0.txt", "cat/0.json"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    write(tmp_path / "stray.png", 9)
    source = open_data(str(tmp_path))
    assert source.kind == "image-folder"
    assert source.classes == ("cat", "dog")
    assert rows(source) == [
        ("cat/0.png", "cat", None),
        ("cat/deep/deeper/0.png", "cat", None),
        ("dog/0.png", "dog", None),
        ("dog/1.png", "dog", None),
    ]
    assert [r.id for r in source.records] == [0, 1, 2, 3]
    assert reasons(source) == ["stray.png:None:no-class"]
    assert len(source) == 5
    said = " ".join(source.notes)
    assert ".txt ×1" in said
    assert ".json ×1" in said
    assert "hidden files and folders, skipped: 3" in said


@pytest.mark.parametrize(
    "words", [("train", "val", "test"), ("Training", "valid", "TESTING"), ("train", "validation", "test")]
)
def test_folders_of_splits(tmp_path: Path, words: tuple[str, str, str]) -> None:
    for word in words:
        write_folder(tmp_path / word, {"cat": 1, "dog": 1})
    write(tmp_path / words[0] / "beside.png", 1)
    source = open_data(str(tmp_path))
    assert source.classes == ("cat", "dog")
    found = {(r.name.split("/")[0], r.label, r.split) for r in source.records}
    assert found == {(w, c, s) for w, s in zip(words, ("train", "val", "test"), strict=True) for c in ("cat", "dog")}
    assert reasons(source) == [f"{words[0]}/beside.png:None:no-class"]


def test_one_folder_called_train_among_others_is_a_class(tmp_path: Path) -> None:
    write_folder(tmp_path, {"bus": 1, "car": 1, "train/ice": 1, "train": 1})
    source = open_data(str(tmp_path))
    assert source.classes == ("bus", "car", "train")
    assert {r.split for r in source.records} == {None}


def test_folders_beside_the_splits_are_passed_over_and_said(tmp_path: Path) -> None:
    write_folder(tmp_path, {"train/a": 1, "train/b": 1, "test/a": 1, "extra/a": 3})
    source = open_data(str(tmp_path))
    assert len(source) == 3
    assert "images outside the split folders, not used: 3" in source.notes


def test_a_class_folder_without_images_is_said(tmp_path: Path) -> None:
    write_folder(tmp_path, {"cat": 1, "dog": 1, "empty": 0})
    source = open_data(str(tmp_path))
    assert source.classes == ("cat", "dog")
    assert "empty/ holds no images and is not a class" in source.notes


def test_a_class_all_of_whose_items_are_refused_is_remembered(tmp_path: Path) -> None:
    write_folder(tmp_path, {"cat": 1, "dog": 1, "gone": 0, "train/x": 0})
    (tmp_path / "gone" / "1.png").symlink_to("nowhere.png")
    assert open_data(str(tmp_path)).emptied == ("gone",)


def test_images_without_labels(tmp_path: Path) -> None:
    write_folder(tmp_path, {"train": 2, "test": 1})
    source = open_data(str(tmp_path))
    assert source.kind == "flat-folder"
    assert [(r.label, r.split) for r in source.records] == [(None, "test"), (None, "train"), (None, "train")]
    assert source.classes == ()


@pytest.mark.parametrize("folders", [("images", "masks"), ("JPEGImages", "Annotations")])
def test_boxes_and_masks_are_not_classes(tmp_path: Path, folders: tuple[str, str]) -> None:
    write_folder(tmp_path, {folders[0]: 2, folders[1]: 2})
    with pytest.raises(DataError, match="annotations for boxes or masks"):
        open_data(str(tmp_path))


# ------------------------------------------------------------------------------------------------ walking
def test_nothing_is_followed_out_or_in_circles(tmp_path: Path) -> None:
    outside = write(tmp_path / "outside" / "secret.png", 1)
    root = write_folder(tmp_path / "root", {"cat": 2, "dog": 1})
    os.mkfifo(root / "cat" / "pipe.png")
    (root / "cat" / "out.png").symlink_to(outside)
    (root / "cat" / "up").symlink_to(root)  # a circle
    (root / "cat" / "away").symlink_to(outside.parent)
    (root / "cat" / "dead.png").symlink_to("nowhere.png")
    (root / "cat" / "self.png").symlink_to("self.png")
    (root / "cat" / "good.png").symlink_to("0.png")
    (root / "cat" / "folder.png").mkdir()
    source = open_data(str(root))
    assert [r.name for r in source.records] == ["cat/0.png", "cat/1.png", "cat/good.png", "dog/0.png"]
    assert sorted(reasons(source)) == [
        "cat/away:None:outside",
        "cat/dead.png:None:missing",
        "cat/folder.png:None:is-a-directory",
        "cat/out.png:None:outside",
        "cat/pipe.png:None:not-a-regular-file",
        "cat/self.png:None:symlink-loop",
        "cat/up:None:link-to-folder",
    ]


def test_listing_costs_the_same_few_lines_for_every_name(tmp_path: Path) -> None:
    for folder in range(4):
        (tmp_path / str(folder)).mkdir()
        for i in range(1_000):
            (tmp_path / str(folder) / f"{i}.png").touch()
    with at_most_lines(LINES_A_NAME * 4_000):
        assert len(open_data(str(tmp_path))) == 4_000


def test_the_root_itself_may_be_a_link(tmp_path: Path) -> None:
    write_folder(tmp_path / "real", {"cat": 1, "dog": 1})
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert len(open_data(str(tmp_path / "link"))) == 2
    assert walk(str(tmp_path / "link")).root == os.path.realpath(tmp_path / "real")


# ------------------------------------------------------------------------------------------------ built-ins and words
def test_the_registered_names() -> None:
    assert list(DATASETS) == ["cifar10", "digits", "mnist"]


def test_a_built_in_that_is_not_here_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SIGHTLINE_DATA", raising=False)
    with pytest.raises(DataError, match=r"mnist is not available: SIGHTLINE_DATA is not set.*four IDX files"):
        open_data("mnist")
    monkeypatch.setenv("SIGHTLINE_DATA", str(tmp_path))
    with pytest.raises(DataError, match=r"cifar10 is not available: .* does not exist"):
        open_data("cifar10")
    (tmp_path / "cifar10").mkdir()
    with pytest.raises(DataError, match="no Parquet files in"):
        open_data("cifar10")


def test_a_bare_word_may_be_a_folder_in_the_data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIGHTLINE_DATA", str(tmp_path))
    write_folder(tmp_path / "leaves", {"oak": 1, "elm": 1})
    assert open_data("leaves").classes == ("elm", "oak")
    with pytest.raises(UsageError, match=r"unknown data set 'digitz' .did you mean 'digits"):
        open_data("digitz")


def test_words_and_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_folder(tmp_path / "digits", {"a": 1, "b": 1})
    write_folder(tmp_path / "leaves", {"a": 1, "b": 1})
    assert [is_path(w) for w in ("cats", "./cats", "cats.csv", "a/b", ".", "leaves")] == [False] + [True] * 5
    assert open_data("digits").kind == "digits"  # the built-in wins, and says so
    assert any("write ./digits" in note for note in open_data("digits").notes)
    assert open_data("./digits").kind == "image-folder"
    assert open_data("leaves").kind == "image-folder"


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda p: None, "does not exist .did you mean 'thong"),
        (lambda p: p.mkdir(), "no images in .* holds no files at all"),
        (lambda p: write_folder(p, {"a": 0, "b": 0}), "no images in"),
        (lambda p: (p.mkdir(), (p / "notes.txt").touch()), "no images in .*.txt ×1"),
        (lambda p: os.mkfifo(p), "is a pipe, socket or device"),
        (lambda p: p.write_bytes(b"x"), "is not a data set"),
    ],
)
def test_what_is_no_data_set_says_why(tmp_path: Path, make: Callable[[Path], Any], says: str) -> None:
    (tmp_path / "thong").mkdir()
    make(tmp_path / "thing")
    with pytest.raises(DataError, match=says):
        open_data(str(tmp_path / "thing"))


@pytest.mark.parametrize(
    ("name", "says"),
    [("x.zip", "not a zip file"), ("x.tar.gz", "neither a zip nor a tar file"), ("x.png", "is one image")],
)
def test_files_that_are_no_data_set_say_what_to_give(tmp_path: Path, name: str, says: str) -> None:
    (tmp_path / name).write_bytes(b"x")
    with pytest.raises(DataError, match=says):
        open_data(str(tmp_path / name))


def test_hostile_paths_are_refused_not_crashed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_folder(tmp_path, {"a": 1, "b": 1})
    monkeypatch.setenv("SIGHTLINE_DATA", str(tmp_path))  # "" must not mean this folder
    for what in ("a\0b/c", "/" + "x" * 5000, "\udcff/x", "/dev/null", ""):
        with pytest.raises((DataError, UsageError)):
            open_data(what)
