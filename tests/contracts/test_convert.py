"""Conversion: what is written is read again as the same data, in every form; what a form cannot hold is named."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from pycocotools import mask as oracle

from sightline import api
from sightline.data.dataset import Dataset, build_dataset
from sightline.data.records.annotations import Objects
from sightline.data.records.outlines import Rings
from sightline.data.writing import convert as writers
from sightline.data.writing.areas import bridged, contours
from sightline.data.writing.items import unique_names
from sightline.errors import CheckError, DataError, UsageError
from sightline.runs.console import Console
from tests.marked import Scene, Thing, check, pictures, scenes
from tests.tiny_annotated import annotation, coco, mask_png, masked, picture, save, write_json
from tests.tiny_data import write, write_folder

QUIET = Console(level=-2)


def converted(what: Path, out: Path, to: str) -> dict[str, Any]:
    return api.convert(what, out, to=to, console=QUIET)


def looked(what: Path) -> Dataset:
    return build_dataset(str(what), needs="images", leaks="keep")


def objects(dataset: Dataset, name: str) -> Objects:
    (record,) = [record for record in dataset.records if Path(record.name).stem == name]
    truth = dataset.truth(record.id)
    assert isinstance(truth, Objects)
    return truth


def coco_set(root: Path, every: list[Scene]) -> Path:
    pictures(root, "images/{split}/{name}", every)
    names = {"dog": 7, "cat": 9}
    for split in ("train", "val"):
        images, rows = [], []
        for i, s in enumerate(every):
            if s.split != split:
                continue
            images.append({"id": i, "file_name": f"{s.name}.png", "height": s.height, "width": s.width})
            for t in s.things:
                left, top, right, bottom = t.box
                more = {"segmentation": [[v for p in t.ring for v in p]]} if len(t.ring) > 2 else {}
                bbox = (left, top, right - left, bottom - top)
                rows.append(annotation(len(rows) + 1, i, names[t.label], bbox, **more))
        categories = [{"id": id, "name": name} for name, id in names.items()]
        write_json(root / "annotations" / f"instances_{split}.json", coco(images, rows, categories))
    return root


def fractions() -> list[Scene]:
    """Pictures of odd sizes with boxes off the grid, some less than a pixel from the border or two pixels wide."""
    random, out = np.random.default_rng(11), []
    for i, (height, width) in enumerate(((13, 17), (31, 7), (101, 99), (12, 640), (257, 33))):
        things = []
        for _ in range(6):
            x, y = random.uniform(0, width - 2), random.uniform(0, height - 2)
            w, h = random.uniform(0.9, width - x), random.uniform(0.9, height - y)
            things.append(Thing(("cat", "dog")[int(random.integers(2))], ((x, y), (x + w, y + h))))
        out.append(Scene("train" if i < 3 else "val", f"q{i}", height, width, tuple(things)))
    return out


# ------------------------------------------------------------------------------------------------ boxes and outlines
@pytest.mark.parametrize(
    "way", [("voc", "yolo", "coco"), ("yolo", "voc", "coco"), ("yolo", "coco", "voc"), ("voc", "voc")]
)
def test_boxes_survive_a_journey_to_half_a_pixel(tmp_path: Path, way: tuple[str, ...]) -> None:
    every = fractions()
    source = coco_set(tmp_path / "source", every)
    for i, to in enumerate(way):
        result = converted(source, tmp_path / str(i), to)
        assert (result["images"], result["classes"], result["splits"]) == (5, ["dog", "cat"], {"train": 3, "val": 2})
        source = tmp_path / str(i)
    dataset = looked(source)
    assert dataset.classes == ("dog", "cat") and not dataset.problems
    worst = 0.0
    for s in every:
        truth = objects(dataset, s.name)
        assert [dataset.classes[c] for c in truth.label] == [t.label for t in s.things]
        worst = max(worst, float(np.abs(truth.boxes - [t.box for t in s.things]).max()))
        (found,) = source.rglob(f"{s.name}.png")
        assert found.read_bytes() == (tmp_path / "source" / "images" / s.split / f"{s.name}.png").read_bytes()
    assert 0 < worst <= 0.5 + 1e-6


@pytest.mark.parametrize("to", ["coco", "yolo"])
def test_outlines_keep_their_pixels(tmp_path: Path, to: str) -> None:
    every = scenes(outlines=True)
    converted(coco_set(tmp_path / "source", every), tmp_path / "out", to)
    assert check(tmp_path / "out", every).classes == ("dog", "cat")


def test_outlines_in_a_form_of_boxes(tmp_path: Path) -> None:
    every = scenes(outlines=True)
    result = converted(coco_set(tmp_path / "source", every), tmp_path / "out", "voc")
    assert result["notes"] == ["outlines that VOC's boxes do not keep: 6"]
    check(
        tmp_path / "out",
        [s._replace(things=tuple(Thing(t.label, (t.box[:2], t.box[2:])) for t in s.things)) for s in every],
    )


def holes(root: Path) -> Path:
    """An object of two rings, one with a hole (as run lengths), one that leaves its image, and a crowd."""
    picture(root / "images" / "a.png", 1, 20, 30)
    ring = [[2, 2, 8, 2, 8, 8, 2, 8], [12, 2, 18, 2, 18, 8, 12, 8]]
    mask = np.zeros((20, 30), bool)
    mask[10:18, 3:12] = True
    mask[12:15, 5:9] = mask[10, 3] = False
    encoded = oracle.encode(np.asfortranarray(mask.astype(np.uint8)))
    runs = {"size": [20, 30], "counts": encoded["counts"].decode()}
    out = [[25, 15, 34, 15, 34, 24, 25, 24]]
    rows = [
        annotation(1, segmentation=ring, bbox=(2, 2, 16, 6)),
        annotation(2, segmentation=runs, bbox=(3, 10, 9, 8)),
        annotation(3, segmentation=out, bbox=(25, 15, 9, 9)),
        annotation(4, segmentation=ring, bbox=(2, 2, 16, 6), iscrowd=1),
    ]
    write_json(root / "all.json", coco([{"id": 1, "file_name": "a.png", "height": 20, "width": 30}], rows))
    return root


def test_holes_several_rings_and_crowds(tmp_path: Path) -> None:
    source = holes(tmp_path / "source")
    wanted = objects(looked(source), "a")
    for to, flags in (("coco", True), ("yolo", False)):
        result = converted(source, tmp_path / to, to)
        found = objects(looked(tmp_path / to), "a")
        kept = wanted if flags else wanted.take(~wanted.ignore)
        np.testing.assert_array_equal(found.masks(20, 30), kept.masks(20, 30))
        assert found.ignore.tolist() == kept.ignore.tolist()
        assert any("objects to ignore" in note and note.endswith(": 1") for note in result["notes"])
    page = json.loads((source / "all.json").read_text())
    page["annotations"][0]["bbox"] = [3, 3, 14, 4]  # not around its outline
    write_json(source / "all.json", page)
    result = converted(source, tmp_path / "other", "yolo")
    assert "objects whose box is not around their outline, which alone is kept: 1" in result["notes"]
    result = converted(source, tmp_path / "voc", "voc")
    assert objects(looked(tmp_path / "voc"), "a").ignore.tolist() == [False, False, False, True]
    assert "objects to ignore, written as difficult: 1" in result["notes"]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("to", ["coco", "voc", "yolo"])
def test_turned_images_keep_their_objects(tmp_path: Path, orientation: int, to: str) -> None:
    source = tmp_path / "source"
    save(source / "images" / "a.png", np.arange(12 * 17 * 3, dtype=np.uint8).reshape(12, 17, 3), orientation)
    ring = [[2, 3, 9, 3, 9, 8, 2, 8]]
    rows = [annotation(1, bbox=(2, 3, 7, 5), segmentation=ring)]
    write_json(source / "all.json", coco([{"id": 1, "file_name": "a.png", "height": 12, "width": 17}], rows))
    converted(source, tmp_path / "out", to)
    one, two = objects(looked(source), "a"), objects(looked(tmp_path / "out"), "a")
    np.testing.assert_allclose(one.boxes, two.boxes, atol=1e-6)
    if to != "voc":
        size = (12, 17) if orientation < 5 else (17, 12)
        np.testing.assert_array_equal(one.masks(*size), two.masks(*size))


def test_contours_of_masks_are_their_pixels() -> None:
    random = np.random.default_rng(4)
    for case in range(60):
        mask = random.random(random.integers(1, 14, 2)) < (0.2, 0.5, 0.8)[case % 3]
        if mask.any():
            ring = bridged(contours(mask))
            np.testing.assert_array_equal(Rings((ring,)).mask(*mask.shape), mask)
    assert contours(np.ones((1, 1), bool))[0].tolist() == [[0, 0], [1, 0], [1, 1], [0, 1]]


# ------------------------------------------------------------------------------------------------ classes and masks
def classes_set(root: Path) -> Path:
    return write_folder(root, {"train/cat": 3, "train/dog": 2, "val/cat": 1, "val/dog": 1})


@pytest.mark.parametrize("to", ["folder", "parquet"])
@pytest.mark.parametrize("split", [True, False])
def test_classes_and_splits_are_kept(tmp_path: Path, to: str, split: bool) -> None:
    source = classes_set(tmp_path / "source") if split else write_folder(tmp_path / "source", {"cat": 3, "dog": 4})
    result = converted(source, tmp_path / "out", to)
    one, two = looked(source), looked(tmp_path / "out")
    assert result["splits"] == ({"train": 5, "val": 2} if split else {})

    def content(dataset: Dataset) -> list[tuple[Any, ...]]:
        return sorted((r.label, r.split or "", dataset.pixels(r.id).tobytes()) for r in dataset.records)

    assert content(one) == content(two) and one.classes == two.classes
    if to == "parquet":
        first = sorted((tmp_path / "out" / "data").iterdir())[0]
        row = pq.read_table(first).to_pylist()[0]
        assert row["image"]["bytes"][:4] == b"\x89PNG" and row["label"] == 0
        assert first.name.endswith("-00000-of-00001.parquet")
    elif not split:
        assert (tmp_path / "out" / "cat" / "0.png").read_bytes() == (source / "cat" / "0.png").read_bytes()


def test_tar_shards(tmp_path: Path) -> None:
    source = classes_set(tmp_path / "source")
    converted(source, tmp_path / "out", "webdataset")
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["classes.txt", "train-000000.tar", "val-000000.tar"]
    assert (tmp_path / "out" / "classes.txt").read_text() == "cat\ndog\n"
    with tarfile.open(tmp_path / "out" / "train-000000.tar") as tar:
        names = tar.getnames()
        assert names[:3] == ["00000000.png", "00000000.cls", "00000000.json"] and len(names) == 15

        def read(name: str) -> bytes:
            file = tar.extractfile(name)
            assert file is not None
            return file.read()

        assert read("00000000.png") == (source / "train" / "cat" / "0.png").read_bytes()
        assert read("00000000.cls") == b"0"
        assert json.loads(read("00000004.json")) == {"file": "train/dog/1.png", "label": "dog", "index": 1}
    assert looked(tmp_path / "out").classes == ("cat", "dog")
    every = scenes()
    converted(coco_set(tmp_path / "boxes", every), tmp_path / "more", "webdataset")
    with tarfile.open(tmp_path / "more" / "train-000000.tar") as tar:
        file = tar.extractfile("00000000.json")
        assert file is not None
        facts = json.loads(file.read())
    assert facts["annotations"][0]["bbox"] == [2, 3, 9, 7] and (facts["width"], facts["height"]) == (17, 13)


def test_masks_and_their_splits(tmp_path: Path) -> None:
    source = masked(tmp_path / "source", {"train": 3, "val": 1, "test": 2})
    converted(source, tmp_path / "out", "folder")
    one, two = looked(source), looked(tmp_path / "out")
    assert one.classes == two.classes == ("sky", "road")
    for name, record in {Path(r.name).name: r for r in one.records}.items():
        (other,) = [r for r in two.records if Path(r.name).name == name]
        assert other.split == record.split
        np.testing.assert_array_equal(one.truth(record.id), two.truth(other.id))


def test_two_classes_of_which_one_never_occurs(tmp_path: Path) -> None:
    """255 is ignored, not the second class."""
    for i in range(3):
        picture(tmp_path / "source" / "images" / f"{i}.png", i)
        mask_png(tmp_path / "source" / "masks" / f"{i}.png", np.where(np.arange(192).reshape(12, 16) < 90, 255, 0))
    (tmp_path / "source" / "classes.txt").write_text("sky\nroad\nvoid\n")
    converted(tmp_path / "source", tmp_path / "out", "folder")
    truth = looked(tmp_path / "out").truth(0)
    assert isinstance(truth, np.ndarray) and set(np.unique(truth)) == {0, 255}


# ------------------------------------------------------------------------------------------------ refusals
def test_nothing_is_overwritten(tmp_path: Path) -> None:
    source = classes_set(tmp_path / "source")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").write_text("x")
    (tmp_path / "file").write_text("x")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for name in ("full", "file", "link"):
        with pytest.raises(UsageError, match=f"{name} is (not empty|a file or a link)"):
            converted(source, tmp_path / name, "parquet")
    (tmp_path / "empty").mkdir()
    assert converted(source, tmp_path / "empty", "parquet")["images"] == 7


def test_a_form_that_cannot_hold_the_data_is_refused_by_name(tmp_path: Path) -> None:
    classes, boxes = classes_set(tmp_path / "c"), coco_set(tmp_path / "b", scenes())
    for source, to, says in (
        (classes, "coco", "coco cannot hold one class for each image .choose folder or parquet or webdataset"),
        (boxes, "parquet", "parquet cannot hold boxes .choose coco or voc or yolo"),
        (boxes, "cocoo", "cocoo is unknown .did you mean 'coco'"),
    ):
        with pytest.raises(UsageError, match=says):
            converted(source, tmp_path / "out", to)
        assert not (tmp_path / "out").exists()
    for i in range(3):
        write(tmp_path / "flat" / f"{i}.png", i)
    with pytest.raises(DataError, match="images without labels"):
        converted(tmp_path / "flat", tmp_path / "out", "folder")
    write_folder(tmp_path / "odd", {"a": 2})
    (tmp_path / "odd.csv").write_text("path,label\nodd/a/0.png,a/b\nodd/a/1.png,c\n")
    with pytest.raises(UsageError, match="the class 'a/b' cannot be a folder"):
        converted(tmp_path / "odd.csv", tmp_path / "out", "folder")
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []


def test_an_image_that_cannot_be_used_is_left_out_by_name(tmp_path: Path) -> None:
    source = classes_set(tmp_path / "source")
    (source / "train" / "cat" / "bad.png").write_bytes(b"no image")
    result = converted(source, tmp_path / "out", "folder")
    assert result["images"] == 7 and [row["file"] for row in result["left_out"]] == ["train/cat/bad.png"]


def test_what_would_be_read_otherwise_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = coco_set(tmp_path / "source", scenes())

    def wrong(work: Any) -> None:
        writers.write_coco(work)
        path = work.root / "annotations" / "instances_val.json"
        value = json.loads(path.read_text())
        value["annotations"][0]["bbox"][0] += 0.6
        path.write_text(json.dumps(value))

    monkeypatch.setitem(writers.FORMS, "coco", writers.Form({"boxes": wrong}))
    with pytest.raises(CheckError, match=r"p3\.png has other objects"):
        converted(source, tmp_path / "out", "coco")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["source"]


def test_a_kill_leaves_no_half_data_set(tmp_path: Path) -> None:
    source = classes_set(tmp_path / "source")
    code = f"""
