"""CVAT's XML for images 1.1: one file a task, with boxes, polygons, masks and ellipses by image.

`subset` is the split. Coordinates are pixels from the corner of the image; a mask is run lengths along the rows of its box.
Shapes of one class and one group are parts of one object. The format for video (tracks) is another one, and refused.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from sightline.data.files.matching import NameIndex
from sightline.data.files.values import flag, identity, number, whole
from sightline.data.files.walking import Walk, walk
from sightline.data.formats.recognition.vocabulary import split_in
from sightline.data.records.names import class_text, split_named, suffix
from sightline.data.records.outlines import Outline
from sightline.data.records.records import IGNORED, Problem
from sightline.data.records.source import Source
from sightline.errors import DataError
from sightline.storage.text import printable

from ..markup import Element, read_xml
from ..objects import object_problem
from ..units import Box, refuse_shares, upright_around
from .assembly import Finds, Mark, Page, assemble, joined
from .companions import images_among
from .shapes import BadShape, checked, ellipse, polygon, runs_in_box

BYTES = 256 << 20
_IMAGE = ("annotations", "image")
_LABELS = {("annotations", "meta", of, "labels", "label", "name") for of in ("task", "job", "project")}
_FLAGS = ("difficult", "iscrowd", "is_crowd", "ignore")
_REPAIR = "correct the shape, or remove it"


def read_cvat(tree: Walk, files: Sequence[str] = ()) -> Source:
    """The data set in these XML files, by default all of CVAT's in the folder. Raises DataError for one that cannot be read."""
    finds = Finds(tree)
    index = NameIndex(images_among(tree))
    classes: dict[str, None] = {}
    taken: dict[str, str] = {}
    rows: list[Sequence[float]] = []
    for name in files or [name for name in tree.files if suffix(name) == ".xml"]:
        elements, note = read_xml(Path(tree.root, name), printable(name), BYTES)
        if not any(element.path == _IMAGE for element in elements):
            _refuse_video(elements, printable(name))
            continue
        if note:
            finds.notes.append(f"{printable(name)} {note}")
        labels = [class_text(e.text) for e in elements if e.path in _LABELS and e.text]
        classes |= dict.fromkeys(labels)
        _FileReader(finds, name, elements, set(labels), rows).read(index, taken)
    if not finds.pages and not finds.problems:
        name = printable(files[0]) if files else printable(tree.root)
        raise DataError(f"{name} holds no images as CVAT writes them", "export the task as CVAT for images 1.1")
    refuse_shares("CVAT's file", "shapes", rows)
    if unlisted := len(set(images_among(tree)) - set(taken)):
        finds.notes.append(f"images in no annotation file, not used: {unlisted:,}")
    return assemble(finds, "cvat", "CVAT's file", list(classes) or None)


def read_cvat_file(path: Path) -> Source:
    """The data set that one XML file describes; its images are beside or below it."""
    return read_cvat(walk(str(path.parent)), [path.name])


def _refuse_video(elements: Sequence[Element], file: str) -> None:
    if any(element.path == ("annotations", "track") for element in elements):
        raise DataError(
            f"{file} is CVAT's XML for video, with tracks, which is not read", "export it as CVAT for images 1.1"
        )


