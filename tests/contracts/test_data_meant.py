"""What data mean is never guessed in silence: no label is cut, no image stands for another, no split takes another's place."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from sightline.data.audit.audit import audit
from sightline.data.audit.duplicates import contradictions, disagreements
from sightline.data.audit.truths import conflicts
from sightline.data.dataset import build_dataset
from sightline.data.formats.sniff import open_data
from sightline.data.records.source import Source
from sightline.errors import DataError
from tests.counting import at_most_lines
from tests.tiny_annotated import HEIGHT, WIDTH, annotation, coco, mask_png, picture, write_json
from tests.tiny_data import reasons, rows, write, write_folder


def table(root: Path, text: str, name: str = "labels.csv") -> Source:
    (root / name).write_text(text)
    return open_data(str(root / name))


# ------------------------------------------------------------------------------------------------ labels
def test_a_label_is_not_cut_at_a_comma(tmp_path: Path) -> None:
    for i in range(4):
        write(tmp_path / f"{i}.png", i)
    lines = "path,label\n0.png,Hepatitis, chronic\n1.png,Hepatitis, acute\n2.png,Healthy,,\n"
    source = table(tmp_path, f'{lines}3.png,"Hepatitis, acute"\n')
    assert reasons(source) == ["labels.csv:2:long-row", "labels.csv:3:long-row"]
    assert "quotes" in source.problems[0].fix
    assert rows(source) == [("2.png", "Healthy", None), ("3.png", "Hepatitis, acute", None)]


def test_a_table_without_a_header_is_as_wide_as_its_first_row(tmp_path: Path) -> None:
    for i in range(3):
        write(tmp_path / f"{i}.png", i)
    assert reasons(table(tmp_path, "0.png,a\n1.png,b\n2.png,b,c\n")) == ["labels.csv:3:long-row"]


# ------------------------------------------------------------------------------------------------ files
def test_an_image_of_another_class_or_split_does_not_stand_for_a_missing_one(tmp_path: Path) -> None:
    write_folder(tmp_path, {"dogs": 2, "cats": 1})
    source = table(tmp_path, "path,label\ncats/0.png,cat\ncats/1.png,cat\ndogs/0.png,dog\n")
    assert rows(source) == [("cats/0.png", "cat", None), ("dogs/0.png", "dog", None)]
    assert reasons(source) == ["labels.csv:3:missing"]
    assert "only dogs/1.png exists, in another folder" in source.problems[0].reason


def test_a_table_of_a_split_means_that_splits_folder(tmp_path: Path) -> None:
    write_folder(tmp_path, {"train": 2, "test": 3})
    source = table(tmp_path, "id,label\n0,dog\n1,cat\n2,dog\n", "train.csv")
    assert rows(source) == [("train/0.png", "dog", "train"), ("train/1.png", "cat", "train")]
    assert reasons(source) == ["train.csv:4:missing"]


def test_images_that_were_moved_together_are_found(tmp_path: Path) -> None:
    write_folder(tmp_path, {"pool": 2})
    source = table(tmp_path, "path,label\nold/images/0.png,cat\nC:/photos/1.png,dog\n")
    assert rows(source) == [("pool/0.png", "cat", None), ("pool/1.png", "dog", None)]
    write_folder(tmp_path, {"deep/images": 1}, start=9)
    source = table(tmp_path, "path,label\nimages/0.png,cat\npool/1.png,dog\nold/1.png,cat\n")
    assert rows(source) == [("deep/images/0.png", "cat", None), ("pool/1.png", "dog", None)]
    assert reasons(source) == ["labels.csv:4:missing"]


@pytest.mark.parametrize("written", ["{}", "train2017/{}"])
def test_boxes_are_not_laid_on_another_splits_image(tmp_path: Path, written: str) -> None:
    for name in ("train2017/1.png", "val2017/1.png", "val2017/2.png"):
        picture(tmp_path / name, 1)
    images = [{"id": i, "file_name": written.format(f"{i}.png"), "height": HEIGHT, "width": WIDTH} for i in (1, 2)]
    boxes = [annotation(1, 1), annotation(2, 2)]
    write_json(tmp_path / "annotations" / "instances_train2017.json", coco(images, boxes))
    source = open_data(str(tmp_path))
    assert [(r.name, r.split) for r in source.records] == [("train2017/1.png", "train")]
    assert [p.reason.split(":")[0] for p in source.problems] == ["missing"]


def test_a_list_of_a_split_means_that_splits_folder(tmp_path: Path) -> None:
    for name in ("train/1.png", "test/1.png", "test/2.png"):
        picture(tmp_path / "images" / name, 1)
        mask_png(tmp_path / "masks" / name, np.arange(HEIGHT * WIDTH).reshape(HEIGHT, WIDTH) % 2)
    (tmp_path / "train.txt").write_text("1\n2\n")
    (tmp_path / "test.txt").write_text("1\ntest/2.png\n")
    source = open_data(str(tmp_path))
    found = [(r.name, r.split) for r in source.records]
    assert found == [("images/test/1.png", "test"), ("images/test/2.png", "test"), ("images/train/1.png", "train")]
    assert reasons(source) == ["train.txt:2:missing"]


def test_a_pool_may_be_called_by_a_splits_name(tmp_path: Path) -> None:
    for i in range(3):
        picture(tmp_path / "images" / "train" / f"{i}.png", i)
        mask_png(tmp_path / "masks" / "train" / f"{i}.png", np.arange(HEIGHT * WIDTH).reshape(HEIGHT, WIDTH) % 2)
    (tmp_path / "train.txt").write_text("0\n1\n")
    (tmp_path / "val.txt").write_text("2\n")
    source = open_data(str(tmp_path))
    assert [r.split for r in source.records] == ["train", "train", "val"]
    assert not source.problems


def test_paths_through_a_link_to_the_folder_are_inside_it(tmp_path: Path) -> None:
    write_folder(tmp_path / "real", {"cats": 2})
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "other").symlink_to("link")
    text = "path,label\n" + "".join(f"{tmp_path}/{way}/cats/{i}.png,{i}\n" for i, way in enumerate(("link", "other")))
    (tmp_path / "real" / "abs.csv").write_text(f"{text}{tmp_path}/x.png,2\n")
    write(tmp_path / "x.png", 5)
    source = open_data(str(tmp_path / "link" / "abs.csv"))
    assert rows(source) == [("cats/0.png", "0", None), ("cats/1.png", "1", None)]
    assert reasons(source) == ["abs.csv:4:outside"]


# ------------------------------------------------------------------------------------------------ splits and classes
def test_train_beside_one_folder_of_images_is_asked_about(tmp_path: Path) -> None:
    write_folder(tmp_path, {"train/cat": 2, "train/dog": 2, "unlabeled": 3})
    with pytest.raises(
        DataError, match=r"train/ holds folders of images.*unlabeled/ beside it none: is train/ a split or a class"
    ):
        open_data(str(tmp_path))
    write_folder(tmp_path, {"unlabeled/a": 1, "unlabeled/b": 1})  # now both are classes with folders inside
    assert open_data(str(tmp_path)).classes == ("train", "unlabeled")


def test_a_mark_that_is_rare_is_found(tmp_path: Path) -> None:
    """Of 200 masks one is marked, by 255, where a sample of 64 does not look."""
    for i in range(200):
        picture(tmp_path / "images" / f"{i:03d}.png", i)
        mask_png(tmp_path / "masks" / f"{i:03d}.png", np.full((HEIGHT, WIDTH), 255 * (i == 101), np.uint8))
    source = open_data(str(tmp_path))
    assert "only 0 and 255" in source.notes[1]
    found = build_dataset(str(tmp_path))
    assert found.amounts().sum(axis=1).tolist() == [199 * HEIGHT * WIDTH, HEIGHT * WIDTH]
    mask_png(tmp_path / "masks" / "101.png", np.zeros((HEIGHT, WIDTH), np.uint8))
    with pytest.raises(DataError, match="hold nothing but 0"):
        open_data(str(tmp_path))


# ------------------------------------------------------------------------------------------------ many alike
def test_equal_images_are_compared_in_one_pass(tmp_path: Path) -> None:
    assert list(disagreements([[1, 2, 4], [3, 5]], ["", "a", "a", "x", "b", "x"])) == [(1, 4), (2, 4), (4, 1)]
    many = list(range(20_000))
    with at_most_lines(20 * len(many)):  # comparing each with each would run 200 million
        assert list(disagreements([many], ["same"] * len(many))) == []
        assert sum(1 for _ in disagreements([many], [str(i % 3) for i in many])) == len(many)
    write_folder(tmp_path, {"a": 2, "b": 1})
    os.replace(tmp_path / "b" / "0.png", tmp_path / "b" / "1.png")
    (tmp_path / "b" / "0.png").write_bytes((tmp_path / "a" / "0.png").read_bytes())
    found = audit(open_data(str(tmp_path)))
    said = [problem.file for problem in contradictions(found, [[0, 2]])]
    assert said == ["a/0.png", "b/0.png"]
    assert conflicts(found, [[0, 2]]) == []
