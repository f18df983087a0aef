"""YOLO's labels: the right pixels in every usual layout, nothing lost in silence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sightline.data.dataset import build_dataset
from sightline.data.formats.sniff import open_data
from sightline.data.records.annotations import Objects
from sightline.errors import DataError
from sightline.kinds.opening import draft
from tests.marked import CLASSES, Scene, check, pictures, put, scenes
from tests.tiny_annotated import picture, save
from tests.tiny_data import reasons

NAMES = "names:\n  0: dog\n  1: cat\n"
PLACES = {  # images, labels, the entries of data.yaml
    "split outside": ("{split}/images/{name}", "{split}/labels/{name}", "train: ../train/images\nval: ../val/images\n"),
    "split inside": (
        "images/{split}/{name}",
        "labels/{split}/{name}",
        "path: .\ntrain: images/train\nval: images/val\n",
    ),
    "side by side": ("{split}/{name}", "{split}/{name}", "path: /data/pets\ntrain: train\nval: val\n"),
    "other words": ("pics/{split}/{name}", "truth/{split}/{name}", "train: pics/train\nval: [pics/val]\n"),
}


def rows(scene: Scene) -> str:
    """Class, centre and sides, or class and corners, as shares."""
    lines = []
    for thing in scene.things:
        left, top, right, bottom = thing.box
        x, y = (left + right) / 2 / scene.width, (top + bottom) / 2 / scene.height
        shares = [x, y, (right - left) / scene.width, (bottom - top) / scene.height]
        if len(thing.ring) > 2:
            shares = [value for x, y in thing.ring for value in (x / scene.width, y / scene.height)]
        lines.append(" ".join([str(CLASSES.index(thing.label)), *(f"{share:.9f}" for share in shares)]))
    return "\n".join(lines)


def write(root: Path, every: list[Scene], place: str = "split inside", yaml: str | None = None) -> Path:
    images, labels, entries = PLACES[place]
    pictures(root, images, every)
    for scene in every:
        put(root / f"{labels.format(split=scene.split, name=scene.name)}.txt", rows(scene))
    put(root / "data.yaml", entries + NAMES if yaml is None else yaml)
    return root


@pytest.mark.parametrize("outlines", [False, True])
@pytest.mark.parametrize("place", sorted(PLACES))
def test_boxes_and_outlines_in_every_layout(tmp_path: Path, place: str, outlines: bool) -> None:
    every = scenes(outlines=outlines)
    dataset = check(write(tmp_path, every, place), every)
    assert dataset.classes == CLASSES and dataset.notes[0].startswith("found YOLO's labels: 5 images, 2 classes")
    (tmp_path / "data.yaml").unlink()  # the folders say the splits, the numbers the classes
    check(tmp_path, [s._replace(things=tuple(t._replace(label=str(CLASSES.index(t.label))) for t in s.things)) for s in every],
          classes=("0", "1"))  # fmt: skip


def test_darknets_lists(tmp_path: Path) -> None:
    every = scenes()
    pictures(tmp_path, "obj_train_data/{name}", every)
    for scene in every:
        put(tmp_path / "obj_train_data" / f"{scene.name}.txt", rows(scene))
    put(tmp_path / "obj.names", "dog\ncat\n")
    put(tmp_path / "obj.data", "classes = 2\ntrain = data/train.txt\nvalid = data/valid.txt\nnames = data/obj.names\n")
    for split in ("train", "val"):
        lines = "".join(f"data/obj_train_data/{s.name}.png\n" for s in every if s.split == split)
        put(tmp_path / f"{split.replace('val', 'valid')}.txt", lines)
    check(tmp_path, every)


def test_a_list_of_lists_and_a_file_given_itself(tmp_path: Path) -> None:
    every = scenes()
    write(tmp_path / "set", every, yaml="unused: 1\n")
    (tmp_path / "set" / "data.yaml").unlink()
    for scene in every:
        put(tmp_path / "set" / f"{scene.split}_{scene.name}.txt", f"./images/{scene.split}/{scene.name}.png\n")
    entries = "".join(
        f"{split}:\n" + "".join(f"  - {split}_{s.name}.txt\n" for s in every if s.split == split)
        for split in ("train", "val")
    )
    put(tmp_path / "pets.yaml", f"path: set\n{entries}test: # optional\n{NAMES}")
    check(tmp_path / "pets.yaml", every)
    assert draft(str(tmp_path / "pets.yaml"), (), {}).data.path == str(tmp_path / "pets.yaml")  # data, not a recipe


def test_an_image_without_a_label_file(tmp_path: Path) -> None:
    every = scenes()
    write(tmp_path, every)
    (tmp_path / "labels" / "train" / "p2.txt").unlink()  # it shows nothing
    for name in ("a", "b"):
        picture(tmp_path / "images" / "test" / f"{name}.png", 90)
    put(tmp_path / "data.yaml", f"train: images/train\nval: images/val\ntest: images/test\n{NAMES}")
    dataset = check(tmp_path, every)
    assert "images without a label file, taken to show no object: 1" in dataset.notes
    assert "images of a split without any label file, not used: 2" in dataset.notes


def test_the_training_images_for_validation_too(tmp_path: Path) -> None:
    """As in the demonstration sets of YOLO's tools."""
    every = [scene._replace(split="train") for scene in scenes()]
    write(tmp_path, every, yaml=f"path: coco8\ntrain: images/train\nval: images/train\n{NAMES}")
    dataset = check(tmp_path, every)
    assert any("data.yaml: val: images/train is train as well, not used" in note for note in dataset.notes)


