"""Boxes in Pascal VOC's layout (Everingham et al. 2010): JPEGImages/, one XML file per image in Annotations/, and lists
of names in ImageSets/Main/.

VOC counts pixels from 1 and its xmax, ymax are the last pixels inside: as half-open edges a box is (xmin - 1, ymin - 1,
xmax, ymax); corners that coincide are a mistake, not an object one pixel wide. An image and its XML file share their name
without suffix; the file and folder stated in the XML are often stale and not used. Objects that are difficult or cannot be
read are neither objects to find nor background.
"""

from __future__ import annotations

import math
import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from sightline.data.files.lists import SplitLists, lists_among, read_lists
from sightline.data.files.matching import pair
from sightline.data.files.values import flag, number, whole
from sightline.data.files.walking import Walk
from sightline.data.records.names import IMAGE_SUFFIXES, class_text, class_texts, suffix
from sightline.data.records.records import IGNORED, Files, Problem, Record
from sightline.data.records.source import Source
from sightline.errors import DataError
from sightline.storage.text import printable

from .markup import Element, read_xml
from .objects import AnnotatedImage, Marked, ObjectAnnotations, box_fault, object_problem, objects_of, place_of
from .units import Box, is_share, refuse_shares, refuse_sides, upright_around

PICTURES, XML, LISTS = "JPEGImages", "Annotations", "ImageSets/Main"
_CORNERS = ("xmin", "ymin", "xmax", "ymax")
_REPAIR = "correct the object, or remove it"


class _Object(NamedTuple):
    """One object, as in its file: `name` None if it cannot be read, `box` None if its place is unknown; both are to
    `ignore`. `stated` are the corners as written; `turned`: the box is the upright one around a turned box."""

    name: str | None
    box: Box | None
    ignore: bool
    where: tuple[str, int]
    stated: Box | None = None
    turned: bool = False
    unusable: bool = False


class _Page(NamedTuple):
    """The content of one XML file; `zero` counts coordinates of 0, which cannot occur when pixels count from 1, `outlines`
    the objects with an outline, which is not used."""

    size: tuple[int, int] | None
    objects: tuple[_Object, ...]
    problems: tuple[Problem, ...]
    note: str
    zero: int
    outlines: int = 0


def is_voc(tree: Walk) -> bool:
    """Whether the folder has VOC's layout."""
    tops = {name.split("/", 1)[0] for name in tree.files if "/" in name}
    return {PICTURES, XML} <= tops and any(_is_xml(name) for name in tree.files)


def read_voc(tree: Walk) -> Source:
    """The data set. An image whose XML file cannot be read is quarantined, with file and line."""
    images = [n for n in tree.files if n.startswith(f"{PICTURES}/") and suffix(n) in IMAGE_SUFFIXES]
    pages = {name: _stem(name, XML) for name in tree.files if _is_xml(name)}
    lists = lists_among(tree.files, LISTS)
    everything = SplitLists(dict.fromkeys(images, ""), frozenset(), (), ())
    split_lists = read_lists(tree.root, lists, images, tree.lost) if lists else everything
    pairs = pair({name: _stem(name, PICTURES) for name in split_lists.split}, pages)
    problems = [*tree.refused, *split_lists.problems]
    kept: list[tuple[str, _Page]] = []
    for name in sorted(split_lists.split):
        page = pairs.partner.get(name)
        if page is None:
            problems.append(_unpaired(name, pairs.contested.get(name, ())))
            continue
        try:
            kept.append((name, _read(Path(tree.root, page), printable(page), printable(name))))
        except DataError as error:
            problems.append(_unreadable(error, printable(page)))
    _check_units([page for _, page in kept])
    notes = [*_notes([page for _, page in kept]), *split_lists.notes]
    if unlisted := len(set(images) - set(split_lists.split) - split_lists.contested):
        notes.append(f"images in no list, not used: {unlisted:,}")
    if any(name.startswith("SegmentationClass/") for name in tree.files):
        notes.append(
            "SegmentationClass/ is not used: give that folder as the data to read its masks instead of the boxes"
        )
    of_any = pair({name: _stem(name, PICTURES) for name in images}, pages)
    named = {
        *pairs.partner.values(),
        *of_any.partner.values(),
        *(name for of in of_any.contested.values() for name in of),
    }
    if spare := len(set(pages) - named):
        notes.append(f"XML files without an image: {spare:,}")
    problems += [problem for _, page in kept for problem in page.problems]
    return _source(tree, kept, split_lists, notes, problems)


