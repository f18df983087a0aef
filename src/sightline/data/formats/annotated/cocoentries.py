"""The entries of a COCO file, one by one: categories, images, annotations. Unusable ones are reported by id.

A file whose lists are not lists, or whose categories clash, is refused as a whole: nothing in it could be trusted.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypeGuard

from sightline.data.records.names import class_text
from sightline.data.records.outlines import Outline, rings_of, runs_of
from sightline.data.records.records import KEPT, Problem
from sightline.errors import DataError
from sightline.preprocessing.decoder import MAX_PIXELS
from sightline.storage.text import printable

from .objects import DROPPED, box_fault, object_problem

_REPAIR = "correct the annotation, or remove it"
_NAMED = 5  # ids listed in a summary


class Category(NamedTuple):
    id: int
    name: str


class ImageEntry(NamedTuple):
    """`size` (height, width); None if it is not given."""

    id: int | str
    file_name: str
    size: tuple[int, int] | None


class Entry(NamedTuple):
    """One usable object, `box` xyxy in the pixels of the file's own image size."""

    category: str
    box: tuple[float, float, float, float]
    ignore: bool
    where: tuple[str, int]
    outline: Outline | None


def categories_of(data: Mapping[str, Any], file: str) -> dict[int, Category]:
    """By id. Raises DataError for invalid entries, and for two with the same id or name."""
    by_id: dict[int, Category] = {}
    for row, entry in enumerate(_list(data, "categories", file)):
        id, name = (entry.get("id"), entry.get("name")) if isinstance(entry, dict) else (None, None)
        if not _whole(id) or not isinstance(name, str) or not 0 < len(name.strip()) <= 200:
            raise DataError(
                f"{file}: entry {row} of categories has no id or no name",
                'write entries such as {"id": 1, "name": "cat"}',
            )
        name = class_text(name.strip())
        if id in by_id or any(c.name == name for c in by_id.values()):
            raise DataError(f"{file}: the category {id} ({printable(name)}) occurs twice", "give every class one id")
        by_id[id] = Category(id, name)
    return dict(sorted(by_id.items()))


def images_of(data: Mapping[str, Any], file: str) -> tuple[dict[int | str, ImageEntry], list[Problem]]:
    """By id. Two images with the same id cannot be used: an annotation could belong to either."""
    by_id: dict[int | str, ImageEntry] = {}
    ambiguous: set[int | str] = set()
    problems: list[Problem] = []
    for row, entry in enumerate(_list(data, "images", file)):
        id, name = (entry.get("id"), entry.get("file_name")) if isinstance(entry, dict) else (None, None)
        if not (_whole(id) or isinstance(id, str)) or not isinstance(name, str) or not name.strip():
            reason = f"bad-image: entry {row} of images has no id or no file_name"
            problems.append(Problem(file, None, reason, "complete the entry, or remove it"))
        elif id in by_id or id in ambiguous:
            for other in [name] + ([by_id.pop(id).file_name] if id in by_id else []):
                reason = f"duplicate-id: several images have the id {printable(str(id))[:80]}, such as {printable(other[:200])}"
                problems.append(Problem(file, None, reason, "give every image an id of its own"))
            ambiguous.add(id)
        else:
            by_id[id] = ImageEntry(id, name, _size(entry))
    return by_id, problems


def annotations_of(
    data: Mapping[str, Any], file: str, images: Mapping[int | str, ImageEntry], categories: Mapping[int, Category]
) -> tuple[dict[int | str, list[Entry]], list[Problem]]:
    """The usable objects of each image, by image id, and a problem for every other object."""
    by_id: dict[int | str, list[Entry]] = {}
    problems: list[Problem] = []
    seen: dict[int, tuple[Any, ...]] = {}
    reused: list[int] = []
    for row, entry in enumerate(_list(data, "annotations", file)):
        if not isinstance(entry, dict):
            reason = f"bad-annotation: entry {row} of annotations is not an object"
            problems.append(Problem(file, None, reason, _REPAIR, DROPPED))
            continue
        id = entry["id"] if _whole(entry.get("id")) else row
        image_id = entry.get("image_id")
        image = images.get(image_id) if _whole(image_id) or isinstance(image_id, str) else None
        name = "no image" if image is None else printable(image.file_name[:200])
        try:
            if image is None:
                raise ValueError(f"unknown-image: image_id {_describe(image_id)} is not among the images")
            usable = _entry(entry, (file, id), image, categories)
        except ValueError as error:
            problems.append(object_problem((file, id), str(error), _REPAIR, name))
            continue
        key = (image.id, usable.category, usable.box)
        if id in seen and seen[id] == key:
            problems.append(object_problem((file, id), "repeated: it occurs already", _REPAIR, name))
            continue
        if id in seen:
            reused.append(id)
        seen[id] = key
        by_id.setdefault(image.id, []).append(usable)
    if reused:
        some = ", ".join(str(id) for id in reused[:_NAMED]) + (" …" if len(reused) > _NAMED else "")
        reason = f"duplicate-id: {len(reused):,} annotations share their id with a different one: {some}"
        problems.append(Problem(file, None, reason, "give every annotation an id of its own", KEPT))
    return by_id, problems


