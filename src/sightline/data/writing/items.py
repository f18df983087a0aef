"""What is written of a data set: an item for each image in use, under a name that is free in every form.

The name is that of the file, where all names differ; else its path without the folders of splits and pictures; else its whole
path. Names that differ only in their suffix or in case get a number: label files have none.
"""

from __future__ import annotations

import io
import os
import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from sightline.data.dataset import Dataset
from sightline.data.files.matching import folded
from sightline.data.formats.annotated.units import Box
from sightline.data.formats.recognition.vocabulary import names_pictures
from sightline.data.records.names import IMAGE_SUFFIXES, split_folder, suffix
from sightline.data.records.records import Record
from sightline.data.records.upright import Stored, stored
from sightline.errors import UsageError
from sightline.preprocessing.containers import walk
from sightline.preprocessing.decoder import MAX_BYTES
from sightline.preprocessing.reading import read_bytes

_SUFFIX = {"JPEG": ".jpg", "PNG": ".png", "GIF": ".gif", "BMP": ".bmp", "WEBP": ".webp", "TIFF": ".tif"}


@dataclass(frozen=True)
class Item:
    """One image: its id, its record, its split ("" for none), and its `name` with a suffix, a relative path."""

    id: int
    record: Record
    split: str
    name: str

    @property
    def stem(self) -> str:
        return os.path.splitext(self.name)[0]

    def below(self, folder: str) -> str:
        """Its path in a folder with a folder for each split."""
        return "/".join(part for part in (folder, self.split, self.name) if part)


@dataclass
class Work:
    """A data set while it is written into `root`; `notes` say what the form cannot hold, with the number of its cases."""

    dataset: Dataset
    items: list[Item]
    root: Path
    notes: Counter[str] = field(default_factory=Counter)
    places: dict[int, str] = field(default_factory=dict)  # id → where its image was put
    kept: dict[int, list[tuple[int, Box]]] = field(
        default_factory=dict
    )  # id → (class, box) of what a form without flags keeps

    @property
    def splits(self) -> list[str]:
        """The splits in their order; [""] if there are none."""
        found = {item.split for item in self.items}
        return [split for split in ("train", "val", "test", "") if split in found]

    def of(self, split: str) -> list[Item]:
        return [item for item in self.items if item.split == split]

    def content(self, item: Item) -> bytes | Path:
        """The file or the bytes of an image, as they are; pixels from memory as a PNG file."""
        content = self.dataset.audit.source.load(item.record)
        if not isinstance(content, np.ndarray):
            return content
        self.notes["images that were no files, written as PNG"] += 1
        file = io.BytesIO()
        Image.fromarray(content[..., 0] if content.ndim == 3 and content.shape[2] == 1 else content).save(file, "PNG")
        return file.getvalue()

    def bytes_of(self, item: Item) -> bytes:
        content = self.content(item)
        return read_bytes(content, MAX_BYTES) if isinstance(content, Path) else content

    def copy(self, item: Item, name: str) -> None:
        """Put the image at `name`, byte for byte."""
        content, path = self.content(item), self.root / name
        self.places[item.id] = name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, Path):
            shutil.copyfile(content, path)
        else:
            path.write_bytes(content)

    def write(self, name: str, text: str) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode("utf-8"))

    def stored(self, item: Item) -> Stored:
        """How the image lies in its file."""
        if item.id in self.dataset.audit.turned:
            return stored(self.dataset.audit.source.load(item.record))
        height, width = self.dataset.size[item.id].tolist()
        return Stored(height, width)

    def sentences(self) -> list[str]:
        return [f"{note}: {count:,}" for note, count in self.notes.items()]


def items_of(dataset: Dataset) -> list[Item]:
    """An item for each image in use. The splits are those that the data give: none is made up."""
    ids = dataset.ids().tolist()
    records = [dataset.records[i] for i in ids]
    given = any(record.split for record in records)
    names = unique_names([plain_name(_with_suffix(dataset, record)) for record in records])
    splits = [(record.split or "train") if given else "" for record in records]
    return [Item(id, record, split, name) for id, record, split, name in zip(ids, records, splits, names, strict=True)]


def plain_name(name: str) -> str:
    """The name with _ for every character that a text file of any form may not hold: bytes that are no UTF-8, control
    characters and line ends, and the backslash, which some programs take for a separator."""
    return "".join("_" if c == "\\" or not (c.isprintable() or c == " ") else c for c in name)


def _with_suffix(dataset: Dataset, record: Record) -> str:
    """The record's name with the suffix of an image: the one of its bytes, where it has none."""
    if suffix(record.name) in IMAGE_SUFFIXES:
        return record.name
    content = dataset.audit.source.load(record)
    if isinstance(content, np.ndarray):
        return f"{record.name}.png"
    data = read_bytes(content, MAX_BYTES) if isinstance(content, Path) else content
    base = os.path.splitext(record.name)[0] if suffix(record.name) == ".json" else record.name
    return base + _SUFFIX[walk(data).format]


def unique_names(paths: Sequence[str]) -> list[str]:
    """One name for each path, in order: all differ, without their suffixes and without case.

    train/a/1.jpg and val/a/2.jpg are 1.jpg and 2.jpg; train/a/1.jpg and train/b/1.jpg are a/1.jpg and b/1.jpg.
    """
    for short in (_last, _without_roles):
        names = [short(path) for path in paths]
        if len({_key(name) for name in names}) == len(names):
            return names
    names, taken = [], set[str]()
    for path in map(_without_pictures, paths):
        stem, end = os.path.splitext(path)
        name, number = path, 1
        while _key(name) in taken:
            number += 1
            name = f"{stem}-{number}{end}"
        taken.add(_key(name))
        names.append(name)
    return names


def _key(name: str) -> str:
    return folded(os.path.splitext(name)[0])


def _last(path: str) -> str:
    return path.rsplit("/", 1)[-1]


def _without_pictures(path: str) -> str:
    """images/train/1.jpg is train/1.jpg: a folder images/ within images/ would not be read as a part of a name."""
    *folders, last = path.split("/")
    return "/".join([*(folder for folder in folders if not names_pictures(folder)), last])


def _without_roles(path: str) -> str:
    *folders, last = path.split("/")
    return "/".join([*(f for f in folders if not names_pictures(f) and split_folder([f]) is None), last])


def require_plain(classes: Sequence[str], form: str) -> None:
    """UsageError for a class whose name the text files of a form cannot hold."""
    for name in classes:
        if name != name.strip() or not name.isprintable():
            raise UsageError(
                f"the class {name!r} cannot be written as {form}: blanks around it, or characters that cannot be seen",
                "rename it, or write --to parquet",
            )
