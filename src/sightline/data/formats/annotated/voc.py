"""Boxes in Pascal VOC's layout (Everingham et al. 2010): JPEGImages/, one XML file per image in Annotations/, and lists
of names in ImageSets/Main/.

VOC counts pixels from 1 and its xmax, ymax are the last pixels inside: as half-open edges a box is (xmin - 1, ymin - 1,
xmax, ymax); corners that coincide are a mistake, not an object one pixel wide. An image and its XML file share their name
without suffix; the file and folder stated in the XML are often stale and not used. Difficult objects are neither
objects to find nor background.
"""

from __future__ import annotations

import math
import os
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

from sightline.data.files.lists import SplitLists, lists_among, read_lists
from sightline.data.files.walking import Walk
from sightline.data.records.names import IMAGE_SUFFIXES, class_text, class_texts, suffix
from sightline.data.records.records import Files, Problem, Record
from sightline.data.records.source import Source
from sightline.errors import DataError
from sightline.storage.text import printable

from .markup import Element, read_xml
from .objects import AnnotatedImage, ObjectAnnotations, box_fault, object_problem, objects_from_lists

PICTURES, XML, LISTS = "JPEGImages", "Annotations", "ImageSets/Main"
_CORNERS = ("xmin", "ymin", "xmax", "ymax")
_REPAIR = "correct the object, or remove it"


class _Object(NamedTuple):
    """One usable object, as in its file."""

    name: str
    box: tuple[float, float, float, float]
    difficult: bool
    where: tuple[str, int]


class _Page(NamedTuple):
    """The content of one XML file; `zero` counts coordinates of 0, which cannot occur when pixels count from 1."""

    size: tuple[int, int] | None
    objects: tuple[_Object, ...]
    problems: tuple[Problem, ...]
    note: str
    zero: int


def is_voc(tree: Walk) -> bool:
    """Whether the folder has VOC's layout."""
    tops = {name.split("/", 1)[0] for name in tree.files if "/" in name}
    return {PICTURES, XML} <= tops and any(_is_xml(name) for name in tree.files)


def read_voc(tree: Walk) -> Source:
    """The data set. An image whose XML file cannot be read is quarantined, with file and line."""
    images = [n for n in tree.files if n.startswith(f"{PICTURES}/") and suffix(n) in IMAGE_SUFFIXES]
    pages = {_stem(name, XML): name for name in tree.files if _is_xml(name)}
    lists = lists_among(tree.files, LISTS)
    everything = SplitLists(dict.fromkeys(images, ""), frozenset(), (), ())
    split_lists = read_lists(tree.root, lists, images, tree.lost) if lists else everything
    problems = [*tree.refused, *split_lists.problems]
    kept: list[tuple[str, _Page]] = []
    for name in sorted(split_lists.split):
        page = pages.get(_stem(name, PICTURES))
        if page is None:
            reason = f"no-annotation: {XML}/{printable(_stem(name, PICTURES))}.xml does not exist"
            fix = "annotate the image (with an XML file without objects if it shows none), or remove it"
            problems.append(Problem(printable(name), None, reason, fix))
            continue
        try:
            kept.append((name, _read(Path(tree.root, page), printable(page), printable(name))))
        except DataError as error:
            problems.append(_unreadable(error, printable(page)))
    notes = [*_notes([page for _, page in kept]), *split_lists.notes]
    if unlisted := len(set(images) - set(split_lists.split) - split_lists.contested):
        notes.append(f"images in no list, not used: {unlisted:,}")
    if any(name.startswith("SegmentationClass/") for name in tree.files):
        notes.append("SegmentationClass/ is not used: this layout is read for its boxes")
    if spare := len(set(pages) - {_stem(name, PICTURES) for name in images}):
        notes.append(f"XML files without an image: {spare:,}")
    problems += [problem for _, page in kept for problem in page.problems]
    return _source(tree, kept, split_lists, notes, problems)


def _source(
    tree: Walk, kept: list[tuple[str, _Page]], split_lists: SplitLists, notes: list[str], problems: list[Problem]
) -> Source:
    texts = class_texts(o.name for _, page in kept for o in page.objects)
    classes = tuple(sorted(set(texts.values())))
    place = {name: index for index, name in enumerate(classes)}
    annotated = []
    for _, page in kept:
        objects = objects_from_lists(
            [o.box for o in page.objects],
            [place[texts[o.name]] for o in page.objects],
            [o.difficult for o in page.objects],
            [o.where for o in page.objects],
        )
        annotated.append(AnnotatedImage(objects, page.size))
    contents = Files(tree.root)
    records = tuple(Record(row, name, None, split_lists.split[name] or None) for row, (name, _) in enumerate(kept))
    annotations = ObjectAnnotations("boxes", contents, annotated, len(classes))
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
    """Raises ValueError with the reason if it cannot be used."""
    name = class_text(parts["name"].text.strip()) if "name" in parts else ""
    if not name:
        raise ValueError("no-class: the object has no name")
    if len(name) > 200:
        raise ValueError(f"no-class: a name of {len(name)} characters")
    missing = [corner for corner in _CORNERS if corner not in corners]
    if missing:
        raise ValueError(f"no-box: the object has no {', '.join(missing)}")
    left, top, right, bottom = (_number(corners[corner].text) for corner in _CORNERS)
    if fault := box_fault((left, top, right, bottom)):
        raise ValueError(fault)
    difficult = parts["difficult"].text if "difficult" in parts else "0"
    box = (left - 1, top - 1, right, bottom)
    return _Object(name, box, difficult not in ("0", "", "false", "False"), where)


def _number(text: str) -> float:
    """NaN for anything but a number."""
    try:
        return float(text) if len(text) < 40 else math.nan
    except ValueError:
        return math.nan


def _size(parts: dict[str, Element]) -> tuple[int, int] | None:
    """(height, width); None if they are not given, or 0 as some tools write."""
    if "height" not in parts or "width" not in parts:
        return None
    height, width = (_number(parts[side].text) for side in ("height", "width"))
    if not (math.isfinite(height) and math.isfinite(width)) or height < 1 or width < 1:
        return None
    return int(height), int(width)


def _unreadable(error: DataError, file: str) -> Problem:
    """The problem of an image whose XML file cannot be read."""
    head, _, why = error.message.partition(": ")
    words = head.split()
    line = int(words[-1]) if len(words) > 1 and words[-2] == "line" and words[-1].isdigit() else None
    return Problem(
        file, line, f"bad-xml: {why if line else error.message}", error.hint or "export the annotation again"
    )


def _notes(pages: list[_Page]) -> list[str]:
    total = sum(len(page.objects) for page in pages)
    notes = [
        f"boxes: {total:,}; VOC counts pixels from 1 and includes the last: the edges are (xmin - 1, ymin - 1, xmax, ymax)"
    ]
    if difficult := sum(o.difficult for page in pages for o in page.objects):
        notes.append(f"boxes marked difficult, ignored: {difficult:,}")
    if zero := sum(page.zero for page in pages):
        notes.append(
            f"xmin or ymin of 0, clipped: {zero:,}; VOC counts from 1, so a tool that counts from 0 has made some boxes"
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