ROWS = [
    ("1 0.5 0.5 nan 0.2", "not-a-number", "ignored"),
    ("1 0.5 0.5 inf 0.2", "not-a-number", "ignored"),
    ("1 0.5 0.5 0 0.2", "zero-area", "ignored"),
    ("1 0.5 0.5 -0.1 0.2", "inverted", "ignored"),
    ("1 12 8 4 4", "no-share", "ignored"),
    ("1 1e300 0.5 0.1 0.1", "no-share", "ignored"),
    ("7 0.5 0.5 0.2 0.2", "unknown-class", "ignored"),
    ("-1 0.5 0.5 0.2 0.2", "unknown-class", "ignored"),
    ("cat 0.5 0.5 0.2 0.2", "unknown-class", "ignored"),
    ("1.5 0.5 0.5 0.2 0.2", "unknown-class", "ignored"),
    ("1 0.5 0.5", "short-row", "ignored"),
    ("1", "short-row", "ignored"),
    ("1 0.1 0.1 0.2 0.1 0.2 0.2 0.4", "bad-outline", "ignored"),
    ("1 0.1 0.1 0.2 0.1 0.2 nan", "not-a-number", "ignored"),
    ("1 0.1 0.1 0.2 0.1 0.3 0.1", "zero-area", "ignored"),
    ("1 0.5 0.5 0.2 0.2", "repeated", "dropped"),
]


@pytest.mark.parametrize(("row", "code", "action"), ROWS)
def test_a_row_that_cannot_be_used_is_an_ignored_place(tmp_path: Path, row: str, code: str, action: str) -> None:
    write(tmp_path, scenes())
    put(tmp_path / "labels" / "train" / "p0.txt", f"1 0.5 0.5 0.2 0.2\n\n{row}\n")
    dataset = build_dataset(str(tmp_path), needs="images", leaks="keep")
    (problem,) = dataset.problems
    assert (problem.file, problem.line, problem.action) == ("labels/train/p0.txt", 3, action)
    assert problem.reason.startswith(f"{code}: ") and problem.fix
    truth = dataset.truth(0)
    assert isinstance(truth, Objects) and (~truth.ignore).sum() == 1
    assert truth.ignore.sum() == {"repeated": 0, "unknown-class": len(CLASSES)}.get(code, 1)


def test_a_confidence_is_not_used(tmp_path: Path) -> None:
    every = scenes()
    write(tmp_path, every)
    put(tmp_path / "labels" / "train" / "p1.txt", f"{rows(every[1])} 0.93\n")
    dataset = check(tmp_path, every)
    assert "marks that are neither boxes nor areas, not used: confidence ×1" in dataset.notes


def test_keypoints_after_a_box(tmp_path: Path) -> None:
    every = scenes()
    write(tmp_path, every, yaml=f"train: images/train\nval: images/val\nkpt_shape: [2, 3]\n{NAMES}")
    for scene in every:
        lines = [f"{line} 0.1 0.1 2 0.2 0.2 1\n" for line in rows(scene).splitlines()]
        put(tmp_path / "labels" / scene.split / f"{scene.name}.txt", "".join(lines))
    check(tmp_path, every)


