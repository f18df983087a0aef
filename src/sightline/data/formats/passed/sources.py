"""What `train`, `audit` and `evaluate` take besides a name: arrays, a torch data set, a list of paths, or a mapping of splits.

    (images, labels)   images (n, h, w) or (n, h, w, c), a list of images, or a list of paths
    a data set         with `len` and items (image, label), such as torch's; its `classes` name whole numbers
    {"train": …, "val": …, "test": …} of any of these

Such data have a name of their own, python:HASH, by which a recipe refers to them. This process knows them by it from then on;
another must be handed them again. The hash is of labels and of what identifies the images: the pixels of arrays, the items of a
data set, the paths of files. A run moreover compares the pixels themselves, as it does with files.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

from sightline.data.records.names import split_named
from sightline.data.records.records import Content, Contents, Files, Record
from sightline.data.records.source import Source
from sightline.errors import DataError, UsageError
from sightline.storage.text import printable

from .labels import class_names, rows_of, with_labels
from .pixels import array_of, as_bytes, content_of

MARK = "python:"
_KNOWN: dict[str, Source] = {}
_FORMS = "pass (images, labels), a torch Dataset, (paths, labels), or a mapping of splits of these"


@dataclass(frozen=True)
class _Part:
    """The images and labels of one split: the `image` of a place, its `name`, and the labels."""

    names: list[str]
    image: Callable[[int], Content]
    labels: list[Any]
    classes: tuple[str, ...] | None
    what: str
    root: str = ""


@dataclass(frozen=True)
class Items(Contents):
    """Images by the place in their part; `where[id]` is (part, place). An object of the user's is asked by one thread at a
    time."""

    parts: tuple[_Part, ...]
    where: tuple[tuple[int, int], ...]
    _lock: Lock = field(default_factory=Lock, compare=False)

    def load(self, record: Record) -> Content:
        part, place = self.where[record.id]
        with self._lock:
            return self.parts[part].image(place)

    def stamp(self, record: Record) -> None:  # nothing tells whether an object has changed
        return None


def is_passed(what: object) -> bool:
    """Whether it is the name of data that were passed from Python."""
    return isinstance(what, str) and what.startswith(MARK)


def name_of_data(data: Any) -> str:
    """The name of data that the user passes, under which this process knows them from now on; text and paths stay as they
    are. UsageError for what is no data, DataError for images or labels that cannot be used."""
    if isinstance(data, str | os.PathLike):
        return os.fspath(data)
    source, digest = _read(data)
    name = f"{MARK}{digest[:16]}"
    _KNOWN[name] = source
    return name


def passed(name: str) -> Source:
    """The data of that name. DataError where this process was not handed them."""
    if name not in _KNOWN:
        raise DataError(
            f"the data {name} were passed from Python, and this process does not have them",
            "pass them again: sightline.train(data, resume=RUN) or sightline.evaluate(RUN, data)",
        )
    return _KNOWN[name]


def _read(data: Any) -> tuple[Source, str]:
    if isinstance(data, Mapping):
        splits = {split_named(str(key)): value for key, value in data.items()}
        if None in splits or len(splits) < len(data):
            raise UsageError(f"the splits are called {', '.join(map(repr, data))}", "call them train, val and test")
        parts = {split: _part(value) for split, value in splits.items()}
    else:
        parts = {None: _part(data)}
    first = next(iter(parts.values()))
    if any(part.classes != first.classes for part in parts.values()):
        raise DataError("the splits name different classes", "give all of them the same classes in the same order")
    return _source(parts), _digest(parts)


def _part(data: Any) -> _Part:
    if isinstance(data, tuple | list) and len(data) == 2 and not isinstance(data[0], str):
        images, labels = data
        if isinstance(images, list | tuple) and images and all(isinstance(one, str | os.PathLike) for one in images):
            return _of_paths([os.fspath(one) for one in images], labels)
        return _of_images(images, labels)
    if hasattr(data, "__getitem__") and hasattr(data, "__len__") and not isinstance(data, list | tuple):
        return _of_items(data)
    raise UsageError(f"data are a {type(data).__name__}", _FORMS)


def _of_paths(paths: list[str], labels: Any) -> _Part:
    whole = [os.path.abspath(path) for path in paths]
    if len(set(whole)) < len(whole):
        twice = next(path for path in whole if whole.count(path) > 1)
        raise DataError(f"{printable(twice)} is listed twice", "list every image once")
    return _Part(whole, lambda place: Path(whole[place]), rows_of(labels, len(whole)), None, "paths", "/")


def _of_images(images: Any, labels: Any) -> _Part:
    if isinstance(images, list | tuple):
        contents = [content_of(image, f"image {i}") for i, image in enumerate(images)]
        return _Part(
            _numbered(len(images)), lambda place: contents[place], rows_of(labels, len(images)), None, "images"
        )
    is_tensor, pixels = hasattr(images, "detach"), array_of(images)
    if pixels.dtype == object or pixels.ndim not in (3, 4):
        raise UsageError(f"images are a {type(images).__name__} with {pixels.ndim} dimensions", _FORMS)
    if is_tensor and pixels.ndim == 4:
        pixels = pixels.transpose(0, 2, 3, 1)  # (n, c, h, w) → (n, h, w, c)
    if pixels.ndim == 4 and pixels.shape[3] not in (1, 3, 4):
        order = "tensors are (n, c, h, w)" if is_tensor else "arrays are (n, h, w, c)"
        raise DataError(f"images have {pixels.shape[3]} channels: {order}", "move the channels to their place")
    kept = np.ascontiguousarray(as_bytes(pixels, "the array of images"))
    return _Part(_numbered(len(kept)), lambda place: kept[place], rows_of(labels, len(kept)), None, "arrays")


def _of_items(data: Any) -> _Part:
    """A data set of items (image, label), read once for its labels."""
    n = len(data)

    def image(place: int) -> Content:
        return content_of(_item(data, place)[0], f"item {place}")

    for place in {0, n // 2} if n else ():
        if not _equal(image(place), image(place)):
            raise DataError(
                f"item {place} of the data set is another image every time it is read",
                "leave random transforms out: augment.preset does that, and keeps the run repeatable",
            )
    labels = [_item(data, place)[1] for place in range(n)]
    what = type(data).__name__
    return _Part(_numbered(n), image, labels, class_names(getattr(data, "classes", None)), what)


def _item(data: Any, place: int) -> tuple[Any, Any]:
    item = data[place]
    if not isinstance(item, tuple | list) or len(item) != 2:
        raise DataError(f"item {place} of the data set is a {type(item).__name__}, not (image, label)", _FORMS)
    return item[0], item[1]


def _equal(one: Content, other: Content) -> bool:
    if isinstance(one, np.ndarray) and isinstance(other, np.ndarray):
        return np.array_equal(one, other)
    return bool(one == other)


def _numbered(n: int) -> list[str]:
    return [f"{i:06d}" for i in range(n)]


def _source(parts: Mapping[str | None, _Part]) -> Source:
    first = next(iter(parts.values()))
    names, where, splits, labels = [], [], [], []
    for number, (split, part) in enumerate(parts.items()):
        for place, name in enumerate(part.names):
            names.append(name if part.root or split is None else f"{split}/{name}")
            where.append((number, place))
            splits.append(split)
        labels += part.labels
    if not names:
        raise DataError("the data hold no images", _FORMS)
    contents: Contents = Items(tuple(parts.values()), tuple(where))
    root = ""
    if all(part.root for part in parts.values()):
        root = os.path.commonpath([os.path.dirname(name) for name in names])
        names = [os.path.relpath(name, root) for name in names]
        contents = Files(root)
    records = tuple(Record(i, name, None, split) for i, (name, split) in enumerate(zip(names, splits, strict=True)))
    given = frozenset(split for split in splits if split is not None)
    source = Source(first.what, "python", root, records, (), contents, given_splits=given)
    return with_labels(source, labels, first.classes)


def _digest(parts: Mapping[str | None, _Part]) -> str:
    state = hashlib.sha256()
    for split, part in parts.items():
        state.update(repr((split, part.classes, part.names if part.root else len(part.names))).encode())
        for chunk in _identities(part):
            state.update(chunk)
    return state.hexdigest()


def _identities(part: _Part) -> Iterable[bytes]:
    for place, label in enumerate(part.labels):
        if not part.root:
            content = part.image(place)
            if isinstance(content, np.ndarray):
                yield repr(content.shape).encode()
                yield np.ascontiguousarray(content).tobytes()
            elif isinstance(content, bytes):
                yield content
        yield repr(array_of(label).tolist() if hasattr(label, "__array__") else label).encode()
