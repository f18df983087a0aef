"""Boxes as Pascal VOC has them (Everingham et al. 2010): JPEGImages/, one XML file an image in Annotations/, and lists of
names in ImageSets/Main/.

VOC counts pixels from 1 and its xmax, ymax are the last pixels inside: as half-open edges a box is (xmin - 1, ymin - 1,
xmax, ymax); corners that coincide are a slip, not an object one pixel wide. An image and its XML share their name without
suffix; what the XML says of file and folder is often stale and not used. Difficult objects are neither objects to find
nor background.
"""

from __future__ import annotations

import math
import os
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

from sightline.data.files.lists import Listed, lists_among, read_lists
from sightline.data.files.walking import Walk
from sightline.data.records.names import IMAGE_SUFFIXES, class_text, class_texts, suffix
from sightline.data.records.records import Files, Problem, Record
from sightline.data.records.source import Source
from sightline.errors import DataError
from sightline.storage.text import shown

from .markup import Element, read_xml
from .objects import Drawn, DrawnObjects, box_fault, gathered, object_problem

PICTURES, XML, LISTS = "JPEGImages", "Annotations", "ImageSets/Main"
_CORNERS = ("xmin", "ymin", "xmax", "ymax")
_REPAIR = "correct the object, or remove it"


class _Object(NamedTuple):
    """One object that can be used, as its file gives it."""

    name: str
    box: tuple[float, float, float, float]
    difficult: bool
    where: tuple[str, int]


class _Page(NamedTuple):
    """What one XML file says; `zero` counts coordinates of 0, which a count from 1 does not have."""

    size: tuple[int, int] | None
    objects: tuple[_Object, ...]
    problems: tuple[Problem, ...]
    note: str
    zero: int


def is_voc(found: Walk) -> bool:
    """Whether the folder is laid out as VOC's."""
    tops = {name.split("/", 1)[0] for name in found.files if "/" in name}
    return {PICTURES, XML} <= tops and any(_is_xml(name) for name in found.files)


def read_voc(found: Walk) -> Source:
    """The data set. An XML file that cannot be read costs its image, by file and line."""
    images = [n for n in found.files if n.startswith(f"{PICTURES}/") and suffix(n) in IMAGE_SUFFIXES]
    pages = {_stem(name, XML): name for name in found.files if _is_xml(name)}
    lists = lists_among(found.files, LISTS)
    everything = Listed(dict.fromkeys(images, ""), frozenset(), (), ())
    listed = read_lists(found.root, lists, images, found.lost) if lists else everything
    problems = [*found.refused, *listed.problems]
    kept: list[tuple[str, _Page]] = []
    for name in sorted(listed.split):
        page = pages.get(_stem(name, PICTURES))
        if page is None:
            reason = f"no-annotation: {XML}/{shown(_stem(name, PICTURES))}.xml is not there"
            fix = "annotate the image (an XML without objects where it shows none), or remove it"
            problems.append(Problem(shown(name), None, reason, fix))
            continue
        try:
            kept.append((name, _read(Path(found.root, page), shown(page), shown(name))))
        except DataError as error:
            problems.append(_unread(error, shown(page)))
    notes = [*_said([page for _, page in kept]), *listed.notes]
    if unlisted := len(set(images) - set(listed.split) - listed.torn):
        notes.append(f"images that no list names, not used: {unlisted:,}")
    if any(name.startswith("SegmentationClass/") for name in found.files):
        notes.append("SegmentationClass/ is not used: the question here is boxes")
    if spare := len(set(pages) - {_stem(name, PICTURES) for name in images}):
        notes.append(f"XML files without an image: {spare:,}")
    problems += [problem for _, page in kept for problem in page.problems]
    return _source(found, kept, listed, notes, problems)


def _source(
    found: Walk, kept: list[tuple[str, _Page]], listed: Listed, notes: list[str], problems: list[Problem]
) -> Source:
    texts = class_texts(o.name for _, page in kept for o in page.objects)
    classes = tuple(sorted(set(texts.values())))
    place = {name: index for index, name in enumerate(classes)}
    drawn = []
    for _, page in kept:
        objects = gathered(
            [o.box for o in page.objects],
            [place[texts[o.name]] for o in page.objects],
            [o.difficult for o in page.objects],
            [o.where for o in page.objects],
        )
        drawn.append(Drawn(objects, page.size))
    contents = Files(found.root)
    records = tuple(Record(row, name, None, listed.split[name] or None) for row, (name, _) in enumerate(kept))
    annotations = DrawnObjects("detection", contents, drawn, len(classes))
    return Source(
        name=os.path.basename(found.root) or "data",
        kind="voc",
        root=found.root,
        records=records,
        classes=classes,
        contents=contents,
        given_splits=listed.given,
        notes=tuple(notes),
        problems=tuple(problems),
        annotations=annotations,
    )