@pytest.mark.parametrize(
    "damage",
    [b"1 0.5 0.5 0.1 0.1\n1 \x00 0.5 0.1 0.1\n", "1 0.5 é\n".encode() + b"\xe9", b"1 0.5 0.5 0.1 0.1\n" * 100_001],
)
def test_a_label_file_that_is_none_costs_its_image(tmp_path: Path, damage: bytes) -> None:
    write(tmp_path, scenes())
    (tmp_path / "labels" / "train" / "p0.txt").write_bytes(damage)
    source = open_data(str(tmp_path))
    assert [r.split(":")[2] for r in reasons(source)] == ["bad-labels"]
    assert len(source.records) == 4


@pytest.mark.parametrize(
    ("yaml", "says"),
    [
        ("names: [cat, dog]\nnc: 3\ntrain: images/train", r"data\.yaml: nc is 3, and there are 2 names"),
        ("names: {0: cat, 2: dog}\ntrain: x", r"data\.yaml: the numbers of names are not 0 to 1"),
        ("names: [cat, cat]\ntrain: x", r"data\.yaml: the class cat is named twice"),
        ("names: [cat, Cat]\ntrain: x", r"the classes 'Cat' and 'cat' differ only"),
        ("names: [cat, '']\ntrain: x", r"data\.yaml: class 1 has no usable name"),
        ("names: 3\ntrain: x", r"data\.yaml: names is neither"),
        ("names: [cat, [dog]]\ntrain: x", r"data\.yaml: class 1 has no usable name"),
        ("names: [cat, dog]\ntrain: {a: b}", r"data\.yaml: train is neither"),
        ("names: [cat, dog]\ntrain: [", r"data\.yaml line \d+: not valid YAML"),
        ("names: [cat, dog]\ntrain: x\nkpt_shape: [1]", r"data\.yaml: kpt_shape is not"),
        ("names: &a [x, *a]\ntrain: " + "[" * 2000, r"data\.yaml.*not valid YAML"),
    ],
)
def test_a_list_of_classes_that_cannot_be_read(tmp_path: Path, yaml: str, says: str) -> None:
    write(tmp_path, scenes(), yaml=yaml)
    with pytest.raises(DataError, match=says):
        open_data(str(tmp_path))


def test_names_are_text(tmp_path: Path) -> None:
    write(tmp_path, scenes(), yaml="names: [no, 1.0]\ntrain: images/train\nval: images/val\n")
    assert open_data(str(tmp_path)).classes == ("no", "1.0")


def test_shares_are_of_the_upright_image(tmp_path: Path) -> None:
    for i, orientation in enumerate((1, 3, 6)):
        save(tmp_path / f"{i}.png", np.full((20, 10, 3), 50 * i, np.uint8), orientation)
        put(tmp_path / f"{i}.txt", "0 0.25 0.25 0.5 0.5\n")
    put(tmp_path / "classes.txt", "cat\n")
    dataset = build_dataset(str(tmp_path), needs="images", leaks="keep")
    boxes = [truth.boxes.tolist() for i in range(3) if isinstance(truth := dataset.truth(i), Objects)]
    assert boxes == [[[0, 0, 5, 10]], [[0, 0, 5, 10]], [[0, 0, 10, 5]]]
    assert any(note.startswith("EXIF rotates") and note.endswith(": 2 images") for note in dataset.notes)


def test_two_splits_with_one_image(tmp_path: Path) -> None:
    write(tmp_path, scenes(), yaml=f"train: [images/train, images/val]\nval: images/val/..\n{NAMES}")
    put(tmp_path / "data.yaml", f"train: images\nval: images/val\n{NAMES}")
    source = open_data(str(tmp_path))
    assert reasons(source) == ["images/val/p3.png:None:contradiction", "images/val/p4.png:None:contradiction"]
    assert [r.split for r in source.records] == ["train"] * 3


def test_captions_are_not_labels(tmp_path: Path) -> None:
    for label in ("cat", "dog"):
        for i in range(4):
            picture(tmp_path / label / f"{label}{i}.png", i)
            put(tmp_path / label / f"{label}{i}.txt", f"{i} animals on 3 mats\n")
    assert open_data(str(tmp_path)).kind == "image-folder"
