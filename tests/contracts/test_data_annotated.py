"""Masks, boxes, outlines: the right pixels in every layout and orientation; what is wrong costs that object, by name."""

from __future__ import annotations

import json
import math
import os
import random
import struct
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools import mask as oracle

from sightline.data.dataset import Dataset, build_dataset, with_classes
from sightline.data.formats.annotated import masks as masks_module
from sightline.data.formats.sniff import open_data
from sightline.data.records.annotations import Objects
from sightline.data.records.outlines import Runs, rings_of, runs_of
from sightline.data.records.records import KEPT, QUARANTINED
from sightline.data.records.upright import Stored, stored, upright_boxes
from sightline.data.summary import data_hash, data_json
from sightline.errors import DataError, UsageError
from sightline.preprocessing.decoder import decode
from sightline.preprocessing.pixels import orient
from tests.tiny_annotated import (
    HEIGHT,
    WIDTH,
    annotation,
    coco,
    coco_folder,
    mask_png,
    masked,
    picture,
    save,
    voc,
    voc_xml,
    write_json,
)
from tests.tiny_data import write_folder

DATA = os.environ.get("SIGHTLINE_DATA", "")
SQUARE = [[2.0, 3.0, 8.0, 3.0, 8.0, 9.0, 2.0, 9.0]]  # the pixels 2…7 x 3…8


def looked(what: Path, **options: Any) -> Dataset:
    return build_dataset(str(what), needs="images", **options)


def codes(dataset: Dataset) -> list[str]:
    """file:line:code:action of every problem."""
    return [f"{p.file}:{p.line}:{p.reason.split(':')[0]}:{p.action}" for p in dataset.problems]


def objects(dataset: Dataset, id: int = 0) -> Objects:
    truth = dataset.truth(id)
    assert isinstance(truth, Objects)
    return truth


# ------------------------------------------------------------------------------------------------ outlines
def test_outlines_have_the_pixels_that_pycocotools_gives_them() -> None:
    rng = np.random.default_rng(7)
    for case in range(400):
        height, width = (int(side) for side in rng.integers(1, 70, 2))
        rings = [rng.uniform(-0.4 * width, 1.4 * width, (int(rng.integers(3, 10)), 2)) for _ in range(1 + case % 2)]
        step = (0.0, 1.0, 0.5, 0.1)[case % 4]
        flat = [(np.round(ring / step) * step if step else ring).reshape(-1).tolist() for ring in rings]
        encoded = oracle.merge(oracle.frPyObjects(flat, height, width))
        wanted = oracle.decode(encoded).astype(bool)
        np.testing.assert_array_equal(rings_of(flat).mask(height, width), wanted)
        runs = runs_of(height, width, encoded["counts"].decode())
        np.testing.assert_array_equal(runs.mask(height, width), wanted)
        np.testing.assert_array_equal(runs_of(height, width, runs.counts.tolist()).mask(height, width), wanted)
        left, top, wide, high = oracle.toBbox(encoded)
        box = [left, top, left + wide, top + high] if wanted.any() else [math.nan] * 4
        np.testing.assert_array_equal(runs.box(), box)


def test_a_whole_square_is_its_own_pixels() -> None:
    mask = rings_of(SQUARE).mask(HEIGHT, WIDTH)
    wanted = np.zeros((HEIGHT, WIDTH), bool)
    wanted[3:9, 2:8] = True
    np.testing.assert_array_equal(mask, wanted)
    np.testing.assert_array_equal(rings_of(SQUARE).box(), [2, 3, 8, 9])


