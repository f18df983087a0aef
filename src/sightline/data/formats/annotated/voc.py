"""Boxes in Pascal VOC's layout (Everingham et al. 2010): JPEGImages/, one XML file per image in Annotations/, and lists
of names in ImageSets/Main/.

An image and its XML file share their name without suffix; the file and folder stated in the XML are often stale and not
used. XML files beside their images, or in folders of other names, are read as well. `labelmap.txt`, where a tool wrote it,
names the classes in their order.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from sightline.data.files.encodings import read_text
from sightline.data.files.lists import SplitLists, lists_among, read_lists
from sightline.data.files.matching import Pairs, pair
from sightline.data.files.walking import Walk
from sightline.data.records.names import IMAGE_SUFFIXES, class_text, class_texts, suffix
from sightline.data.records.records import Files, Problem, Record
from sightline.data.records.source import Source
from sightline.errors import DataError
from sightline.storage.text import printable

from .objects import AnnotatedImage, Marked, ObjectAnnotations, objects_of, refuse_unknown
from .tools.companions import companions, images_among, paired, splits_of, unpaired
from .units import refuse_shares, refuse_sides
from .vocpages import VocPage, read_page

PICTURES, XML, LISTS = "JPEGImages", "Annotations", "ImageSets/Main"
LABELMAP = "labelmap.txt"


def is_voc(tree: Walk) -> bool:
    """Whether the folder has VOC's layout."""
    tops = {name.split("/", 1)[0] for name in tree.files if "/" in name}
    return {PICTURES, XML} <= tops and any(_is_xml(name) for name in tree.files)


def read_voc(tree: Walk) -> Source:
    """The data set in VOC's layout. An image whose XML file cannot be read is quarantined, with file and line."""
    images = [n for n in tree.files if n.startswith(f"{PICTURES}/") and suffix(n) in IMAGE_SUFFIXES]
    pages = {name: _stem(name, XML) for name in tree.files if _is_xml(name)}
    lists = lists_among(tree.files, LISTS)
    everything = SplitLists(dict.fromkeys(images, ""), frozenset(), (), ())
    split_lists = read_lists(tree.root, lists, images, tree.lost) if lists else everything
    pairs = pair({name: _stem(name, PICTURES) for name in split_lists.split}, pages)
    of_any = pair({name: _stem(name, PICTURES) for name in images}, pages)
    source = _read(tree, images, split_lists, pairs)
    notes = []
    if any(name.startswith("SegmentationClass/") for name in tree.files):
        notes.append(
            "SegmentationClass/ is not used: give that folder as the data to read its masks instead of the boxes"
        )
    return _with_notes(source, [*notes, *_spare(pages, paired(pairs) | paired(of_any))])


def read_voc_anywhere(tree: Walk) -> Source:
    """The data set of images and XML files beside them, or in folders of other names than VOC's."""
    images = images_among(tree)
    pages = [name for name in tree.files if suffix(name) == ".xml"]
    pairs = companions(images, pages)
    source = _read(tree, images, splits_of(tree, images), pairs)
    return _with_notes(source, _spare(pages, paired(pairs)))


def _read(tree: Walk, images: Sequence[str], split_lists: SplitLists, pairs: Pairs) -> Source:
    problems = [*tree.refused, *split_lists.problems]
    kept: list[tuple[str, VocPage]] = []
    for name in sorted(split_lists.split):
        file = pairs.partner.get(name)
        if file is None:
            problems.append(unpaired(name, pairs.contested.get(name, ()), "XML file"))
            continue
        try:
            kept.append((name, read_page(Path(tree.root, file), printable(file), printable(name))))
        except DataError as error:
            problems.append(_unreadable(error, printable(file)))
    what = XML if is_voc(tree) else "the XML files"
    _check_units([page for _, page in kept], what)
    notes = [*_notes([page for _, page in kept]), *split_lists.notes]
    if unlisted := len(set(images) - set(split_lists.split) - split_lists.contested):
        notes.append(f"images in no list, not used: {unlisted:,}")
    problems += [problem for _, page in kept for problem in page.problems]
    names = {o.name for _, page in kept for o in page.objects if o.name is not None}
    texts = class_texts({*names, *(listed := _labelmap(tree, names))})
    order = [texts[name] for name in listed]
    classes = tuple(dict.fromkeys([*order, *sorted(set(texts.values()))]))
    row = {text: number for number, text in enumerate(classes)}
    place: dict[str | None, int] = {name: row[text] for name, text in texts.items()}
    refuse_unknown(what, sum(o.name is None for _, page in kept for o in page.objects), len(classes))
    annotated = []
    for _, page in kept:
        marked = [Marked(place.get(o.name), o.box, o.ignore, o.where) for o in page.objects]
        annotated.append(AnnotatedImage(objects_of(marked, len(classes)), page.size))
    contents = Files(tree.root)
    return Source(
        name=os.path.basename(tree.root) or "data",
        kind="voc",
        root=tree.root,
        records=tuple(Record(row, name, None, split_lists.split[name] or None) for row, (name, _) in enumerate(kept)),
        classes=classes,
        contents=contents,
        given_splits=split_lists.named_splits,
        notes=tuple(notes),
        problems=tuple(problems),
        annotations=ObjectAnnotations("boxes", contents, annotated, len(classes), what),
    )


def _labelmap(tree: Walk, names: Iterable[str]) -> list[str]:
    """The classes that a labelmap.txt lists, in its order: a name a line, before the first colon. Its background is one of the
    masks, unless a box is called so."""
    if LABELMAP not in tree.files:
        return []
    text, _ = read_text(Path(tree.root, LABELMAP))
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    listed = dict.fromkeys(class_text(line.rsplit(":", 3)[0].strip()) for line in lines)
    return [name for name in listed if name and (name.casefold() != "background" or name in names)]


def _with_notes(source: Source, notes: Sequence[str]) -> Source:
    return replace(source, notes=(*source.notes, *notes))


def _spare(pages: Iterable[str], named: set[str]) -> list[str]:
    spare = len(set(pages) - named)
    return [f"XML files without an image: {spare:,}"] if spare else []


def _check_units(pages: Sequence[VocPage], what: str) -> None:
    """DataError if all the boxes are shares, or corner and sides."""
    stated = [(o.stated, page.size) for page in pages for o in page.objects if o.stated is not None]
    refuse_shares(what, "boxes", [box for box, _ in stated])
    refuse_sides(what, [box for box, _ in stated], [size for _, size in stated])


def _unreadable(error: DataError, file: str) -> Problem:
    """The problem of an image whose XML file cannot be read."""
    head, _, why = error.message.partition(": ")
    words = head.split()
    line = int(words[-1]) if len(words) > 1 and words[-2] == "line" and words[-1].isdigit() else None
    return Problem(
        file, line, f"bad-xml: {why if line else error.message}", error.hint or "export the annotation again"
    )


def _notes(pages: list[VocPage]) -> list[str]:
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
