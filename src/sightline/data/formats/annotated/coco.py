"""Objects in COCO's JSON (Lin et al. 2014, arXiv 1405.0312): boxes [x, y, width, height] from the corner of the image,
outlines as polygons or run lengths, crowds.

One file, or one per split, recognised by its name (instances_train.json) or folder (train/_annotations.coco.json). Ids
are local to a file: two files may use the same ones. Classes are joined by name. If every object has an outline, the data
set has outlines, else boxes only.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

from sightline.data.files.encodings import read_text
from sightline.data.files.matching import NameIndex
from sightline.data.files.walking import Walk, walk
from sightline.data.records.names import IMAGE_SUFFIXES, class_texts, split_named, suffix
from sightline.data.records.records import KEPT, Files, Problem, Record
from sightline.data.records.source import Source
from sightline.errors import DataError
from sightline.storage.text import printable

from .cocoentries import Entry, ImageEntry, annotations_of, categories_of, images_of, notes_on
from .markup import read_json
from .objects import AnnotatedImage, Marked, ObjectAnnotations, objects_of

_IMAGE_FOLDERS = {"images", "jpegimages", "img", "imgs"}
_KEYS = {key: re.compile(rf'"{key}"\s*:') for key in ("images", "annotations", "categories")}


class CocoFile(NamedTuple):
    """One JSON file that looks like COCO's: relative name, text, a note on an assumed encoding, split, and which of the three
    lists it `lacks`."""

    name: str
    text: str
    note: str
    split: str | None
    lacks: tuple[str, ...] = ()


@dataclass
class _CocoSet:
    """The state of a data set while its files are read."""

    tree: Walk
    pages: Sequence[CocoFile]
    categories: dict[str, None] = field(default_factory=dict)  # names in order
    images: list[tuple[str, str | None, ImageEntry, list[Entry]]] = field(default_factory=list)  # name, split, …
    named_splits: set[str | None] = field(default_factory=set)  # splits whose files list images
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def coco_files(tree: Walk) -> list[CocoFile]:
    """The COCO files of a folder: at its top, in annotations/, or one in each split's folder. Raises DataError if
    several qualify, or if all candidates lack one of the three lists."""
    candidates = [page for name in tree.files if _is_candidate(name) and (page := _page(tree.root, name))]
    pages = [page for page in candidates if not page.lacks]
    if candidates and not pages:
        raise _incomplete(candidates[0])
    if any(page.split for page in pages):
        pages = [page for page in pages if page.split]
    for split in sorted({page.split for page in pages}, key=str):
        same = [page for page in pages if page.split == split]
        best = [page for page in same if os.path.basename(page.name).startswith("instances")] or same
        if len(best) > 1:
            names = ", ".join(printable(page.name) for page in best[:5])
            raise DataError(f"several files could hold the annotations: {names}", "pass the right one as the data")
        pages = [page for page in pages if page.split != split or page is best[0]]
    return pages


def read_coco_file(path: Path) -> Source:
    """The data set that one JSON file describes; its images are beside or below it, or beside its annotations/."""
    folder = path.resolve().parent
    root = folder.parent if folder.name.casefold() == "annotations" else folder
    tree = walk(str(root))
    page = _page(tree.root, os.path.relpath(path.resolve(), tree.root).replace(os.sep, "/"))
    if page and page.lacks:
        raise _incomplete(page)
    if page is None:
        raise DataError(
            f"{printable(path.name)} is JSON, but not COCO's",
            "pass a file with lists of images, annotations and categories",
        )
    return read_coco(tree, [page])


def read_coco(tree: Walk, pages: Sequence[CocoFile]) -> Source:
    """The data set in these files. Raises DataError, naming file and line, for one that is not COCO's."""
    work = _CocoSet(tree, pages)
    index = NameIndex(name for name in tree.files if suffix(name) in IMAGE_SUFFIXES)
    for page in pages:
        _read(work, page, index)
    work.images.sort(key=lambda image: image[0])
    texts = class_texts(work.categories)
    classes = tuple(dict.fromkeys(texts[name] for name in work.categories))
    entries = [entry for *_, entries in work.images for entry in entries]
    usable = [entry for entry in entries if not entry.unusable]
    outlined = sum(entry.outline is not None or entry.spoiled is not None for entry in usable)
    instances = outlined == len(usable) and any(entry.outline is not None for entry in usable)
    if not instances:  # an outline is not needed, so nothing is lost with it
        spoiled = {entry.spoiled for entry in usable}
        work.problems = [replace(p, action=KEPT) if p in spoiled else p for p in work.problems]
    row = {text: number for number, text in enumerate(classes)}
    place = {name: row[texts[name]] for name in work.categories}
    annotated = [
        AnnotatedImage(
            objects_of([_marked(e, place, instances) for e in of], len(classes), outlines=instances), image.size
        )
        for _, _, image, of in work.images
    ]
    contents = Files(tree.root)
    return Source(
        name=os.path.basename(tree.root) or "data",
        kind="coco",
        root=tree.root,
        records=tuple(Record(row, name, None, split) for row, (name, split, *_) in enumerate(work.images)),
        classes=classes,
        contents=contents,
        given_splits=frozenset(filter(None, work.named_splits)),
        notes=(*_notes(work, usable, outlined), *work.notes),
        problems=(*tree.refused, *work.problems),
        annotations=ObjectAnnotations(
            "outlines" if instances else "boxes",
            contents,
            annotated,
            len(classes),
            ", ".join(printable(page.name) for page in pages),
            sides=True,
        ),
    )


