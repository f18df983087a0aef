"""Recognises a data set: a built-in name, a folder in one of the known layouts, a table or a Parquet file.

A bare word is a built-in data set or a folder in `$SIGHTLINE_DATA`; a path has a separator or a suffix or exists. The
first note of the source says what it was taken for, before anything is trained.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from sightline.data.archives.unpacking import is_archive
from sightline.data.fetching.addresses import is_address
from sightline.data.files.missing import require_path
from sightline.data.files.walking import RUN_FILES, walk
from sightline.data.formats.annotated.coco import read_coco_file
from sightline.data.formats.annotated.tools.boxtables import is_box_table, read_box_table
from sightline.data.formats.annotated.tools.cvat import read_cvat_file
from sightline.data.formats.annotated.tools.hub import has_objects, read_hub
from sightline.data.formats.annotated.tools.yolo import read_yolo_file
from sightline.data.records.names import IMAGE_SUFFIXES, suffix
from sightline.data.records.source import Source
from sightline.errors import DataError, UsageError, nearest
from sightline.storage.text import printable

from .builtin import DATASETS, VARIABLE
from .folders import read_folder
from .idx import is_idx_folder, read_idx_folder
from .packed.addresses import open_address
from .packed.archives import archives_alone, open_archives
from .packed.small_images import is_small_images, read_small_images
from .parquet import read_parquet
from .passed.sources import is_passed, passed
from .pixels.trees import is_voc_masks, read_voc_masks
from .tables import TABLE_SUFFIXES, read_table
from .texts.sentences import read_texts, text_tables


def open_data(what: str, *, allow_network: bool = False, label: str | None = None, strict: bool = True) -> Source:
    """The data set `what`; `label` names the column of the labels in its table; if not `strict`,
    where it has one. Raises UsageError for an unknown name, an address that may not be fetched, or data whose labels are in no
    table; DataError if it cannot be read."""
    if is_passed(what):
        source: Source = passed(what)
    elif what in DATASETS:
        source = DATASETS[what]()
        if os.path.isdir(what):
            source = replace(
                source,
                notes=(*source.notes, f"this is the built-in data set; write ./{what} for the folder of that name"),
            )
    elif is_address(what):
        source = open_address(what, partial(_open_path, label=label), allow_network=allow_network, label=label)
    elif is_path(what):
        source = _open_path(Path(what), label)
    elif what and os.path.isdir(folder := os.path.join(os.environ.get(VARIABLE) or os.devnull, what)):
        source = _open_path(Path(folder), label)
    else:
        raise UsageError(
            f"unknown data set '{printable(what)}'",
            f"{nearest(what, DATASETS)} Write a path with a separator: ./{printable(what)}",
        )
    if strict and label is not None and source.column.casefold() != label.casefold():
        raise UsageError(
            f"data.label={printable(label)} has no effect: {printable(source.name)} takes its labels from no table",
            "leave it out, or give a table (.csv, .tsv, .jsonl) or a Parquet file",
        )
    return replace(source, notes=(_description(source), *source.notes))


def is_path(what: str) -> bool:
    """Whether `what` is the path of a file or folder: it has a separator or a suffix, or exists."""
    separators = {os.sep, os.altsep or os.sep}
    return any(s in what for s in separators) or bool(suffix(what)) or what in (".", "..") or os.path.lexists(what)


def _open_path(path: Path, label: str | None = None) -> Source:
    name = printable(str(path))
    require_path(path)
    if label is None and (tables := text_tables(path)):
        return read_texts(tables, path if path.is_dir() else path.parent)
    if os.path.isdir(path):
        return _open_folder(path, label)
    if not os.path.isfile(path):
        raise DataError(f"{name} is a pipe, socket or device", "give a folder, a table or a Parquet file")
    kind = suffix(path.name)
    if kind in (*TABLE_SUFFIXES, ".jsonl"):
        return _read_table(path, label)
    if kind == ".parquet":
        return read_parquet([path], root=path.parent, label=label)
    if reader := _READERS.get(kind):
        return reader(path)
    if is_archive(path.name):
        return open_archives([path], partial(_open_folder, label=label))
    if kind in IMAGE_SUFFIXES:
        raise DataError(f"{name} is one image", "give a folder of images, with one folder per class")
    raise DataError(
        f"{name} is not a data set", "give a folder, an archive, a table (.csv, .tsv), a Parquet file or COCO's JSON"
    )


def _read_table(path: Path, label: str | None) -> Source:
    if has_objects(path):
        return read_hub(walk(str(path.parent)), [path.name])
    return read_box_table(path) if is_box_table(path) else read_table(path, label)


_READERS: dict[str, Callable[[Path], Source]] = {
    ".json": read_coco_file,
    ".yaml": read_yolo_file,
    ".yml": read_yolo_file,
    ".xml": read_cvat_file,
}


def _open_folder(path: Path, label: str | None = None) -> Source:
    try:
        names = {entry.name for entry in os.scandir(path)}
    except OSError as error:
        raise DataError(f"{printable(str(path))} cannot be read: {(error.strerror or str(error)).lower()}") from error
    if names >= RUN_FILES:
        hint = f"use `train --resume {path}` to continue it, or `train {path / 'recipe.yaml'}` to start it again"
        raise UsageError(f"{printable(str(path))} is a run, not data", printable(hint))
    if shards := archives_alone(path, names):
        return open_archives(shards, partial(_open_folder, label=label))
    if is_voc_masks(path):
        return read_voc_masks(path.parent, walk(str(path.parent)))
    if is_idx_folder(names):
        return read_idx_folder(path)
    if is_small_images(names):
        return read_small_images(path, names)
    for folder in (path, path / "data"):
        if shards := [p for p in folder.glob("*.parquet") if p.is_file() and not p.name.startswith(".")]:
            return read_parquet(shards, root=path, label=label)
    return read_folder(path, label)


def _description(source: Source) -> str:
    """The first note: which layout was recognised, and what it holds."""
    layouts = {
        "image-folder": "one folder per class",
        "flat-folder": "images side by side, without labels",
        "flat-folder+csv": "images side by side with a table of labels",
        "csv": "a table of labels",
        "hub": "the hub's metadata with objects",
        "python": "data passed from Python",
        "idx": "IDX files as in MNIST",
        "cifar": "CIFAR's binary files",
        "usps": "USPS's lines of numbers",
        "parquet": "Parquet with encoded images",
        "masks": "images with masks",
        "webdataset": "WebDataset's samples",
        "coco": "COCO's JSON",
        "voc": "Pascal VOC's boxes",
        "yolo": "YOLO's labels",
        "labelme": "LabelMe's JSON",
        "via": "VIA's JSON",
        "cvat": "CVAT's XML",
        "boxes-csv": "a table of boxes",
        "digits": "scikit-learn's handwritten digits",
        "captions": "images with captions",
        "sentences": "sentences",
    }
    splits = sorted({record.split for record in source.records if record.split}, key=("train", "val", "test").index)
    given = f"given splits: {', '.join(splits)}" if splits else "no given split"
    knows = source.annotations.knows if source.annotations else "labels"
    many = "" if knows == "numbers" or (knows == "texts" and not source.classes) else f" {len(source.classes)} classes,"
    read = f"; {source.reading}" if source.reading else ""
    return f"found {layouts[source.kind]}: {len(source):,} {source.items},{many} {given}{read}"
