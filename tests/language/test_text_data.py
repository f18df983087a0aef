"""Tables of texts and of captions as data: layouts, splits, refused rows, leaks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sightline.data.dataset import build_dataset
from sightline.data.formats.sniff import open_data
from sightline.data.formats.texts.sentences import layout_of
from sightline.data.records.texts import Sentences, texts_of_images
from sightline.errors import DataError


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (("source", "target"), (0, None, 1, None, None)),
        (("split", "Target", "Source"), (2, None, 1, None, 0)),
        (("en", "fr"), (0, None, 1, None, None)),
        (("label", "text"), (1, None, None, 0, None)),
        (("text",), (0, None, None, None, None)),
        (("image", "split", "caption"), (None, 0, 2, None, 1)),
    ],
)
def test_headers_name_the_layout(header: tuple[str, ...], expected: tuple[int | None, ...]) -> None:
    assert tuple(layout_of(header)) == expected  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "header", [("path", "label"), ("file", "cats", "dogs"), ("image", "text"), ("id", "x"), ("a", "b"), ("id", "fr")]
)
def test_other_headers_name_none(header: tuple[str, ...]) -> None:
    assert layout_of(header) is None


def test_pairs_in_a_folder_have_the_splits_of_their_files(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text('source,target\n"one, two","1, 2"\nthree,3\nfour,\n')
    (tmp_path / "test.jsonl").write_text('{"source": "five", "target": "5"}\n')
    source = open_data(str(tmp_path))
    assert source.kind == "sentences" and [r.split for r in source.records] == ["test", "train", "train"]
    assert isinstance(source.contents, Sentences) and source.contents.text == ("five", "one, two", "three")
    assert [(p.file, p.line, p.reason) for p in source.problems] == [("train.csv", 4, "no-text: the cell is empty")]
    data = build_dataset(source, needs="images")
    assert [data.truth(i) for i in range(3)] == [("5",), ("1, 2",), ("3",)]
    assert "found sentences: 4 sentences, given splits: train, test" in data.notes


def test_a_text_in_two_splits_is_a_leak(tmp_path: Path) -> None:
    (tmp_path / "t.tsv").write_text("source\ttarget\tsplit\na b\tx\ttrain\nc\ty\ttrain\na b\tx\ttest\n")
    with pytest.raises(DataError, match="images in two splits"):
        build_dataset(str(tmp_path / "t.tsv"), needs="images")
    assert len(build_dataset(str(tmp_path / "t.tsv"), needs="images", leaks="drop")) == 2


def _captioned(folder: Path) -> Path:
    (folder / "images").mkdir(parents=True)
    for i in range(4):
        Image.fromarray(np.full((8, 8, 3), 40 * i, np.uint8)).save(folder / "images" / f"{i}.png")
    rows = [
        f'{i}.png,{"train" if i < 3 else "val"},"a bar, no. {i}"\n{i}.png,{"train" if i < 3 else "val"},A Bar\n'
        for i in range(4)
    ]
    (folder / "captions.csv").write_text("image,split,caption\n" + "".join(rows))
    return folder


def test_captions_of_an_image_come_together(tmp_path: Path) -> None:
    source = open_data(str(_captioned(tmp_path)))
    assert source.kind == "captions" and [r.name for r in source.records] == [f"images/{i}.png" for i in range(4)]
    data = build_dataset(source, needs="images")
    assert data.truth(1) == ("a bar, no. 1", "A Bar") and len(data.ids("val")) == 1


def test_labels_and_file_names_are_texts_where_a_kind_reads_them(tmp_path: Path) -> None:
    for name in ("cat/one.png", "dog/two.png"):
        (tmp_path / "a" / name).parent.mkdir(parents=True)
        Image.fromarray(np.full((8, 8), len(name), np.uint8)).save(tmp_path / "a" / name)
    labelled = texts_of_images(open_data(str(tmp_path / "a")))
    assert labelled is not None and labelled.annotations.texts == (("cat",), ("dog",))  # type: ignore[union-attr]
    (tmp_path / "b").mkdir()
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(tmp_path / "b" / "AB12.png")
    named = texts_of_images(open_data(str(tmp_path / "b")))
    assert named is not None and named.annotations.texts == (("AB12",),)  # type: ignore[union-attr]
    assert "name of each file" in named.reading