def _marked(entry: Entry, place: Mapping[str, int], outlines: bool) -> Marked:
    label = None if entry.category is None else place[entry.category]
    ignore = entry.ignore or (outlines and entry.outline is None)
    return Marked(label, entry.box, ignore, entry.where, entry.outline)


def _is_candidate(name: str) -> bool:
    parts = name.split("/")
    if suffix(name) != ".json":
        return False
    if len(parts) == 1 or (len(parts) == 2 and parts[0].casefold() == "annotations"):
        return True
    return len(parts) == 2 and split_named(parts[0]) is not None and parts[1] == "_annotations.coco.json"


def _page(root: str, name: str) -> CocoFile | None:
    """The file if its text has at least two of COCO's three lists; None if it is other JSON."""
    text, note = read_text(Path(root, name))
    lacks = tuple(key for key, pattern in _KEYS.items() if not pattern.search(text))
    if len(lacks) > 1:
        return None
    words = re.findall(r"[a-z]+", os.path.splitext(os.path.basename(name))[0].lower())
    split = next((s for word in words if (s := split_named(word))), None)
    return CocoFile(name, text, note, split or split_named(name.split("/", 1)[0]), lacks)


def _incomplete(page: CocoFile) -> DataError:
    return DataError(
        f"{printable(page.name)}: it has no list of {page.lacks[0]}",
        "add COCO's lists of images, annotations and categories",
    )


def _read(work: _CocoSet, page: CocoFile, index: NameIndex) -> None:
    """Add the content of one file to the set."""
    file = printable(page.name)
    data = read_json(page.text, file)
    if not isinstance(data, dict):
        raise DataError(f"{file} line 1: the top level is not an object", "export the annotations again")
    categories = categories_of(data, file)
    work.categories |= dict.fromkeys(category.name for category in categories.values())
    if "0" in categories:
        work.notes.append(f"{file}: category ids begin at 0, which is fine: classes are matched by name")
    if page.note:
        work.notes.append(f"{file} {page.note}")
    images, bad = images_of(data, file)
    work.named_splits |= {page.split} if images else set()
    work.problems += bad
    by_id = _pair_images(work, page, images, index)
    entries, bad = annotations_of(data, file, images, categories)
    work.problems += bad
    work.notes += notes_on(data, file)
    for id, (name, image) in by_id.items():
        work.images.append((name, page.split, image, entries.get(id, [])))


def _pair_images(
    work: _CocoSet, page: CocoFile, images: Mapping[str, ImageEntry], index: NameIndex
) -> dict[str, tuple[str, ImageEntry]]:
    """The file of each image entry that has one of its own; a problem for every other entry."""
    file = printable(page.name)
    beside = [page.name.rpartition("/")[0], "", *sorted(_IMAGE_FOLDERS)]
    matches = {id: index.find(image.file_name, split=page.split, beside=beside) for id, image in images.items()}
    claimed = {match.names[0] for match in matches.values() if len(match.names) == 1 and not match.guessed}
    by_id: dict[str, tuple[str, ImageEntry]] = {}
    taken: dict[str, str] = {}
    lost = {name.rsplit("/", 1)[-1] for name in work.tree.lost}
    for id, image in images.items():
        match = matches[id]
        names = () if match.guessed and set(match.names) & claimed else match.names  # another entry spells it rightly
        entry = f"image {printable(id)[:80]}: {printable(image.file_name[:200])}"
        if len(names) > 1:
            reason = f"ambiguous: {entry} may be any of {len(names)} files"
            work.problems.append(Problem(file, None, reason, "write its whole path into file_name"))
        elif not names:
            if image.file_name.rsplit("/", 1)[-1] not in lost:
                fix = "restore the image, or remove it from the file"
                work.problems.append(Problem(file, None, f"missing: {entry}", fix))
        elif names[0] in taken:
            reason = f"repeated: {entry} is image {printable(taken[names[0]])[:80]} already"
            work.problems.append(Problem(file, None, reason, "merge the two entries"))
        else:
            taken[names[0]] = id
            by_id[id] = (names[0], image)
    return by_id


def _notes(work: _CocoSet, entries: list[Entry], outlined: int) -> list[str]:
    files = ", ".join(printable(page.name) for page in work.pages)
    if outlined == len(entries):
        what = "each with an outline: instances"
    elif outlined:
        what = f"only {outlined:,} with an outline: boxes only"
    else:
        what = "boxes only"
    notes = [f"{files}: {len(entries):,} objects in {len(work.images):,} images, {what}"]
    if crowds := sum(entry.ignore for entry in entries):
        notes.append(f"crowds, ignored: {crowds:,}")
    if turned := sum(entry.turned for entry in entries):
        notes.append(f"boxes that are turned, for which the upright boxes around them are used: {turned:,}")
    if empty := sum(not of for *_, of in work.images):
        notes.append(f"images without objects: {empty:,}")
    named = {name for name, *_ in work.images}
    images = sum(suffix(name) in IMAGE_SUFFIXES for name in work.tree.files)
    if unlisted := images - len(named):
        notes.append(f"images in no annotation file, not used: {unlisted:,}")
    return notes