def _entry(
    entry: Mapping[str, Any], where: tuple[str, int], image: ImageEntry, categories: Mapping[int, Category]
) -> Entry:
    """Raises ValueError with the reason if it cannot be used."""
    id = entry.get("category_id")
    category = categories.get(id) if _whole(id) else None
    if category is None:
        raise ValueError(f"unknown-class: category_id {_describe(id)} is not among the categories")
    outline = _outline(entry.get("segmentation"), image)
    box = _box(entry.get("bbox"))
    if box is None:
        if outline is None:
            raise ValueError("no-box: neither bbox nor segmentation is given")
        left, top, right, bottom = outline.box().tolist()
        box = (left, top, right, bottom)
    if fault := box_fault(box):
        raise ValueError(fault)
    return Entry(category.name, box, bool(entry.get("iscrowd") or entry.get("ignore")), where, outline)


def _box(bbox: object) -> tuple[float, float, float, float] | None:
    """[x, y, width, height] → corners; None if nothing is given."""
    if bbox is None or bbox == []:
        return None
    if not isinstance(bbox, list) or len(bbox) != 4:
        raise ValueError(f"bad-box: bbox is {_describe(bbox)}, not [x, y, width, height]")
    x, y, width, height = (_number(value) for value in bbox)
    return x, y, x + width, y + height


def _outline(segmentation: object, image: ImageEntry) -> Outline | None:
    """None if nothing is given."""
    if segmentation in (None, [], {}, [[]]):
        return None
    try:
        if isinstance(segmentation, dict):
            return _runs(segmentation, image)
        if isinstance(segmentation, list) and all(isinstance(ring, list) for ring in segmentation):
            return rings_of([[_number(value) for value in ring] for ring in segmentation])
        raise ValueError("neither polygons nor run lengths")
    except ValueError as error:
        raise ValueError(f"bad-outline: {error}") from error


def _runs(segmentation: Mapping[str, Any], image: ImageEntry) -> Outline:
    size, counts = segmentation.get("size"), segmentation.get("counts")
    if not isinstance(size, list) or len(size) != 2 or not all(_whole(side) and side > 0 for side in size):
        raise ValueError(f"run lengths of size {_describe(size)}")
    height, width = size
    if height * width > MAX_PIXELS or (image.size is not None and (height, width) != image.size):
        raise ValueError(f"run lengths of {width} x {height} pixels, unlike the image")
    if not isinstance(counts, str) and not (isinstance(counts, list) and all(_whole(count) for count in counts)):
        raise ValueError("run lengths that are neither text nor whole numbers")
    outline = runs_of(height, width, counts)
    if not outline.counts[1::2].any():
        raise ValueError("run lengths without a pixel inside")
    return outline


def _size(entry: Mapping[str, Any]) -> tuple[int, int] | None:
    height, width = entry.get("height"), entry.get("width")
    return (height, width) if _whole(height) and _whole(width) and min(height, width) > 0 else None


def _whole(value: object) -> TypeGuard[int]:
    """A whole number, and one of a reasonable size: not true or false."""
    return type(value) is int and abs(value) < 1 << 62


def _number(value: object) -> float:
    """NaN for anything but a number."""
    if type(value) is float:
        return value
    return float(value) if type(value) is int and abs(value) < 1 << 62 else math.nan


def _describe(value: object) -> str:
    """A value from the file in few characters."""
    return f"a {type(value).__name__}" if isinstance(value, dict | list) else printable(repr(value)[:80])


def _list(data: Mapping[str, Any], key: str, file: str) -> Sequence[Any]:
    value = data.get(key)
    if not isinstance(value, list):
        raise DataError(f"{file}: {key} is not a list", "export the annotations again")
    return value