def _source(
    tree: Walk, kept: list[tuple[str, _Page]], split_lists: SplitLists, notes: list[str], problems: list[Problem]
) -> Source:
    texts = class_texts(o.name for _, page in kept for o in page.objects if o.name is not None)
    classes = tuple(sorted(set(texts.values())))
    place: dict[str | None, int] = {name: classes.index(text) for name, text in texts.items()}
    annotated = []
    for _, page in kept:
        marked = [Marked(place.get(o.name), o.box, o.ignore, o.where) for o in page.objects]
        annotated.append(AnnotatedImage(objects_of(marked, len(classes)), page.size))
    contents = Files(tree.root)
    records = tuple(Record(row, name, None, split_lists.split[name] or None) for row, (name, _) in enumerate(kept))
    annotations = ObjectAnnotations("boxes", contents, annotated, len(classes), XML)
    return Source(
        name=os.path.basename(tree.root) or "data",
        kind="voc",
        root=tree.root,
        records=records,
        classes=classes,
        contents=contents,
        given_splits=split_lists.named_splits,
        notes=tuple(notes),
        problems=tuple(problems),
        annotations=annotations,
    )


def _read(path: Path, file: str, image: str) -> _Page:
    """One XML file. Raises DataError if it is not XML or not an annotation."""
    elements, note = read_xml(path, file)
    if not elements or elements[-1].path != ("annotation",):
        raise DataError(f"{file} line 1: the root is not <annotation>", "export the annotation again")
    children: defaultdict[int, list[Element]] = defaultdict(list)
    for element in elements:
        children[element.owner].append(element)
    size = next((e for e in elements if e.path == ("annotation", "size")), None)
    objects, problems, zero, outlines = [], [], 0, 0
    for element in elements:
        if element.path != ("annotation", "object"):
            continue
        reader = _ObjectReader(element, children, file, image)
        objects.append(reader.read())
        problems += reader.problems
        zero += sum(reader.corners.get(c, "") in ("0", "0.0") for c in ("xmin", "ymin"))
        outlines += any(tag in reader.parts for tag in ("polygon", "segmentation", "mask"))
    stated = _size(_texts(children[size.number])) if size else None
    return _Page(stated, tuple(objects), tuple(problems), note, zero, outlines)


def _texts(elements: list[Element]) -> dict[str, str]:
    """Tag → text, of the first of each."""
    return {element.path[-1]: element.text for element in reversed(sorted(elements, key=lambda e: e.number))}


class _ObjectReader:
    """One <object> while it is read; its `problems`."""

    def __init__(self, element: Element, children: Mapping[int, list[Element]], file: str, image: str) -> None:
        own = children.get(element.number, [])
        self.parts = _texts(own)
        numbers = {each.path[-1]: each.number for each in own}
        self.corners, self.turned = (_texts(children.get(numbers.get(tag, -1), [])) for tag in ("bndbox", "robndbox"))
        attributes = [_texts(children.get(each.number, [])) for each in children.get(numbers.get("attributes", -1), [])]
        self.attributes = {each.get("name", ""): each.get("value", "") for each in attributes}
        self.where, self.image = (file, element.line), image
        self.problems: list[Problem] = []

    def read(self) -> _Object:
        name = self._name()
        difficult = self._difficult()
        box, stated, turned = self._box()
        unusable = any(problem.action == IGNORED for problem in self.problems)
        return _Object(name, box, difficult or unusable, self.where, stated, turned, unusable)

    def _fault(self, reason: str) -> None:
        self.problems.append(object_problem(self.where, reason, _REPAIR, self.image, IGNORED))

    def _name(self) -> str | None:
        name = class_text(self.parts.get("name", "").strip())
        if name and len(name) <= 200:
            return name
        self._fault(f"no-class: a name of {len(name)} characters" if name else "no-class: the object has no name")
        return None

    def _difficult(self) -> bool:
        try:
            return flag(self.parts.get("difficult"))
        except ValueError as error:
            self._fault(f"bad-flag: difficult: {error}")
            return True

    def _box(self) -> tuple[Box | None, Box | None, bool]:
        """The box in half-open edges, or the place of one that cannot be used; as it is written; and whether it is turned."""
        if "xmin" not in self.corners and {"cx", "cy", "w", "h"} <= self.turned.keys():
            x, y, width, height, angle = (number(self.turned.get(key, "0")) for key in ("cx", "cy", "w", "h", "angle"))
            box = upright_around((x, y), (width, height), angle if math.isfinite(angle) else math.nan)
            if fault := box_fault(box):
                self._fault(fault)
                return place_of(box), None, False
            return box, None, True
        if missing := [corner for corner in _CORNERS if corner not in self.corners]:
            self._fault(f"no-box: the object has no {', '.join(missing)}")
            return None, None, False
        left, top, right, bottom = (number(self.corners[corner]) for corner in _CORNERS)
        stated = (left, top, right, bottom)
        if fault := box_fault(stated):
            self._fault(fault)
            low, high = (min(left, right) - 1, min(top, bottom) - 1), (max(left, right), max(top, bottom))
            return place_of((*low, *high)), stated, False
        if is_share(stated):
            self._fault("share: a box less than a pixel wide between 0 and 1, as if it were a share of the image")
            return None, stated, False
        box = (left - 1, top - 1, right, bottom)
        angle = number(self.attributes.get("rotation", "0"))
        if math.isfinite(angle) and angle % 360:
            centre, sides = ((left - 1 + right) / 2, (top - 1 + bottom) / 2), (right - left + 1, bottom - top + 1)
            return upright_around(centre, sides, math.radians(angle)), stated, True
        return box, stated, False


