"""The entries of a COCO file, one by one: categories, images, annotations. What cannot be used is named by its id.

A file whose lists are not lists, or whose categories clash, is refused as a whole: nothing in it could be believed.
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
from sightline.storage.text import shown

from .objects import DROPPED, box_fault, object_problem

_REPAIR = "correct the annotation, or remove it"
_NAMED = 5  # ids that a summary names


class Category(NamedTuple):
    id: int
    name: str


class ImageEntry(NamedTuple):
    """`size` (height, width); None where it is not given."""

    id: int | str
    file_name: str
    size: tuple[int, int] | None


class Entry(NamedTuple):
    """One object that can be used, `box` xyxy in the pixels that the file counts."""

    category: str
    box: tuple[float, float, float, float]
    ignore: bool
    where: tuple[str, int]
    outline: Outline | None


def categories_of(data: Mapping[str, Any], file: str) -> dict[int, Category]:
    """By id. Raises DataError for entries that are none, and for two of one id."""
    found: dict[int, Category] = {}
    for row, entry in enumerate(_list(data, "categories", file)):
        id, name = (entry.get("id"), entry.get("name")) if isinstance(entry, dict) else (None, None)
        if not _whole(id) or not isinstance(name, str) or not 0 < len(name.strip()) <= 200:
            raise DataError(
                f"{file}: entry {row} of categories has no id or no name", 'such as {"id": 1, "name": "cat"}'
            )
        name = class_text(name.strip())
        if id in found or any(c.name == name for c in found.values()):
            raise DataError(f"{file}: the category {id} ({shown(name)}) is there twice", "give every class one id")
        found[id] = Category(id, name)
    return dict(sorted(found.items()))


def images_of(data: Mapping[str, Any], file: str) -> tuple[dict[int | str, ImageEntry], list[Problem]]:
    """By id; of two with one id neither can be used, for their annotations could be either's."""
    found: dict[int | str, ImageEntry] = {}
    torn: set[int | str] = set()
    problems: list[Problem] = []
    for row, entry in enumerate(_list(data, "images", file)):
        id, name = (entry.get("id"), entry.get("file_name")) if isinstance(entry, dict) else (None, None)
        if not (_whole(id) or isinstance(id, str)) or not isinstance(name, str) or not name.strip():
            reason = f"bad-image: entry {row} of images has no id or no file_name"
            problems.append(Problem(file, None, reason, "complete the entry, or remove it"))
        elif id in found or id in torn:
            for other in [name] + ([found.pop(id).file_name] if id in found else []):
                reason = f"duplicate-id: several images are {shown(str(id))[:80]}, such as {shown(other[:200])}"
                problems.append(Problem(file, None, reason, "give every image an id of its own"))
            torn.add(id)
        else:
            found[id] = ImageEntry(id, name, _size(entry))
    return found, problems


def annotations_of(
    data: Mapping[str, Any], file: str, images: Mapping[int | str, ImageEntry], categories: Mapping[int, Category]
) -> tuple[dict[int | str, list[Entry]], list[Problem]]:
    """The usable objects of each image, by image id, and a problem for every other."""
    found: dict[int | str, list[Entry]] = {}
    problems: list[Problem] = []
    seen: dict[int, tuple[Any, ...]] = {}
    again: list[int] = []
    for row, entry in enumerate(_list(data, "annotations", file)):
        if not isinstance(entry, dict):
            reason = f"bad-annotation: entry {row} of annotations is no object"
            problems.append(Problem(file, None, reason, _REPAIR, DROPPED))
            continue
        id = entry["id"] if _whole(entry.get("id")) else row
        image_id = entry.get("image_id")
        image = images.get(image_id) if _whole(image_id) or isinstance(image_id, str) else None
        name = "no image" if image is None else shown(image.file_name[:200])
        try:
            if image is None:
                raise ValueError(f"unknown-image: image_id {_told(image_id)} is not among the images")
            used = _entry(entry, (file, id), image, categories)
        except ValueError as error:
            problems.append(object_problem((file, id), str(error), _REPAIR, name))
            continue
        key = (image.id, used.category, used.box)
        if id in seen and seen[id] == key:
            problems.append(object_problem((file, id), "repeated: it is there already", _REPAIR, name))
            continue
        if id in seen:
            again.append(id)
        seen[id] = key
        found.setdefault(image.id, []).append(used)
    if again:
        some = ", ".join(str(id) for id in again[:_NAMED]) + (" …" if len(again) > _NAMED else "")
        reason = f"duplicate-id: {len(again):,} annotations have the id of another, unlike one: {some}"
        problems.append(Problem(file, None, reason, "give every annotation an id of its own", KEPT))
    return found, problems


def _entry(
    entry: Mapping[str, Any], where: tuple[str, int], image: ImageEntry, categories: Mapping[int, Category]
) -> Entry:
    """Raises ValueError with a reason where it cannot be used."""
    id = entry.get("category_id")
    category = categories.get(id) if _whole(id) else None
    if category is None:
        raise ValueError(f"unknown-class: category_id {_told(id)} is not among the categories")
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
    """[x, y, width, height] → corners; None where nothing is given."""
    if bbox is None or bbox == []:
        return None
    if not isinstance(bbox, list) or len(bbox) != 4:
        raise ValueError(f"bad-box: bbox is {_told(bbox)}, not [x, y, width, height]")
    x, y, width, height = (_number(value) for value in bbox)
    return x, y, x + width, y + height


def _outline(segmentation: object, image: ImageEntry) -> Outline | None:
    """None where nothing is given."""
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
        raise ValueError(f"run lengths of size {_told(size)}")
    height, width = size
    if height * width > MAX_PIXELS or (image.size is not None and (height, width) != image.size):
        raise ValueError(f"run lengths of {width} x {height} pixels, which the image has not")
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
    """NaN for what is no number."""
    if type(value) is float:
        return value
    return float(value) if type(value) is int and abs(value) < 1 << 62 else math.nan


def _told(value: object) -> str:
    """A value of a stranger in few words."""
    return f"a {type(value).__name__}" if isinstance(value, dict | list) else shown(repr(value)[:80])


def _list(data: Mapping[str, Any], key: str, file: str) -> Sequence[Any]:
    value = data.get(key)
    if not isinstance(value, list):
        raise DataError(f"{file}: its {key} are no list", "export the annotations again")
    return value