class _FileReader:
    """One file while its images are read."""

    def __init__(
        self, finds: Finds, name: str, elements: Sequence[Element], labels: set[str], rows: list[Sequence[float]]
    ) -> None:
        self.finds, self.name, self.elements, self.labels, self.rows = finds, name, elements, labels, rows
        self.file = printable(name)
        self.children: defaultdict[int, list[Element]] = defaultdict(list)
        for element in elements:
            self.children[element.owner].append(element)

    def read(self, index: NameIndex, taken: dict[str, str]) -> None:
        stem = self.name.rsplit("/", 1)[-1].rsplit(".", 1)[0]
        whole_file = split_in(stem) or next((s for p in self.name.split("/")[:-1] if (s := split_named(p))), None)
        folder = self.name.rpartition("/")[0]
        for element in self.elements:
            if element.path != _IMAGE:
                continue
            written = element.attributes.get("name", "")
            split = split_named(element.attributes.get("subset", "")) or whole_file
            names = index.find(written, split=split, beside=(folder, "", "images")).names
            entry = f"image {printable(written[:200])}"
            if len(names) != 1 or names[0] in taken:
                if names and len(names) == 1:
                    reason, fix = f"repeated: {entry} is in {taken[names[0]]} already", "keep one of the two"
                elif names:
                    reason, fix = f"ambiguous: {entry} may be any of {len(names)} files", "write its whole path"
                else:
                    reason, fix = f"missing: {entry}", "restore the image, or remove it from the file"
                self.finds.problems.append(Problem(self.file, element.line, reason, fix))
                continue
            taken[names[0]] = f"{self.file} line {element.line}"
            if split:
                self.finds.splits.add(split)
            size = _size(element.attributes)
            marks = self._marks(element, printable(names[0]), size)
            self.finds.pages.append(Page(names[0], split, size, joined(marks)))

    def _marks(self, image: Element, name: str, size: tuple[int, int] | None) -> list[Mark]:
        marks = []
        for element in sorted(self.children[image.number], key=lambda e: e.number):
            kind = element.path[-1]
            if kind not in _AREAS:
                self.finds.skip(kind)
                continue
            marks.append(self._mark(element, name, size))
        return marks

    def _mark(self, element: Element, image: str, size: tuple[int, int] | None) -> Mark:
        where, unusable, box, outline = (self.file, element.line), False, None, None
        faults = []
        given = class_text(element.attributes.get("label", "").strip())
        name = given if 0 < len(given) <= 200 and (given in self.labels or not self.labels) else None
        if name is None:
            faults.append(f"unknown-class: the label {printable(given[:40])!r} is not among the labels")
        own = self.children[element.number]
        flags = {e.attributes.get("name", ""): e.text for e in own if e.path[-1] == "attribute"}
        ignore = False
        try:
            ignore = any(flag(flags.get(word)) for word in _FLAGS)
        except ValueError as error:
            faults.append(f"bad-flag: {error}")
        try:
            box, outline = _AREAS[element.path[-1]](element.attributes, size)
            self.rows.append(box)
        except BadShape as error:
            faults.append(str(error))
        for reason in faults:
            unusable = True
            self.finds.problems.append(object_problem(where, reason, _REPAIR, image, IGNORED))
        group = identity(element.attributes.get("group_id")) or ""
        return Mark(name, box, where, outline, ignore, unusable, "" if group == "0" else group)


def _size(attributes: Mapping[str, str]) -> tuple[int, int] | None:
    height, width = whole(attributes.get("height")), whole(attributes.get("width"))
    return (height, width) if height is not None and width is not None and min(height, width) > 0 else None


def _numbers(attributes: Mapping[str, str], *names: str) -> list[float]:
    return [number(attributes.get(name)) for name in names]


def _turn(attributes: Mapping[str, str]) -> float:
    angle = number(attributes.get("rotation", "0"))
    return angle % 360 if math.isfinite(angle) else math.nan


def _box(attributes: Mapping[str, str], size: object) -> tuple[Box, None]:
    left, top, right, bottom = _numbers(attributes, "xtl", "ytl", "xbr", "ybr")
    box = checked((left, top, right, bottom))
    if angle := _turn(attributes):
        box = upright_around(
            ((left + right) / 2, (top + bottom) / 2), (right - left, bottom - top), math.radians(angle)
        )
    return checked(box), None


def _polygon(attributes: Mapping[str, str], size: object) -> tuple[Box, Outline | None]:
    points = [pair.split(",") for pair in attributes.get("points", "").split(";") if pair.strip()]
    if not all(len(point) == 2 for point in points):
        raise BadShape("bad-outline: points that are not pairs of x,y")
    return polygon([(number(x), number(y)) for x, y in points])


def _ellipse(attributes: Mapping[str, str], size: object) -> tuple[Box, Outline | None]:
    x, y, rx, ry = _numbers(attributes, "cx", "cy", "rx", "ry")
    return ellipse(x, y, rx, ry, _turn(attributes))


def _mask(attributes: Mapping[str, str], size: tuple[int, int] | None) -> tuple[Box, Outline | None]:
    counts = [whole(cell.strip()) for cell in attributes.get("rle", "").split(",")]
    place = [whole(attributes.get(name)) for name in ("left", "top", "width", "height")]
    if size is None or None in counts or None in place:
        raise BadShape("bad-outline: run lengths or their place that are not whole numbers")
    left, top, width, height = (value or 0 for value in place)
    return runs_in_box([count or 0 for count in counts], (left, top, width, height), size)


_AREAS: dict[str, Callable[..., tuple[Box, Outline | None]]] = {
    "box": _box,
    "polygon": _polygon,
    "ellipse": _ellipse,
    "mask": _mask,
}