import os, signal
from sightline import api
from sightline.data.writing import folders
from sightline.data.writing.items import Work
from sightline.runs.console import Console
copy, done = Work.copy, []
def dying(self, item, name):
    copy(self, item, name)
    done.append(name)
    if len(done) == 4:
        os.kill(os.getpid(), signal.SIGKILL)
Work.copy = dying
api.convert({str(source)!r}, {str(tmp_path / "out")!r}, to="folder", console=Console(level=-2))
"""
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, env={**os.environ})
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert not (tmp_path / "out").exists()
    assert converted(source, tmp_path / "out", "folder")["images"] == 7


def test_names_that_are_free_in_every_form() -> None:
    assert unique_names(["train/images/1.jpg", "val/images/2.jpg"]) == ["1.jpg", "2.jpg"]
    assert unique_names(["a/images/1.jpg", "b/images/1.jpg"]) == ["a/1.jpg", "b/1.jpg"]
    assert unique_names(["train/1.jpg", "val/1.jpg"]) == ["train/1.jpg", "val/1.jpg"]
    assert unique_names(["images/train/1.jpg", "images/val/1.jpg"]) == ["train/1.jpg", "val/1.jpg"]
    assert unique_names(["1.jpg", "1.png", "1.PNG"]) == ["1.jpg", "1-2.png", "1-3.PNG"]


def test_names_that_a_form_cannot_hold_are_written_otherwise(tmp_path: Path) -> None:
    """Bytes that are no UTF-8, line ends and backslashes: every form can be read again, and the change is counted."""
    every = [Scene("train", f"p{i}", 13, 17, (Thing("cat", ((2, 3), (11, 10))),)) for i in range(6)]
    pictures(tmp_path / "set", "images/{split}/{name}", every)
    for number, name in enumerate((os.fsdecode(b"\xff\xe9"), "a\nb", "a_b", "c\\d", "e\u2028f")):
        (tmp_path / f"set/images/train/p{number}.png").rename(tmp_path / f"set/images/train/{name}.png")
        (tmp_path / "set/labels/train").mkdir(parents=True, exist_ok=True)
        (tmp_path / f"set/labels/train/{name}.txt").write_text("0 .5 .5 .25 .25\n")
    (tmp_path / "set/labels/train/p5.txt").write_text("0 .5 .5 .25 .25\n")
    (tmp_path / "set/data.yaml").write_text("train: images/train\nval: images/train\nnames: [cat]\n")
    for to in ("coco", "voc", "yolo"):
        found = converted(tmp_path / "set", tmp_path / to, to)
        assert found["images"] == 6 and any("written as _: 4" in note for note in found["notes"])
    for number, label in enumerate("aabb"):
        picture(tmp_path / "classes" / label / os.fsdecode(b"\xff%d.png" % number), number)
    for to in ("parquet", "folder", "webdataset"):
        assert converted(tmp_path / "classes", tmp_path / f"classes-{to}", to)["images"] == 4


@pytest.mark.parametrize("place", ["out", "a/out"])
def test_an_output_inside_of_the_data_is_refused(tmp_path: Path, place: str) -> None:
    for number, label in enumerate("aabb"):
        picture(tmp_path / "set" / label / f"{number}.png", number)
    (tmp_path / "link").symlink_to(tmp_path / "set")
    with pytest.raises(UsageError, match="is inside of"):
        converted(tmp_path / "set", tmp_path / "link" / place, "parquet")
    assert not (tmp_path / "set" / "out").exists()


def test_an_output_that_is_no_path_is_refused(tmp_path: Path) -> None:
    picture(tmp_path / "set" / "a" / "0.png", 0)
    with pytest.raises(UsageError, match="holds a NUL"):
        converted(tmp_path / "set", tmp_path / "a\0b", "parquet")