def _check_units(pages: Sequence[_Page]) -> None:
    """DataError if all the boxes are shares, or corner and sides."""
    stated = [(o.stated, page.size) for page in pages for o in page.objects if o.stated is not None]
    refuse_shares(XML, "boxes", [box for box, _ in stated])
    refuse_sides(XML, [box for box, _ in stated], [size for _, size in stated])


def _unpaired(name: str, contested: Sequence[str]) -> Problem:
    """The problem of an image without an XML file of its own."""
    if contested:
        some = ", ".join(printable(other) for other in contested[:4])
        return Problem(
            printable(name), None, f"ambiguous: one name for {some}", "give each image and its XML file one name"
        )
    reason = f"no-annotation: {XML}/{printable(_stem(name, PICTURES))}.xml does not exist"
    fix = "annotate the image (with an XML file without objects if it shows none), or remove it"
    return Problem(printable(name), None, reason, fix)


def _size(parts: Mapping[str, str]) -> tuple[int, int] | None:
    """(height, width); None if they are not given, or 0 as some tools write."""
    height, width = whole(parts.get("height")), whole(parts.get("width"))
    return (height, width) if height is not None and width is not None and min(height, width) > 0 else None


def _unreadable(error: DataError, file: str) -> Problem:
    """The problem of an image whose XML file cannot be read."""
    head, _, why = error.message.partition(": ")
    words = head.split()
    line = int(words[-1]) if len(words) > 1 and words[-2] == "line" and words[-1].isdigit() else None
    return Problem(
        file, line, f"bad-xml: {why if line else error.message}", error.hint or "export the annotation again"
    )


def _notes(pages: list[_Page]) -> list[str]:
    total = sum(not o.unusable for page in pages for o in page.objects)
    notes = [
        f"boxes: {total:,}; VOC counts pixels from 1 and includes the last: the edges are (xmin - 1, ymin - 1, xmax, ymax)"
    ]
    if difficult := sum(o.ignore and not o.unusable for page in pages for o in page.objects):
        notes.append(f"boxes marked difficult, ignored: {difficult:,}")
    if zero := sum(page.zero for page in pages):
        notes.append(
            f"xmin or ymin of 0, clipped: {zero:,}; VOC counts from 1, so a tool that counts from 0 has made some boxes"
        )
    if turned := sum(o.turned for page in pages for o in page.objects):
        notes.append(f"boxes that are turned, for which the upright boxes around them are used: {turned:,}")
    if outlines := sum(page.outlines for page in pages):
        notes.append(f"outlines beside the boxes, not used: {outlines:,}")
    if empty := sum(not page.objects for page in pages):
        notes.append(f"images without objects: {empty:,}")
    for note in sorted({page.note for page in pages if page.note}):
        notes.append(f"XML files: {sum(page.note == note for page in pages):,} of {len(pages):,}, each {note}")
    return notes


def _is_xml(name: str) -> bool:
    return name.startswith(f"{XML}/") and suffix(name) == ".xml"


def _stem(name: str, folder: str) -> str:
    return os.path.splitext(name.removeprefix(f"{folder}/"))[0]