@pytest.mark.parametrize(
    ("counts", "says"),
    [
        ([5, 5], "sum to 10, not"),
        ([-1, 10, 183], "below 0"),
        ([], "sum to 0"),
        ("", "end within a number"),
        ("ooooooooooooooo", "more than 35 bits"),
        ("o", "end within a number"),
        ("\u00e9\u00e9", "character outside"),
        (" !", "character outside"),
        ("0" * 1000, "sum to 0, not"),
    ],
)
def test_run_lengths_that_are_none_are_refused(counts: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        runs_of(HEIGHT, WIDTH, counts)


def test_an_outline_that_would_take_too_long_is_refused() -> None:
    there_and_back = rings_of([[0.0, 0.0, 1000.0, 1000.0] * 1000])
    assert "pixels long" in there_and_back.fault(1000, 1000) and not rings_of(SQUARE).fault(HEIGHT, WIDTH)


# ------------------------------------------------------------------------------------------------ orientation
def scene(orientation: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Stored pixels with a bright rectangle; and, of the upright image, its mask (h, w) and its box."""
    pixels = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    pixels[3:5, 2:9] = 200
    upright = orient(pixels, orientation)[..., 0] == 200
    rows, columns = np.nonzero(upright)
    return pixels, upright, np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1], float)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("counted", ["stored", "upright", "unsaid"])
@pytest.mark.parametrize("kind", ["masks", "coco", "voc"])
def test_annotations_turn_with_their_image(tmp_path: Path, orientation: int, counted: str, kind: str) -> None:
    pixels, upright, box = scene(orientation)
    as_stored = counted != "upright" or orientation < 5  # the rule where a size is absent, or is that of both
    mask, corners = (pixels[..., 0] == 200, np.array([2.0, 3, 9, 5])) if as_stored else (upright, box)
    high, wide = mask.shape
    left, top, right, bottom = corners.tolist()
    sized = {} if counted == "unsaid" else {"height": high, "width": wide}
    decided = orientation > 1 and (orientation < 5 or (counted == "unsaid" and kind != "masks"))
    folder = {"masks": "images", "coco": "images", "voc": "JPEGImages"}[kind]
    save(tmp_path / folder / "a.png", pixels, orientation)
    if kind == "masks":
        mask_png(tmp_path / "masks" / "a.png", mask)
    elif kind == "voc":
        page = voc_xml([("cat", (left + 1, top + 1, right, bottom))], (high, wide) if sized else None)
        (tmp_path / "Annotations").mkdir()
        (tmp_path / "Annotations" / "a.xml").write_text(page)
    else:
        ring = [[left, top, right, top, right, bottom, left, bottom]]
        runs = oracle.encode(np.asfortranarray(mask.astype(np.uint8)))
        rle = {"size": [high, wide], "counts": runs["counts"].decode()}
        bbox = (left, top, right - left, bottom - top)
        both = [annotation(1, bbox=bbox, segmentation=ring), annotation(2, bbox=bbox, segmentation=rle)]
        write_json(tmp_path / "all.json", coco([{"id": 1, "file_name": "a.png", **sized}], both))
    dataset = looked(tmp_path)
    assert not dataset.problems
    assert any("does not tell whether it counts stored or upright" in note for note in dataset.notes) == decided
    image = dataset.pixels(0)
    np.testing.assert_array_equal(image[..., 0] == 200, upright)
    truth = dataset.truth(0)
    if isinstance(truth, Objects):
        np.testing.assert_array_equal(truth.boxes, [box] * len(truth))
        for row in truth.masks(*image.shape[:2]) if kind == "coco" else ():
            np.testing.assert_array_equal(row, upright)
    else:
        np.testing.assert_array_equal(truth == 1, upright)


def test_turned_boxes_hold_the_turned_pixels() -> None:
    rng = np.random.default_rng(3)
    for orientation in range(1, 9):
        corners = np.sort(rng.integers(0, 10, (50, 2, 2)), axis=1) + np.array([[0, 0], [1, 1]])
        boxes = corners.reshape(50, 4).astype(float)
        turned = upright_boxes(boxes, 11, 17, orientation).astype(int)
        for (left, top, right, bottom), (l2, t2, r2, b2) in zip(boxes.astype(int), turned, strict=True):
            mask = np.zeros((11, 17, 1), np.uint8)
            mask[top:bottom, left:right] = 1
            image = orient(mask, orientation)[..., 0]
            assert image[t2:b2, l2:r2].all() and image.sum() == (r2 - l2) * (b2 - t2)


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif"])
@pytest.mark.parametrize("orientation", [1, 2, 6, 8])
def test_a_header_says_what_the_decoder_does(tmp_path: Path, suffix: str, orientation: int) -> None:
    path = picture(tmp_path / f"a.{suffix}", 1, orientation=orientation)
    found = stored(path)
    assert found == stored(path.read_bytes()) == Stored(HEIGHT, WIDTH, orientation)
    assert found.oriented == decode(path).pixels.shape[:2]


# ------------------------------------------------------------------------------------------------ masks
def test_images_with_masks_and_lists(tmp_path: Path) -> None:
    masked(tmp_path, {"train": 3, "val": 1, "test": 2}, "sky\nvoid\nroad\n\n")
    picture(tmp_path / "images" / "spare.png", 99)
    dataset = build_dataset(str(tmp_path))
    assert (dataset.kind, dataset.knows, dataset.classes) == ("masks", "masks", ("sky", "road"))
    assert [len(dataset.ids(split)) for split in ("train", "val", "test")] == [3, 1, 2]
    assert (dataset.index == -1).all() and not dataset.problems
    truth = dataset.truth(0)
    assert isinstance(truth, np.ndarray) and truth.dtype == np.uint8
    assert (truth[0] == 1).all() and (truth[1:6] == 0).all() and (truth[6:] == 255).all()  # 1 is void, 2 is road
    assert dataset.counts().tolist() == [[3, 1, 2], [3, 1, 2]]
    assert dataset.amounts().tolist() == [[3 * 80, 80, 160], [3 * 16, 16, 32]]
    assert "masks: classes.txt names 3 values; ignored: 1 (void), 255" in dataset.notes
    assert "images in no list, not used: 1" in dataset.notes


@pytest.mark.parametrize("layout", ["images/{}/a.png masks/{}/a.png", "{}/images/a.png {}/masks/a.png"])
def test_masks_in_folders_of_splits(tmp_path: Path, layout: str) -> None:
    image, mask = layout.split()
    for number, split in enumerate(("train", "val", "test")):
        picture(tmp_path / image.format(split), number)
        mask_png(tmp_path / mask.format(split), np.full((HEIGHT, WIDTH), number % 2 * 255))
    dataset = looked(tmp_path)
    assert [dataset.records[dataset.ids(split)[0]].name for split in ("train", "val", "test")] == [
        image.format(split) for split in ("train", "val", "test")
    ]
    assert dataset.classes == ("background", "foreground")
    assert dataset.counts().tolist() == [[1, 0, 1], [0, 1, 0]]


@pytest.mark.parametrize(("mode", "bits"), [("L", 8), ("L", 1), ("P", 8), ("P", 4), ("P", 2), ("P", 1)])
def test_a_masks_pixels_are_what_its_file_stores(tmp_path: Path, mode: str, bits: int) -> None:
    values = np.random.default_rng(1).integers(0, min(1 << bits, 200), (9, 7))
    path = mask_png(tmp_path / "m.png", values, mode, bits)
    np.testing.assert_array_equal(masks_module.read_mask(path), values)


@pytest.mark.parametrize("bits", [2, 4])
def test_grey_of_few_bits_is_not_spread(tmp_path: Path, bits: int) -> None:
    values = (np.arange(8 // bits, dtype=np.uint8) + 2) % (1 << bits)
    packed = int(sum(int(v) << (8 - bits * (i + 1)) for i, v in enumerate(values)))
    path = tmp_path / "m.png"
    path.write_bytes(_grey_png(8 // bits, 1, bits, bytes([0, packed])))
    np.testing.assert_array_equal(masks_module.read_mask(path), values[None])


def _grey_png(width: int, height: int, bits: int, rows: bytes) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", width, height, bits, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def test_what_is_wrong_with_a_mask_is_named(tmp_path: Path) -> None:
    root = masked(tmp_path, {"train": 9})
    masks = root / "masks"
    (masks / "train0.png").unlink()
    mask_png(masks / "train1.png", np.zeros((5, 5)))
    (masks / "train2.png").write_bytes((masks / "train2.png").read_bytes()[:60])
    values = np.zeros((HEIGHT, WIDTH))
    values[0, :4] = 77
    mask_png(masks / "train3.png", values)
    mask_png(masks / "train4.png", np.full((HEIGHT, WIDTH), 9))
    picture(masks / "train5.png", 1)
    mask_png(masks / "spare.png", values)
    with (root / "train.txt").open("a") as file:
        file.write("nowhere\ntrain6\n")
    (root / "val.txt").write_text("train7\n")
    dataset = looked(root)
    assert codes(dataset) == [
        "train.txt:10:missing:quarantined",
        "train.txt:11:repeated:kept",
        "val.txt:1:contradiction:quarantined",
        "images/train0.png:None:no-mask:quarantined",
        "masks/train1.png:None:size-mismatch:quarantined",
        "masks/train2.png:None:bad-mask:quarantined",
        "masks/train3.png:None:unknown-value:ignored",
        "masks/train4.png:None:unknown-value:quarantined",
        "masks/train5.png:None:bad-mask:quarantined",
    ]
    told = data_json(dataset, "segmentation")
    assert told["n"] == 10 and told["used"] == 3 and told["quarantined"] == 7
    at = next(r.id for r in dataset.records if r.name == "images/train3.png")
    truth = dataset.truth(at)
    assert isinstance(truth, np.ndarray) and (truth[0, :4] == 255).all() and (truth[0, 4:] == 0).all()
    assert "masks without an image: 1" in dataset.notes


@pytest.mark.parametrize(
    ("classes", "says"),
    [
        (None, "has no classes.txt, and its masks hold 0, 1, 2"),
        ("sky\n\nroad\n", "line 2 is empty"),
        ("sky\nroad\nsky\n", "line 3: the class sky is named twice"),
        ("sky\nSky\n", "differ only in case"),
        ("\n", "names 0 classes"),
        ("void\n", "names no class"),
        ("\n".join(str(i) for i in range(300)), "names 300 classes"),
    ],
)
def test_a_list_of_classes_that_is_none(tmp_path: Path, classes: str | None, says: str) -> None:
    masked(tmp_path, {"train": 2}, classes or "")
    if classes is None:
        (tmp_path / "classes.txt").unlink()
    with pytest.raises(DataError, match=says):
        open_data(str(tmp_path))


def test_masks_are_read_once_while_they_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root, cache, read = masked(tmp_path / "d", {"train": 4, "val": 2}), tmp_path / "cache", []
    real = masks_module.read_mask
    monkeypatch.setattr(masks_module, "read_mask", lambda path, *more: read.append(path) or real(path, *more))
    first = looked(root, cache_dir=cache)
    assert len(read) == 6
    second = looked(root, cache_dir=cache)
    assert len(read) == 6 and data_hash(second) == data_hash(first)
    assert second.counts().tolist() == first.counts().tolist()
    mask_png(root / "masks" / "train1.png", np.ones((HEIGHT, WIDTH)))
    third = looked(root, cache_dir=cache)
    assert len(read) == 7 and data_hash(third) != data_hash(first)
    (root / "classes.txt").write_text("void\nroad\nsky\n")  # the same files under other names
    fourth = looked(root, cache_dir=cache)
    assert len(read) == 7 and fourth.amounts()[0, 0] == third.amounts()[1, 0]


def test_masks_below_class_folders_are_not_taken_for_a_set_of_masks(tmp_path: Path) -> None:
    for number, name in enumerate(("cat/images/a.png", "cat/masks/a.png", "dog/images/a.png", "dog/masks/a.png")):
        picture(tmp_path / name, number)
    with pytest.raises(DataError, match=r"images with masks: cat/images/ beside cat/masks/, 2 pairs"):
        open_data(str(tmp_path))


# ------------------------------------------------------------------------------------------------ COCO
def test_cocos_boxes_outlines_and_crowds(tmp_path: Path) -> None:
    runs = {"size": [HEIGHT, WIDTH], "counts": [0, 24, 168]}  # the first two columns
    coco_folder(
        tmp_path,
        [
            annotation(10, bbox=(2, 3, 6, 6), segmentation=SQUARE),
            annotation(11, category=2, bbox=None, segmentation=runs, iscrowd=1),
        ],
        count=3,
    )
    for what in (tmp_path, tmp_path / "all.json"):
        dataset = looked(what)
        assert (dataset.kind, dataset.knows, dataset.classes) == ("coco", "outlines", ("cat", "dog"))
        found = objects(dataset)
        np.testing.assert_array_equal(found.boxes, [[2, 3, 8, 9], [0, 0, 2, 12]])
        assert found.label.tolist() == [0, 1] and found.ignore.tolist() == [False, True]
        assert found.where == (("all.json", 10), ("all.json", 11))
        both = found.masks(HEIGHT, WIDTH)
        assert both.shape == (2, HEIGHT, WIDTH) and both[0, 3:9, 2:8].all() and both[0].sum() == 36
        assert both[1, :, :2].all() and both[1].sum() == 24
        assert dataset.amounts().sum(axis=1).tolist() == [1, 0]  # a crowd is no object
        assert len(objects(dataset, 1)) == 0 and objects(dataset, 1).masks(5, 6).shape == (0, 5, 6)
        assert "all.json: 2 objects in 3 images, each with an outline: instances" in dataset.notes
        assert "images without objects: 2" in dataset.notes and "crowds, ignored: 1" in dataset.notes


def test_objects_without_outlines_make_a_set_of_boxes(tmp_path: Path) -> None:
    coco_folder(tmp_path, [annotation(1, segmentation=SQUARE), annotation(2, segmentation=[]), annotation(3)])
    dataset = looked(tmp_path)
    assert dataset.knows == "boxes"
    assert "all.json: 3 objects in 2 images, only 1 with an outline: boxes only" in dataset.notes
    with pytest.raises(ValueError, match="boxes only"):
        objects(dataset).masks(HEIGHT, WIDTH)


@pytest.mark.parametrize(
    ("train", "val", "images"),
    [
        ("instances_train.json", "instances_val.json", ("images/a.png", "images/b.png")),
        (
            "annotations/instances_train2017.json",
            "annotations/instances_val2017.json",
            ("train2017/a.png", "val2017/a.png"),
        ),
        ("train/_annotations.coco.json", "valid/_annotations.coco.json", ("train/a.png", "valid/a.png")),
    ],
)
def test_cocos_layouts(tmp_path: Path, train: str, val: str, images: tuple[str, str]) -> None:
    """Ids and even file names are alike in both files; the second counts its classes otherwise."""
    for number, (name, image) in enumerate(zip((train, val), images, strict=True)):
        picture(tmp_path / image, number)
        categories = [{"id": 3 - number, "name": "cat"}, {"id": 2 + number, "name": "dog"}]
        entry = {"id": 1, "file_name": image.rsplit("/", 1)[1], "height": HEIGHT, "width": WIDTH}
        marked = [annotation(1, category=3 - number, bbox=(1, 1, 2 + number, 2))]
        write_json(tmp_path / name, coco([entry], marked, categories))
    write_json(tmp_path / "annotations" / "captions_train2017.json", {"images": [], "annotations": []})
    write_json(tmp_path / "annotations" / "person_keypoints_train2017.json", coco([], []))
    if not train.startswith("annotations"):
        (tmp_path / "annotations" / "person_keypoints_train2017.json").unlink()
    dataset = looked(tmp_path)
    assert dataset.classes == ("dog", "cat")
    assert [dataset.records[dataset.ids(split)[0]].name for split in ("train", "val")] == list(images)
    assert [objects(dataset, int(dataset.ids(split)[0])).label.tolist() for split in ("train", "val")] == [[1], [1]]
    assert not dataset.problems


def test_two_files_that_could_both_be_meant(tmp_path: Path) -> None:
    coco_folder(tmp_path, [annotation(1)])
    write_json(tmp_path / "other.json", json.loads((tmp_path / "all.json").read_text()))
    with pytest.raises(DataError, match=r"several files could hold the annotations: all\.json, other\.json"):
        open_data(str(tmp_path))
    assert len(open_data(str(tmp_path / "other.json"))) == 2


BAD_OBJECTS: list[tuple[dict[str, Any], str]] = [
    ({"bbox": [1, 2, -3, 4]}, "inverted"),
    ({"bbox": [1, 2, 3, 0]}, "zero-area"),
    ({"bbox": [1, 2, math.nan, 4]}, "not-a-number"),
    ({"bbox": [1, 2, math.inf, 4]}, "not-a-number"),
    ({"bbox": [1, 2, 3]}, "bad-box"),
    ({"bbox": "1234"}, "bad-box"),
    ({"bbox": [1, 2, "three", 4]}, "not-a-number"),
    ({"bbox": [1, 2, True, 4]}, "not-a-number"),
    ({"bbox": [1, 2, 10**400, 4]}, "not-a-number"),
    ({"bbox": [40, 2, 3, 4]}, "outside"),
    ({"bbox": None, "segmentation": []}, "no-box"),
    ({"category_id": 9}, "unknown-class"),
    ({"category_id": "one"}, "unknown-class"),
    ({"iscrowd": "perhaps"}, "bad-flag"),
    ({"category_id": [[[]]]}, "unknown-class"),
    ({"image_id": 9}, "unknown-image"),
    ({"image_id": None}, "unknown-image"),
    ({"image_id": [1]}, "unknown-image"),
    ({"segmentation": [[1, 2, 3, 4]]}, "bad-outline"),
    ({"segmentation": [[1, 2, 3, 4, 5, 6, 7]]}, "bad-outline"),
    ({"segmentation": [[1, 2, 3, math.nan, 5, 6]]}, "bad-outline"),
    ({"segmentation": [[1, 2, 3, 4, 5, 1e9]]}, "bad-outline"),
    ({"segmentation": "x"}, "bad-outline"),
    ({"segmentation": [[1, 2, 3, 4, 3 * WIDTH, 6]]}, "bad-outline"),
    ({"segmentation": {"size": [HEIGHT, WIDTH], "counts": [1, 2]}}, "bad-outline"),
    ({"segmentation": {"size": [HEIGHT, WIDTH], "counts": [HEIGHT * WIDTH]}}, "bad-outline"),
    ({"segmentation": {"size": [HEIGHT, WIDTH], "counts": [1.5, 2]}}, "bad-outline"),
    ({"segmentation": {"size": [10**9, 10**9], "counts": [10**18]}}, "bad-outline"),
    ({"segmentation": {"size": [WIDTH, HEIGHT], "counts": [0, HEIGHT * WIDTH]}}, "bad-outline"),
    ({"segmentation": {"size": "x"}}, "bad-outline"),
]


@pytest.mark.parametrize("row", range(len(BAD_OBJECTS)))
def test_a_bad_object_is_ignored_and_its_image_stays(tmp_path: Path, row: int) -> None:
    """It can be seen in the image, so it is no background; only what is outside, or of no image, is dropped."""
    changed, code = BAD_OBJECTS[row]
    one, seven, eight = (annotation(id, segmentation=SQUARE) for id in (1, 7, 8))
    dataset = looked(coco_folder(tmp_path, [one, {**seven, **changed}, eight]))
    assert dataset.knows == "outlines"
    action = "dropped" if code in ("outside", "unknown-image") else "ignored"
    assert codes(dataset) == [f"all.json:None:{code}:{action}"]
    assert "annotation 7" in dataset.problems[0].reason and dataset.problems[0].fix
    found = objects(dataset)
    real = [id for (_, id), ignore in zip(found.where, found.ignore, strict=True) if not ignore]
    assert real == [1, 8] and len(dataset) == 2
    assert ({id for _, id in found.take(found.ignore).where} == {7}) == (action == "ignored")
    masks = found.masks(HEIGHT, WIDTH)
    assert masks[found.ignore].any(axis=(1, 2)).all() and dataset.amounts().sum() == 2


def test_boxes_that_leave_their_image_are_clipped_and_said(tmp_path: Path) -> None:
    dataset = looked(
        coco_folder(tmp_path, [annotation(1, bbox=(-5, -6, 7, 8)), annotation(2, bbox=(14, 10, 2.5, 2.1))])
    )
    np.testing.assert_allclose(objects(dataset).boxes, [[0, 0, 2, 2], [14, 10, 16, 12]])
    assert codes(dataset) == ["all.json:None:out-of-frame:clipped"]
    assert "boxes up to a pixel outside their image, clipped: 1" in dataset.notes


def test_repeated_ids(tmp_path: Path) -> None:
    same = annotation(1)
    dataset = looked(coco_folder(tmp_path, [same, same, annotation(1, bbox=(5, 5, 2, 2)), annotation(0, image=2)]))
    assert codes(dataset) == ["all.json:None:repeated:dropped", "all.json:None:duplicate-id:kept"]
    assert len(objects(dataset)) == 2


def test_images_of_a_coco_file_that_cannot_be_used(tmp_path: Path) -> None:
    for name in "abcd":
        picture(tmp_path / "images" / f"{name}.png", ord(name))
    for folder in ("more", "other"):
        picture(tmp_path / folder / "e.png", 9)
    entries: list[Any] = [
        {"id": 1, "file_name": "a.png"}, {"id": 2, "file_name": "b.png"}, {"id": 2, "file_name": "c.png"},
        {"id": 4, "file_name": "gone.png"}, {"id": 5, "file_name": "./a.png"}, {"id": 6, "file_name": "e.png"},
        {"file_name": "c.png"}, 7, {"id": 8, "file_name": "../../etc/passwd"},
        {"id": 9, "file_name": "c.png", "height": 99, "width": 99},
    ]  # fmt: skip
    write_json(tmp_path / "all.json", coco(entries, [annotation(1), annotation(2, image=2), annotation(3, image=9)]))
    dataset = looked(tmp_path)
    assert sorted(codes(dataset)) == sorted([
        "all.json:None:bad-image:quarantined", "all.json:None:bad-image:quarantined",
        "all.json:None:duplicate-id:quarantined", "all.json:None:duplicate-id:quarantined",
        "all.json:None:missing:quarantined", "all.json:None:missing:quarantined",
        "all.json:None:repeated:quarantined", "all.json:None:ambiguous:quarantined",
        "all.json:None:unknown-image:dropped", "images/c.png:None:size-mismatch:quarantined",
    ])  # fmt: skip
    assert [r.name for r in dataset.audit.records()] == ["images/a.png"]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"categories": [{"id": 1}]}, "entry 0 of categories has no id or no name"),
        ({"categories": [{"id": 1, "name": "a"}, {"id": 1, "name": "b"}]}, "the category 1 .b. occurs twice"),
        ({"categories": [{"id": 1, "name": "a"}, {"id": 2, "name": "A"}]}, "differ only in case"),
        ({"categories": None}, r"all\.json: categories is not a list"),
        ({"categories": 3}, r"all\.json: categories is not a list"),
        ({"annotations": {}}, r"all\.json: annotations is not a list"),
        ({"images": None}, r"all\.json: images is not a list"),
    ],
)
def test_a_coco_file_that_cannot_be_believed_is_refused(tmp_path: Path, change: dict[str, Any], says: str) -> None:
    coco_folder(tmp_path, [annotation(1)])
    write_json(tmp_path / "all.json", {**json.loads((tmp_path / "all.json").read_text()), **change})
    with pytest.raises(DataError, match=says):
        open_data(str(tmp_path))


@pytest.mark.parametrize("key", ["annotations", "categories", "images"])
def test_a_coco_file_without_one_of_its_lists_is_no_folder_of_classes(tmp_path: Path, key: str) -> None:
    coco_folder(tmp_path, [annotation(1)])
    document = json.loads((tmp_path / "all.json").read_text())
    del document[key]
    write_json(tmp_path / "all.json", document)
    for what in (tmp_path, tmp_path / "all.json"):
        with pytest.raises(DataError, match=rf"all\.json: it has no list of {key}"):
            open_data(str(what))


def test_ten_thousand_boxes_are_inside_or_named(tmp_path: Path) -> None:
    """Each box is, in its image, valid and inside it, or a named rejection of that box; nothing else goes."""
    rng, odd = random.Random(11), [math.nan, math.inf, -math.inf, 0, -0.0, 1e-300, -1e308, 1e308, 16, 12, -1, 2**53]
    values = [lambda: rng.choice(odd), lambda: rng.uniform(-20, 30), lambda: rng.randrange(-3, 18)]
    boxes = [[rng.choice(values)() for _ in range(4)] for _ in range(10_000)]
    dataset = looked(coco_folder(tmp_path, [annotation(i, 1 + i % 2, bbox=box) for i, box in enumerate(boxes)]))
    assert len(dataset) == 2
    kept = {}
    for id in (0, 1):
        found = objects(dataset, id)
        kept |= {place: box for (_, place), box in zip(found.where, found.boxes, strict=True)}
    dropped = {int(p.reason.split("annotation ")[1].split()[0]) for p in dataset.problems if p.action == "dropped"}
    assert len(kept) > 500 and kept.keys() | dropped == set(range(10_000)) and not kept.keys() & dropped
    all_kept = np.stack(list(kept.values()))
    assert np.isfinite(all_kept).all() and (all_kept >= 0).all() and (all_kept <= [WIDTH, HEIGHT, WIDTH, HEIGHT]).all()
    assert (all_kept[:, 2:] > all_kept[:, :2]).all()
    ignored = {int(p.reason.split("annotation ")[1].split()[0]) for p in dataset.problems if p.action == "ignored"}
    for place, box in kept.items():  # what was good is not changed
        x, y, w, h = boxes[place]
        if place in ignored:
            continue
        if min(x, y) >= 0 and x + w <= WIDTH and y + h <= HEIGHT:
            assert box.tolist() == [x, y, x + w, y + h]


# ------------------------------------------------------------------------------------------------ VOC
def test_vocs_boxes_become_edges(tmp_path: Path) -> None:
    pages = {
        "a": voc_xml([("dog", (1, 1, 16, 12)), ("cat", (3, 4, 8, 9))]),
        "b": voc_xml([]),
        "c": voc_xml([("cat", (1, 1, 2, 2))]),
    }
    voc(tmp_path, pages, {"train": ["a"], "val": ["b"], "trainval": ["a", "b"], "cat_train": ["a 1"]})
    dataset = looked(tmp_path)
    assert (dataset.kind, dataset.knows, dataset.classes) == ("voc", "boxes", ("cat", "dog"))
    np.testing.assert_array_equal(objects(dataset).boxes, [[0, 0, 16, 12], [2, 3, 8, 9]])
    assert objects(dataset).label.tolist() == [1, 0]
    assert objects(dataset).where == (("Annotations/a.xml", 3), ("Annotations/a.xml", 6))
    assert [dataset.ids(split).tolist() for split in ("train", "val", "test")] == [[0], [1], []]
    assert "images in no list, not used: 1" in dataset.notes
    assert not dataset.problems


def test_vocs_difficult_objects_are_ignored(tmp_path: Path) -> None:
    page = voc_xml([("cat", (1, 1, 5, 5))], more="<difficult>1</difficult>")
    part = "<part><name>tail</name><bndbox><xmin>9</xmin><ymin>9</ymin><xmax>9</xmax><ymax>9</ymax></bndbox></part>"
    other = voc_xml([("cat", (1, 1, 5, 5))], more=f"<difficult>0</difficult>{part}")
    dataset = looked(voc(tmp_path, {"a": page, "b": other}))
    assert objects(dataset, 0).ignore.tolist() == [True] and objects(dataset, 1).ignore.tolist() == [False]
    assert dataset.classes == ("cat",) and objects(dataset, 1).boxes.tolist() == [[0, 0, 5, 5]]
    assert dataset.counts().sum() == 1
    assert "boxes marked difficult, ignored: 1" in dataset.notes


@pytest.mark.parametrize(
    ("name", "box", "code"),
    [
        ("cat", (5, 1, 2, 4), "inverted"),
        ("cat", (5, 1, 5, 4), "zero-area"),
        ("cat", ("nan", 1, 5, 4), "not-a-number"),
        ("cat", ("1e999", 1, 5, 4), "not-a-number"),
        ("cat", ("", 1, 5, 4), "not-a-number"),
        ("cat", ("9" * 500, 1, 5, 4), "not-a-number"),
        ("cat", (40, 1, 50, 4), "outside"),
        ("", (1, 1, 5, 4), "no-class"),
        ("c" * 500, (1, 1, 5, 4), "no-class"),
    ],
)
def test_a_bad_object_of_voc_is_named_by_its_line(tmp_path: Path, name: str, box: Any, code: str) -> None:
    dataset = looked(voc(tmp_path, {"a": voc_xml([("dog", (1, 1, 4, 4)), (name, box), ("dog", (2, 2, 4, 4))])}))
    action = "dropped" if code == "outside" else "ignored"
    assert codes(dataset) == [f"Annotations/a.xml:6:{code}:{action}"]
    found = objects(dataset)
    assert [line for _, line in found.take(~found.ignore).where] == [3, 9]
    assert {line for _, line in found.take(found.ignore).where} == ({6} if action == "ignored" else set())


def test_images_of_voc_that_cannot_be_used(tmp_path: Path) -> None:
    good = voc_xml([("cat", (1, 1, 5, 5))])
    voc(tmp_path, dict.fromkeys("abcdef", good), {"train": [*"abcdef", "gone"]})
    (tmp_path / "Annotations" / "b.xml").write_text(good[:-20])
    (tmp_path / "Annotations" / "c.xml").unlink()
    (tmp_path / "Annotations" / "d.xml").write_text(voc_xml([("cat", (1, 1, 5, 5))], (99, 98)))
    (tmp_path / "Annotations" / "e.xml").write_text("<html></html>")
    (tmp_path / "JPEGImages" / "f.png").write_bytes(b"x")
    (tmp_path / "Annotations" / "spare.xml").write_text(good)
    dataset = looked(tmp_path)
    assert codes(dataset) == [
        "ImageSets/Main/train.txt:7:missing:quarantined",
        "Annotations/b.xml:5:bad-xml:quarantined",
        "JPEGImages/c.png:None:no-annotation:quarantined",
        "Annotations/e.xml:1:bad-xml:quarantined",
        "JPEGImages/f.png:None:not-an-image:quarantined",
        "JPEGImages/d.png:None:size-mismatch:quarantined",
    ]
    assert data_json(dataset, "detection")["n"] == 7 and len(dataset) == 1
    assert "XML files without an image: 1" in dataset.notes


def test_voc_counted_from_zero_is_said(tmp_path: Path) -> None:
    dataset = looked(voc(tmp_path, {"a": voc_xml([("cat", (0, 0, 5, 5))])}))
    np.testing.assert_array_equal(objects(dataset).boxes, [[0, 0, 5, 5]])
    assert any("xmin or ymin of 0, clipped: 2" in note for note in dataset.notes) and not dataset.problems


# ------------------------------------------------------------------------------------------------ the data set
def test_a_set_of_labels_has_no_truth(tmp_path: Path) -> None:
    dataset = build_dataset(str(write_folder(tmp_path, {"a": 3, "b": 3})))
    assert dataset.knows == "labels" and data_json(dataset, "classification")["amounts"] is None
    assert dataset.amounts().tolist() == dataset.counts().tolist()
    with pytest.raises(UsageError, match="no boxes or masks"):
        dataset.truth(0)


def test_without_given_splits_pixels_decide(tmp_path: Path) -> None:
    dataset = build_dataset(str(coco_folder(tmp_path, [annotation(i, i) for i in range(1, 41)], count=40)))
    sizes = [len(dataset.ids(split)) for split in ("train", "val", "test")]
    assert sum(sizes) == 40 and min(sizes) > 0
    few = build_dataset(str(coco_folder(tmp_path / "few", [annotation(1), annotation(2, 2)])))
    assert "classes too small for an image in val: cat" in few.notes


def test_what_cannot_be_learned_from(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nothing in it is annotated"):
        build_dataset(str(voc(tmp_path / "a", {"a": voc_xml([]), "b": voc_xml([])})))
    with pytest.raises(DataError, match="none of the 2 usable images"):
        build_dataset(str(coco_folder(tmp_path / "b", [])))
    pages = {"a": voc_xml([]), "b": voc_xml([("cat", (1, 1, 5, 5))])}
    with pytest.raises(DataError, match="nothing is annotated in the 1 training images"):
        build_dataset(str(voc(tmp_path / "c", pages, {"train": ["a"], "val": ["b"]})))


def test_a_class_that_only_test_holds_is_a_note(tmp_path: Path) -> None:
    pages = {"a": voc_xml([("cat", (1, 1, 5, 5))]), "b": voc_xml([("dog", (1, 1, 5, 5))])}
    dataset = build_dataset(str(voc(tmp_path, pages, {"train": ["a"], "test": ["b"], "val": []})))
    assert "classes without training images, which cannot be learned: dog" in dataset.notes
    assert dataset.counts().tolist() == [[1, 0, 0], [0, 0, 1]]


def test_copies_leak_and_contradict(tmp_path: Path) -> None:
    box, other = voc_xml([("cat", (1, 1, 5, 5))]), voc_xml([("cat", (1, 1, 5, 6))])
    voc(tmp_path, {"a": box, "b": box, "c": box, "d": other}, {"train": ["a", "c", "d"], "test": ["b"]})
    picture(tmp_path / "JPEGImages" / "d.png", 2)  # as c, annotated otherwise
    dataset = looked(tmp_path)
    assert codes(dataset) == [f"JPEGImages/{n}.png:None:label-conflict:kept" for n in "cd"]
    picture(tmp_path / "JPEGImages" / "b.png", 0)  # as a, which trains
    with pytest.raises(DataError, match="images in two splits: 1"):
        looked(tmp_path)
    assert len(looked(tmp_path, leaks="drop")) == 3


@pytest.mark.parametrize("kind", ["masks", "boxes"])
def test_classes_of_a_run_are_found_by_name(tmp_path: Path, kind: str) -> None:
    if kind == "masks":
        dataset = looked(masked(tmp_path, {"train": 2}))
        classes, wanted = ("road", "tree", "sky"), [2, 0, 2]
    else:
        dataset = looked(coco_folder(tmp_path, [annotation(1, 1), annotation(2, 2, 2)], name="train.json"))
        classes, wanted = ("dog", "bird", "cat"), None
    moved = with_classes(dataset, classes)
    for old, new in ((dataset.truth(0), moved.truth(0)),):
        if isinstance(old, Objects) and isinstance(new, Objects):
            assert [dataset.classes[i] for i in old.label] == [classes[i] for i in new.label] == ["cat"]
        else:
            named = np.array([*classes, *[""] * 253])[new]
            np.testing.assert_array_equal(named, np.array([*dataset.classes, *[""] * 254])[old])
    if wanted:
        assert moved.counts().sum(axis=1).tolist() == wanted
    assert moved.counts().sum() == dataset.counts().sum() and moved.counts().shape == (3, 3)
    assert data_json(moved, "detection")["classes"] == list(classes)
    with pytest.raises(DataError, match="does not know"):
        with_classes(dataset, ("bird",))


def test_a_hash_knows_every_box_and_outline(tmp_path: Path) -> None:
    def hashed(**more: Any) -> str:
        marks = [annotation(1, **{"segmentation": SQUARE, **more}), annotation(2, 2, segmentation=SQUARE)]
        return data_hash(looked(coco_folder(tmp_path, marks, name="train.json")))

    first = hashed()
    changes: list[dict[str, Any]] = [
        {"bbox": (1, 2, 3, 4.5)}, {"category": 2}, {"iscrowd": 1}, {"segmentation": [[2, 3, 8, 3, 8, 9]]},
    ]  # fmt: skip
    assert hashed() == first
    assert len({first, *(hashed(**change) for change in changes)}) == 5


def test_problems_name_the_record_that_they_cost(tmp_path: Path) -> None:
    dataset = looked(coco_folder(tmp_path, [annotation(1, 2, bbox=(40, 40, 2, 2))]))
    assert [(p.id, p.action) for p in dataset.problems] == [(1, "dropped")]
    assert all(p.action in (KEPT, QUARANTINED, "dropped") for p in dataset.problems)


def test_an_image_that_changed_since_the_audit_is_said(tmp_path: Path) -> None:
    dataset = looked(coco_folder(tmp_path, [annotation(1)]))
    picture(tmp_path / "images" / "1.png", 1, 40, 30)
    with pytest.raises(DataError, match="changed since the audit"):
        dataset.truth(0)


def test_outlines_of_another_size_are_refused() -> None:
    runs = Runs(2, 3, np.array([6]))
    with pytest.raises(ValueError, match="cannot be drawn at 3 x 2"):
        runs.mask(3, 2)
    found = Objects(np.zeros((1, 4)), np.zeros(1, int), np.zeros(1, bool), (("a", 1),), (runs,))
    assert found.masks(2, 3).shape == (1, 2, 3) and replace(found, orientation=6).masks(3, 2).shape == (1, 3, 2)


# ------------------------------------------------------------------------------------------------ real sets
@pytest.mark.skipif(not Path(DATA, "camvid").is_dir(), reason="SIGHTLINE_DATA/camvid is not there")
def test_camvid(tmp_path: Path) -> None:
    dataset = build_dataset(f"{DATA}/camvid", cache_dir=tmp_path)
    assert (dataset.knows, len(dataset.classes)) == ("masks", 11)
    assert [len(dataset.ids(split)) for split in ("train", "val", "test")] == [367, 101, 233]
    assert not dataset.problems
    truth = dataset.truth(5)
    assert isinstance(truth, np.ndarray) and truth.shape == (360, 480) and set(np.unique(truth)) <= {*range(11), 255}


@pytest.mark.skipif(not Path(DATA, "bccd").is_dir(), reason="SIGHTLINE_DATA/bccd is not there")
def test_bccd() -> None:
    dataset = build_dataset(f"{DATA}/bccd")
    assert (dataset.knows, dataset.classes) == ("boxes", ("Platelets", "RBC", "WBC"))
    assert [len(dataset.ids(split)) for split in ("train", "val", "test")] == [205, 87, 72]
    assert codes(dataset) == [f"Annotations/BloodImage_00{n}:zero-area:ignored" for n in ("338.xml:158", "343.xml:50")]
    assert dataset.amounts().sum() == 4886


@pytest.mark.skipif(not Path(DATA, "nuclei").is_dir(), reason="SIGHTLINE_DATA/nuclei is not there")
def test_nuclei() -> None:
    dataset = build_dataset(f"{DATA}/nuclei")
    assert (dataset.knows, dataset.classes) == ("outlines", ("nucleus",))
    assert dataset.amounts().tolist() == [[7680, 1863, 0]] and not dataset.problems
    document = json.loads(Path(DATA, "nuclei", "instances_val.json").read_text())
    entry = document["images"][3]
    id = next(r.id for r in dataset.records if r.name.endswith(entry["file_name"]))
    marks = [a for a in document["annotations"] if a["image_id"] == entry["id"]]
    found = objects(dataset, id)
    wanted = oracle.decode([{**a["segmentation"], "counts": a["segmentation"]["counts"].encode()} for a in marks])
    np.testing.assert_array_equal(found.masks(256, 256), wanted.transpose(2, 0, 1).astype(bool))
    np.testing.assert_array_equal([runs.box() for runs in found.outline], found.boxes)
