"""Data sets as strangers lay them out, in a few kilobytes each: annotated ones in many tools' folders, and class folders."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image

SIDE = 12
Layout = tuple[str, Callable[[Path], None]]  # what it is, and what writes it into a folder
PICTURE_WORDS = (
    "images",
    "Images",
    "img",
    "imgs",
    "JPEGImages",
    "image",
    "photos",
    "rgb",
    "TRAIN_images",
    "leftImg8bit",
)
MASK_WORDS = (
    "masks", "mask", "labels", "label", "gt", "GT", "annotations", "SegmentationClassPNG", "1st_manual", "ground_truth",
    "groundtruth", "annot", "gtFine", "segmentations", "trimaps", "semantic", "labelmaps", "Mask_Images",
)  # fmt: skip
SPLIT_WORDS = (
    ("train", "val"), ("training", "testing"), ("training_set", "test_set"), ("Train", "Test"), ("seg_train", "seg_test"),
    ("train2017", "val2017"), ("TRAIN", "DEV"), ("train", "eval"), ("train_data", "valid_data"), ("trainset", "testset"),
)  # fmt: skip
CORNERS = (
    "xmin,ymin,xmax,ymax",
    "x1,y1,x2,y2",
    "x,y,w,h",
    "bbox",
    "x,y,width,height",
    "left,top,right,bottom",
    "XMin,YMin,XMax,YMax",
)


@cache
def photo(number: int, suffix: str = "png") -> bytes:
    pixels = np.random.default_rng(number).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    return _encoded(Image.fromarray(pixels), suffix)


@cache
def mask(number: int, suffix: str = "png", colour: bool = False) -> bytes:
    values = np.zeros((SIDE, SIDE), np.uint8)
    values[2 : 6 + number % 5, 3:9] = 255
    return _encoded(Image.fromarray(np.stack([values, 0 * values, values], 2) if colour else values), suffix)


def _encoded(image: Image.Image, suffix: str) -> bytes:
    out = io.BytesIO()
    image.save(out, {"jpg": "JPEG", "tif": "TIFF"}.get(suffix, suffix.upper()))
    return out.getvalue()


def put(path: Path, content: bytes | str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())


# ------------------------------------------------------------------------------------------------ annotated
def annotated_layouts() -> Iterator[Layout]:
    yield from _masks()
    yield from _yolo()
    yield from _json()
    yield from _xml()
    yield from _tables_of_boxes()


def _masks() -> Iterator[Layout]:
    for i, (pictures, masks) in enumerate((p, m) for p in PICTURE_WORDS for m in MASK_WORDS):
        kind = ("png", "jpg", "colour", "bmp", "tif", "png", "png_mask")[i % 7]
        place = ("{role}", "{split}/{role}", "{role}/{split}", "set/{role}", "{split}/{role}/deep")[i % 5]
        yield (
            f"masks {pictures} {masks} {place} {kind}",
            _mask_writer(pictures, masks, place, kind, SPLIT_WORDS[i % 10]),
        )
    for train, test in SPLIT_WORDS[:4]:
        for word in ("annot", "_masks", "-labels", "_gt"):
            yield f"masks {train} {train}{word}", _parallel(train, test, word)
    for tail in ("_mask", "_label", "_seg", "-gt"):
        yield f"masks in one folder {tail}", _one_folder(tail)
        yield f"masks in class folders {tail}", _one_folder(tail, ("benign", "malignant"))
    yield "twins of a photograph and a map", _one_folder("")


def _mask_writer(pictures: str, masks: str, place: str, kind: str, splits: tuple[str, str]) -> Callable[[Path], None]:
    end = {"colour": "png", "png_mask": "png"}.get(kind, kind)
    tail = "_mask" if kind == "png_mask" else ""

    def write(root: Path) -> None:
        for split in splits if "{split}" in place else ("",):
            for i in range(4):
                put(root / place.format(split=split, role=pictures) / f"{i:03}.jpg", photo(i, "jpg"))
                put(
                    root / place.format(split=split, role=masks) / f"{i:03}{tail}.{end}", mask(i, end, kind == "colour")
                )

    return write


def _parallel(train: str, test: str, word: str) -> Callable[[Path], None]:
    def write(root: Path) -> None:
        for split in (train, test):
            for i in range(4):
                put(root / split / f"{i}.png", photo(i))
                put(root / f"{split}{word}" / f"{i}.png", mask(i))

    return write


def _one_folder(tail: str, folders: tuple[str, ...] = ("data",)) -> Callable[[Path], None]:
    def write(root: Path) -> None:
        for folder in folders:
            for i in range(4):
                put(root / folder / f"case ({i}).jpg", photo(i, "jpg"))
                put(root / folder / f"case ({i}){tail}.png", mask(i))

    return write


def _yolo() -> Iterator[Layout]:
    lines = ("0 0.5 0.5 0.25 0.25\n", "1 0.1 0.1 0.2 0.1 0.2 0.2\n1 0.3 0.3 0.1 0.1\n", "0 0.5 0.5 1 1 0.9\n")
    for i, splits in enumerate(SPLIT_WORDS):
        for place in ("{split}/{role}", "{role}/{split}", "{split}"):
            yield (
                f"yolo {place} {splits[0]}",
                _side_files(place, splits, "txt", lines[i % 3], "labels", yaml=i % 2 == 0),
            )
    yield "darknet", _side_files("obj_train_data", ("",), "txt", lines[0], "labels", yaml=False)
    yield "coordinates", _side_files("{role}", ("",), "txt", "12 40 80 90\n", "points", yaml=False)


def _json() -> Iterator[Layout]:
    shapes = json.dumps({"version": "5", "shapes": [{"label": "a", "points": [[1, 2], [3, 4]]}], "imagePath": "x.png"})
    objects = json.dumps({"size": {"height": 9}, "objects": [{"classTitle": "a", "points": {"exterior": [[1, 2]]}}]})
    via = json.dumps({"0.png12": {"filename": "0.png", "regions": [{"shape_attributes": {"name": "rect", "x": 1}}]}})
    createml = json.dumps([{"image": "0.png", "annotations": [{"label": "a", "coordinates": {"x": 1, "y": 1}}]}])
    for i, splits in enumerate(SPLIT_WORDS):
        text = (shapes, objects)[i % 2]
        yield f"json {splits[0]} side by side", _side_files("{split}", splits, "json", text, "ann")
        yield f"json {splits[0]} in folders", _side_files("{split}/{role}", splits, "json", text, "ann")
    yield "labelme", _side_files("frames", ("",), "json", shapes, "ann")
    for name, text in (("via_region_data.json", via), ("_annotations.createml.json", createml)):
        for folder in ("", "train", "images"):
            yield f"{name} in {folder}", _one_file(f"{folder}/{name}".lstrip("/"), text, folder or "train")
    coco = json.dumps({"images": [], "annotations": [{"bbox": [1, 1, 2, 2]}], "categories": []})
    for name in ("train/annotations.json", "labels/coco.json", "deep/er/instances.json"):
        yield f"coco at {name}", _one_file(name, coco, "train")


def _xml() -> Iterator[Layout]:
    box = "<bndbox><xmin>1</xmin><ymin>1</ymin><xmax>5</xmax><ymax>5</ymax></bndbox>"
    voc = f"<annotation><object><name>a</name>{box}</object></annotation>"
    cvat = (
        '<annotations>\n<version>1.1</version><image id="0" name="0.png"><box label="a" xtl="1"/></image></annotations>'
    )
    for splits in SPLIT_WORDS:
        yield f"voc {splits[0]} side by side", _side_files("{split}", splits, "xml", voc, "xmls")
        yield f"voc {splits[0]} in folders", _side_files("{split}/{role}", splits, "xml", voc, "annotations")
    yield "voc in lower case", _side_files("{role}", ("",), "xml", voc, "annotations")
    for folder in ("images", "frames", "job_1"):
        yield f"cvat {folder}", _one_file("annotations.xml", cvat, folder)


def _tables_of_boxes() -> Iterator[Layout]:
    for corners in CORNERS:
        cells = ",".join(map(str, range(1, corners.count(",") + 2))) if "," in corners else '"[1, 2, 3, 4]"'
        text = f"filename,class,{corners}\n" + "".join(f"{i}.png,{'ab'[i % 2]},{cells}\n" for i in range(4))
        for name, folder in (("boxes.csv", "images"), ("train/_annotations.csv", "train"), ("labels.csv", "")):
            yield f"table {corners} {name}", _one_file(name, text, folder)
        yield f"table {corners} beside classes", _one_file("boxes.csv", text, "cat", "dog")


def _side_files(
    place: str, splits: tuple[str, ...], suffix: str, text: str, role: str, *, yaml: bool = False
) -> Callable[[Path], None]:
    def write(root: Path) -> None:
        for split in splits:
            for i in range(4):
                put(root / place.format(split=split, role="images") / f"p{i}.png", photo(i))
                put(root / place.format(split=split, role=role) / f"p{i}.{suffix}", text)
        if yaml:
            put(root / "data.yaml", "train: train/images\nnc: 2\nnames: [a, b]\n")

    return write


def _one_file(name: str, text: str, *folders: str) -> Callable[[Path], None]:
    def write(root: Path) -> None:
        put(root / name, text)
        for folder in folders:
            for i in range(4):
                put(root / folder / f"{i}.png", photo(i))

    return write


# ------------------------------------------------------------------------------------------------ class folders
CLASSES = (
    ("cat", "dog"), ("with_mask", "without_mask"), ("mask", "no_mask"), ("manual", "automatic"), ("label", "barcode"),
    ("target", "decoy", "noise"), ("bus", "train", "tram"), ("bullet_train", "steam_train", "tram"), ("a", "b"),
    ("0", "1", "2", "3"), ("left", "right"), ("image", "text"), ("seg", "frag"), ("golden retriever", "pug", "shih-tzu"),
    ("semantic", "lexical"), ("test_tube", "passenger_train", "cup"), ("truth", "lie"), ("Pre-Test", "Post-Test"),
    ("annotated", "plain"), ("png", "webp"), ("positive", "negative"), ("photo", "sketch"), ("data", "text", "code"),
)  # fmt: skip


def class_layouts() -> Iterator[tuple[str, tuple[str, ...], tuple[str, ...], Callable[[Path], None]]]:
    """What it is, its classes, the folders of its splits, and what writes it."""
    for i, classes in enumerate(CLASSES):
        yield f"plain {classes}", classes, (), _class_writer(classes, (), "{label}/{i}.png", maps=False)
        yield f"maps {classes}", classes, (), _class_writer(classes, (), "{label}/{i}.png", maps=True)
        named = "{split}/{label}/{label}_{i}.png"
        splits = SPLIT_WORDS[i % len(SPLIT_WORDS)]
        yield f"{splits} {classes}", classes, splits, _class_writer(classes, splits, named, maps=False, notes=True)
        splits = SPLIT_WORDS[(i + 3) % len(SPLIT_WORDS)]
        yield (
            f"alike {splits} {classes}",
            classes,
            splits,
            _class_writer(classes, splits, "{split}/{label}/{i}.png", maps=False),
        )
        splits = SPLIT_WORDS[(i + 5) % len(SPLIT_WORDS)]
        doubled = "{split}/{split}/{label}/{i}.png"
        yield f"doubled {splits} {classes}", classes, splits, _class_writer(classes, splits, doubled, maps=False)
        deep = "archive/{label}/x{i}.png"
        yield f"one folder more {classes}", classes, (), _class_writer(classes, (), deep, maps=False, notes=True)


def _class_writer(
    classes: tuple[str, ...], splits: tuple[str, ...], place: str, *, maps: bool, notes: bool = False
) -> Callable[[Path], None]:
    def write(root: Path) -> None:
        number = 0
        for split in splits or ("",):
            for label in classes:
                for i in range(4):
                    number += 1
                    name = root / place.format(split=split, label=label, i=i)
                    put(name, mask(number) if maps else photo(number))
                    if notes:
                        put(name.with_suffix(".txt"), "a picture of something with 3 parts\n")
                        put(name.with_suffix(".json"), '{"source": "web", "width": 12}')

    return write