def _read(path: Path, file: str, image: str) -> _Page:
    """One XML file. Raises DataError where it is none, or no annotation."""
    elements, note = read_xml(path, file)
    if not elements or elements[-1].path != ("annotation",):
        raise DataError(f"{file} line 1: its root is not <annotation>", "export the annotation again")
    children: defaultdict[int, dict[str, Element]] = defaultdict(dict)
    for element in elements:
        children[element.owner].setdefault(element.path[-1], element)
    size = next((e for e in elements if e.path == ("annotation", "size")), None)
    objects, problems, zero = [], [], 0
    for element in elements:
        if element.path != ("annotation", "object"):
            continue
        box = children[element.number].get("bndbox")
        corners = {} if box is None else children[box.number]
        zero += sum(corners[c].text in ("0", "0.0") for c in ("xmin", "ymin") if c in corners)
        try:
            objects.append(_object(children[element.number], corners, (file, element.line)))
        except ValueError as error:
            problems.append(object_problem((file, element.line), str(error), _REPAIR, image))
    return _Page(_size(children[size.number]) if size else None, tuple(objects), tuple(problems), note, zero)


def _object(parts: dict[str, Element], corners: dict[str, Element], where: tuple[str, int]) -> _Object:
    """Raises ValueError with a reason where it cannot be used."""
    name = class_text(parts["name"].text.strip()) if "name" in parts else ""
    if not name:
        raise ValueError("no-class: the object has no name")
    if len(name) > 200:
        raise ValueError(f"no-class: a name of {len(name)} characters")
    lacking = [corner for corner in _CORNERS if corner not in corners]
    if lacking:
        raise ValueError(f"no-box: the object has no {', '.join(lacking)}")
    left, top, right, bottom = (_number(corners[corner].text) for corner in _CORNERS)
    if fault := box_fault((left, top, right, bottom)):
        raise ValueError(fault)
    difficult = parts["difficult"].text if "difficult" in parts else "0"
    box = (left - 1, top - 1, right, bottom)
    return _Object(name, box, difficult not in ("0", "", "false", "False"), where)


def _number(text: str) -> float:
    """NaN for what is no number."""
    try:
        return float(text) if len(text) < 40 else math.nan
    except ValueError:
        return math.nan


def _size(parts: dict[str, Element]) -> tuple[int, int] | None:
    """(height, width); None where they are not given, or 0 as some tools write."""
    if "height" not in parts or "width" not in parts:
        return None
    height, width = (_number(parts[side].text) for side in ("height", "width"))
    if not (math.isfinite(height) and math.isfinite(width)) or height < 1 or width < 1:
        return None
    return int(height), int(width)


def _unread(error: DataError, file: str) -> Problem:
    """The image of an XML file that cannot be read is out of use."""
    head, _, why = error.message.partition(": ")
    words = head.split()
    line = int(words[-1]) if len(words) > 1 and words[-2] == "line" and words[-1].isdigit() else None
    return Problem(
        file, line, f"bad-xml: {why if line else error.message}", error.hint or "export the annotation again"
    )


def _said(pages: list[_Page]) -> list[str]:
    total = sum(len(page.objects) for page in pages)
    notes = [
        f"boxes: {total:,}; VOC counts pixels from 1, the last one included: (xmin - 1, ymin - 1, xmax, ymax) are the edges"
    ]
    if difficult := sum(o.difficult for page in pages for o in page.objects):
        notes.append(f"boxes marked difficult, ignored: {difficult:,}")
    if zero := sum(page.zero for page in pages):
        notes.append(
            f"boxes' xmin or ymin of 0: {zero:,}; VOC counts from 1, so some of these were made from 0: clipped"
        )
    if empty := sum(not page.objects for page in pages):
        notes.append(f"images without objects: {empty:,}")
    for note in sorted({page.note for page in pages if page.note}):
        notes.append(f"XML files: {sum(page.note == note for page in pages):,} of {len(pages):,}, each {note}")
    return notes


def _is_xml(name: str) -> bool:
    return name.startswith(f"{XML}/") and suffix(name) == ".xml"


def _stem(name: str, folder: str) -> str:
    return os.path.splitext(name.removeprefix(f"{folder}/"))[0]
