"""The entries of a COCO file, one by one: categories, images, annotations. Unusable ones are reported by id.

A file whose lists are not lists, or whose categories clash, is refused as a whole: nothing in it could be trusted. Ids
join by value, whether they are text or numbers (`values`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from sightline.data.files.values import describe, flag, identity, kinds, lookup, number, whole
from sightline.data.records.names import class_text
from sightline.data.records.outlines import Outline, runs_of, sound_rings
from sightline.data.records.records import DROPPED, IGNORED, KEPT, REPAIRED, Problem
from sightline.errors import DataError
from sightline.preprocessing.decoder import MAX_PIXELS
from sightline.storage.text import printable

from .objects import box_fault, object_problem, place_of
from .units import Box, is_share, refuse_shares, upright_around

_REPAIR = "correct the annotation, or remove it"
_NAMED = 5  # ids listed in a summary
_FLAGS = ("iscrowd", "ignore", "difficult", "isgroupof", "is_group_of", "IsGroupOf")
_READ = {"id", "image_id", "category_id", "bbox", "area", "segmentation", "rotation", "angle", *_FLAGS}
_IMAGE_KEYS = {"id", "file_name", "width", "height", "license", "date_captured", "coco_url", "flickr_url", "url"}


class Category(NamedTuple):
    id: str
    name: str


class ImageEntry(NamedTuple):
    """`size` (height, width); None if it is not given."""

    id: str
    file_name: str
    size: tuple[int, int] | None


class Entry(NamedTuple):
    """One object, `box` xyxy in the pixels of the file's own image size. An `unusable` one is only a place that is ignored,
    its category or box None if unknown. `spoiled` is the problem of an outline that could not be used: without it the
    object is usable only where boxes are asked for. `turned`: the box is the upright one around a turned box."""

    category: str | None
    box: Box | None
    ignore: bool
    where: tuple[str, int]
    outline: Outline | None
    unusable: bool = False
    spoiled: Problem | None = None
    turned: bool = False


def categories_of(data: Mapping[str, Any], file: str) -> dict[str, Category]:
    """By id. Raises DataError for invalid entries, and for two with the same id or name."""
    by_id: dict[str, Category] = {}
    names: set[str] = set()
    for row, entry in enumerate(_list(data, "categories", file)):
        given, name = (entry.get("id"), entry.get("name")) if isinstance(entry, dict) else (None, None)
        id = identity(given)
        if id is None or not isinstance(name, str) or not 0 < len(name.strip()) <= 200:
            odd = given if given is not None and id is None else name
            what = "has no id or no name" if odd is None else f"has the id or name {describe(odd)}"
            fix = 'write entries such as {"id": 1, "name": "cat"}'
            raise DataError(f"{file}: entry {row} of categories {what}", fix)
        name = class_text(name.strip())
        if id in by_id or name in names:
            raise DataError(f"{file}: the category {id} ({printable(name)}) occurs twice", "give every class one id")
        by_id[id] = Category(id, name)
        names.add(name)
    return dict(sorted(by_id.items(), key=lambda item: _order(item[0])))


def images_of(data: Mapping[str, Any], file: str) -> tuple[dict[str, ImageEntry], list[Problem]]:
    """By id. Two images with the same id cannot be used: an annotation could belong to either."""
    by_id: dict[str, ImageEntry] = {}
    ambiguous: set[str] = set()
    problems: list[Problem] = []
    for row, entry in enumerate(_list(data, "images", file)):
        given, name = (entry.get("id"), entry.get("file_name")) if isinstance(entry, dict) else (None, None)
        id = identity(given)
        if id is None or not isinstance(name, str) or not name.strip():
            odd = given if given is not None and id is None else name
            what = "has no id or no file_name" if odd is None else f"has the id or file_name {describe(odd)}"
            reason = f"bad-image: entry {row} of images {what}"
            problems.append(Problem(file, None, reason, "complete the entry, or remove it"))
        elif id in by_id or id in ambiguous:
            for other in [name] + ([by_id.pop(id).file_name] if id in by_id else []):
                some = printable(other[:200])
                reason = f"duplicate-id: several images have the id {printable(id)[:80]}, such as {some}"
                problems.append(Problem(file, None, reason, "give every image an id of its own"))
            ambiguous.add(id)
        else:
            by_id[id] = ImageEntry(id, name, _size(entry))
    return by_id, problems


def annotations_of(
    data: Mapping[str, Any], file: str, images: Mapping[str, ImageEntry], categories: Mapping[str, Category]
) -> tuple[dict[str, list[Entry]], list[Problem]]:
    """The objects of each image, by image id, and a problem for every one that is not usable as it is. Raises DataError if
    all of them are shares of their images."""
    by_id: dict[str, list[Entry]] = {}
    problems: list[Problem] = []
    seen: dict[str, tuple[Any, ...]] = {}
    reused: list[int] = []
    entries = _list(data, "annotations", file)
    _refuse_shares(entries, file)
    for row, entry in enumerate(entries):
        if not isinstance(entry, dict):
            reason = f"bad-annotation: entry {row} of annotations is not an object"
            problems.append(Problem(file, None, reason, _REPAIR, DROPPED))
            continue
        number_of = whole(entry.get("id"))
        where = (file, row if number_of is None else number_of)
        image = lookup(images, entry.get("image_id"))
        if image is None:
            reason = f"unknown-image: image_id {describe(entry.get('image_id'))} is not among the images"
            problems.append(object_problem(where, reason, _REPAIR, "no image"))
            continue
        reader = _EntryReader(entry, where, image)
        usable = reader.read(categories)
        id = identity(entry.get("id")) or f"row {row}"
        key = (image.id, usable.category, usable.box)
        if seen.get(id) == key:
            reason = "repeated: it occurs already"
            problems.append(object_problem(where, reason, _REPAIR, printable(image.file_name[:200])))
            continue
        if id in seen:
            reused.append(where[1])
        seen[id] = key
        problems += reader.problems
        by_id.setdefault(image.id, []).append(usable)
    if reused:
        some = ", ".join(str(id) for id in reused[:_NAMED]) + (" …" if len(reused) > _NAMED else "")
        reason = f"duplicate-id: {len(reused):,} annotations share their id with a different one: {some}"
        problems.append(Problem(file, None, reason, "give every annotation an id of its own", KEPT))
    return by_id, problems


def notes_on(data: Mapping[str, Any], file: str) -> list[str]:
    """What of the file is read otherwise than it is written, or not at all."""
    notes = []
    images, categories, annotations = (
        [entry for entry in data[key] if isinstance(entry, dict)] for key in ("images", "categories", "annotations")
    )
    for key, owners in (("image_id", images), ("category_id", categories)):
        if len(kinds(entry.get("id") for entry in owners) | kinds(entry.get(key) for entry in annotations)) > 1:
            notes.append(f"{file}: {key} and id are text in places and numbers in others: joined by value")
    for what, entries, read in (("annotations", annotations, _READ), ("images", images, _IMAGE_KEYS)):
        if unused := sorted({str(key) for entry in entries for key in entry} - read):
            some = [printable(key[:40]) for key in unused[:12]] + (["…"] if len(unused) > 12 else [])
            notes.append(f"{file}: fields of {what} that are not used: {', '.join(some)}")
    return notes


class _EntryReader:
    """One annotation while it is read; its `problems`."""

    def __init__(self, entry: Mapping[str, Any], where: tuple[str, int], image: ImageEntry) -> None:
        self.entry, self.where, self.image = entry, where, image
        self.problems: list[Problem] = []
        self.spoiled: Problem | None = None

    def read(self, categories: Mapping[str, Category]) -> Entry:
        category = lookup(categories, self.entry.get("category_id"))
        if category is None:
            id = describe(self.entry.get("category_id"))
            self._fault(f"unknown-class: category_id {id} is not among the categories")
        ignore = self._flags()
        outline = self._outline()
        box, turned = self._box(outline)
        unusable = any(problem.action == IGNORED for problem in self.problems)
        if self.spoiled is not None and not unusable:
            self.problems.append(self.spoiled)
        name = None if category is None else category.name
        spoiled = None if unusable else self.spoiled
        return Entry(name, box, ignore or unusable, self.where, outline, unusable, spoiled, turned)

    def _fault(self, reason: str, action: str = IGNORED) -> None:
        self.problems.append(self._problem(reason, action))

    def _problem(self, reason: str, action: str) -> Problem:
        return object_problem(self.where, reason, _REPAIR, printable(self.image.file_name[:200]), action)

    def _flags(self) -> bool:
        """Whether any flag says that the object is not to be found."""
        ignore = False
        for name in _FLAGS:
            try:
                ignore |= flag(self.entry.get(name))
            except ValueError as error:
                self._fault(f"bad-flag: {name}: {error}")
        return ignore

    def _box(self, outline: Outline | None) -> tuple[Box | None, bool]:
        """The box, or the place of one that cannot be used: that of its outline, or None; and whether it is turned."""
        bbox = self.entry.get("bbox")
        place: Box | None = None if outline is None else tuple(outline.box().tolist())
        if bbox is None or bbox == []:
            if outline is None:
                self._fault("no-box: neither bbox nor segmentation can be used")
            return place, False
        if not isinstance(bbox, list) or len(bbox) != 4:
            self._fault(f"bad-box: bbox is {describe(bbox)}, not [x, y, width, height]")
            return place, False
        x, y, width, height = (number(value) for value in bbox)
        box = (x, y, x + width, y + height)
        if fault := box_fault(box):
            self._fault(fault)
            return place or place_of(box), False
        if is_share(box) and max(width, height) < 1:
            self._fault("share: a box less than a pixel wide between 0 and 1, as if it were a share of the image")
            return place, False
        angle = _angle(self.entry)
        if not angle:
            return box, False
        return upright_around((x + width / 2, y + height / 2), (width, height), math.radians(angle)), True

    def _outline(self) -> Outline | None:
        """None if nothing is given, or nothing usable. Of several rings, those that are polygons stay."""
        segmentation = self.entry.get("segmentation")
        if segmentation in (None, [], {}, [[]]):
            return None
        try:
            if isinstance(segmentation, dict):
                return _runs(segmentation, self.image)
            if not isinstance(segmentation, list) or not all(isinstance(ring, list) for ring in segmentation):
                raise ValueError("neither polygons nor run lengths")
        except ValueError as error:
            self.spoiled = self._problem(f"bad-outline: {error}", IGNORED)
            return None
        rings, faults = sound_rings([[number(value) for value in ring] for ring in segmentation])
        if faults and rings is not None:
            self._fault(f"bad-outline: {len(faults)} of {len(segmentation)} rings, left out: {faults[0]}", REPAIRED)
        elif faults:
            self.spoiled = self._problem(f"bad-outline: {faults[0]}", IGNORED)
        return rings


def _angle(entry: Mapping[str, Any]) -> float:
    """Degrees by which an annotation tool turned the box about its centre; 0 if it did not."""
    attributes = entry.get("attributes")
    places = [entry, attributes if isinstance(attributes, dict) else {}]
    angles = (number(place.get(key)) for place in places for key in ("rotation", "angle"))
    return next((angle % 360 for angle in angles if math.isfinite(angle) and angle % 360), 0.0)


def _runs(segmentation: Mapping[str, Any], image: ImageEntry) -> Outline:
    size, counts = segmentation.get("size"), segmentation.get("counts")
    sides = [whole(side) or 0 for side in size] if isinstance(size, list) else []
    if len(sides) != 2 or min(sides) < 1:
        raise ValueError(f"run lengths of size {describe(size)}")
    height, width = sides
    if height * width > MAX_PIXELS or (image.size is not None and (height, width) != image.size):
        raise ValueError(f"run lengths of {width} x {height} pixels, unlike the image")
    lengths = [whole(count) for count in counts] if isinstance(counts, list) else []
    if not isinstance(counts, str) and (not isinstance(counts, list) or None in lengths):
        raise ValueError("run lengths that are neither text nor whole numbers")
    outline = runs_of(height, width, counts if isinstance(counts, str) else [n for n in lengths if n is not None])
    if not outline.counts[1::2].any():
        raise ValueError("run lengths without a pixel inside")
    return outline


def _refuse_shares(entries: Iterable[Any], file: str) -> None:
    boxes, outlines = [], []
    for entry in (entry for entry in entries if isinstance(entry, dict)):
        bbox, rings = entry.get("bbox"), entry.get("segmentation")
        if isinstance(bbox, list) and len(bbox) == 4:
            x, y, width, height = (number(value) for value in bbox)
            boxes.append((x, y, x + width, y + height))
        if isinstance(rings, list):
            outlines += [[number(value) for value in ring] for ring in rings if isinstance(ring, list)]
    refuse_shares(file, "boxes", boxes)
    refuse_shares(file, "outlines", outlines)


def _size(entry: Mapping[str, Any]) -> tuple[int, int] | None:
    height, width = whole(entry.get("height")), whole(entry.get("width"))
    return (height, width) if height is not None and width is not None and min(height, width) > 0 else None


def _order(id: str) -> tuple[int, int, str]:
    """Numbers in their order, then text."""
    digits = whole(id)
    return (0, digits, "") if digits is not None else (1, 0, id)


def _list(data: Mapping[str, Any], key: str, file: str) -> Sequence[Any]:
    value = data.get(key)
    if not isinstance(value, list):
        raise DataError(f"{file}: {key} is not a list", "export the annotations again")
    return value
