"""Objects as COCO's JSON has them (Lin et al. 2014, arXiv 1405.0312): boxes [x, y, width, height] from the image's corner,
outlines as polygons or run lengths, crowds.

One file, or one a split, told by its name (instances_train.json) or folder (train/_annotations.coco.json). Ids are a
file's own: two files may count their images and annotations alike. Classes are joined by name. Where every object has
an outline the question is "instances", else "detection".
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

from sightline.data.files.encodings import read_text
from sightline.data.files.locating import Places, meant
from sightline.data.files.walking import Walk, walk
from sightline.data.records.names import IMAGE_SUFFIXES, class_texts, split_named, suffix
from sightline.data.records.records import Files, Problem, Record
from sightline.data.records.source import Source
from sightline.errors import DataError
from sightline.storage.text import shown

from .cocoentries import Entry, ImageEntry, annotations_of, categories_of, images_of
from .markup import read_json
from .objects import Drawn, DrawnObjects, gathered

_PICTURES = {"images", "jpegimages", "img", "imgs"}
_KEYS = {key: re.compile(rf'"{key}"\s*:') for key in ("images", "annotations", "categories")}


class Page(NamedTuple):
    """One JSON file that looks like COCO's: relative name, its text, what was assumed of its encoding, its split, and
    which of the three lists it `lacks`."""

    name: str
    text: str
    note: str
    split: str | None
    lacks: tuple[str, ...] = ()


@dataclass
class _Set:
    """The data set while its files are read."""

    found: Walk
    pages: Sequence[Page]
    categories: dict[str, None] = field(default_factory=dict)  # names in order
    images: list[tuple[str, str | None, ImageEntry, list[Entry]]] = field(default_factory=list)  # name, split, …
    given: set[str | None] = field(default_factory=set)  # splits that files with images are named for
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def coco_pages(found: Walk) -> list[Page]:
    """The COCO files of a folder: at its top, in annotations/, or one in each split's folder. Raises DataError where
    several could be meant, or where all that look like it lack one of the three lists."""
    looking = [page for name in found.files if _may_be(name) and (page := _page(found.root, name))]
    pages = [page for page in looking if not page.lacks]
    if looking and not pages:
        raise _incomplete(looking[0])
    if any(page.split for page in pages):
        pages = [page for page in pages if page.split]
    for split in sorted({page.split for page in pages}, key=str):
        same = [page for page in pages if page.split == split]
        best = [page for page in same if os.path.basename(page.name).startswith("instances")] or same
        if len(best) > 1:
            names = ", ".join(shown(page.name) for page in best[:5])
            raise DataError(
                f"several files could hold the annotations: {names}", "give the one that is meant as the data"
            )
        pages = [page for page in pages if page.split != split or page is best[0]]
    return pages


def read_coco_file(path: Path) -> Source:
    """The data set that one JSON file describes; its images lie beside or below it, or beside its annotations/."""
    folder = path.resolve().parent
    root = folder.parent if folder.name.casefold() == "annotations" else folder
    found = walk(str(root))
    page = _page(found.root, os.path.relpath(path.resolve(), found.root).replace(os.sep, "/"))
    if page and page.lacks:
        raise _incomplete(page)
    if page is None:
        raise DataError(
            f"{shown(path.name)} is JSON, but not COCO's", "it has no lists of images, annotations and categories"
        )
    return read_coco(found, [page])


def read_coco(found: Walk, pages: Sequence[Page]) -> Source:
    """The data set in these files. Raises DataError, naming file and line, for what is no COCO file."""
    work = _Set(found, pages)
    index = _index(found)
    for page in pages:
        _read(work, page, index)
    work.images.sort(key=lambda image: image[0])
    texts = class_texts(work.categories)
    classes = tuple(dict.fromkeys(texts[name] for name in work.categories))
    entries = [entry for *_, entries in work.images for entry in entries]
    outlined = sum(entry.outline is not None for entry in entries)
    instances = bool(entries) and outlined == len(entries)
    place = {name: classes.index(texts[name]) for name in work.categories}
    drawn = [Drawn(_objects(entries, place, instances), image.size) for _, _, image, entries in work.images]
    contents = Files(found.root)
    return Source(
        name=os.path.basename(found.root) or "data",
        kind="coco",
        root=found.root,
        records=tuple(Record(row, name, None, split) for row, (name, split, *_) in enumerate(work.images)),
        classes=classes,
        contents=contents,
        given_splits=frozenset(filter(None, work.given)),
        notes=(*_said(work, entries, outlined), *work.notes),
        problems=(*found.refused, *work.problems),
        annotations=DrawnObjects("instances" if instances else "detection", contents, drawn, len(classes)),
    )


def _may_be(name: str) -> bool:
    parts = name.split("/")
    if suffix(name) != ".json":
        return False
    if len(parts) == 1 or (len(parts) == 2 and parts[0].casefold() == "annotations"):
        return True
    return len(parts) == 2 and split_named(parts[0]) is not None and parts[1] == "_annotations.coco.json"


def _page(root: str, name: str) -> Page | None:
    """The file where its text has at least two of COCO's three lists; None where it is other JSON."""
    text, note = read_text(Path(root, name))
    lacks = tuple(key for key, pattern in _KEYS.items() if not pattern.search(text))
    if len(lacks) > 1:
        return None
    words = re.findall(r"[a-z]+", os.path.splitext(os.path.basename(name))[0].lower())
    split = next((s for word in words if (s := split_named(word))), None)
    return Page(name, text, note, split or split_named(name.split("/", 1)[0]), lacks)


def _incomplete(page: Page) -> DataError:
    return DataError(
        f"{shown(page.name)}: it has no list of {page.lacks[0]}", "COCO's JSON has images, annotations, categories"
    )


def _read(work: _Set, page: Page, index: dict[str, list[str]]) -> None:
    """One file into the set."""
    file = shown(page.name)
    data = read_json(page.text, file)
    if not isinstance(data, dict):
        raise DataError(f"{file} line 1: no object at its top", "it is no COCO file")
    categories = categories_of(data, file)
    work.categories |= dict.fromkeys(category.name for category in categories.values())
    if 0 in categories:
        work.notes.append(f"{file}: category ids begin at 0, which is fine: classes go by name")
    if page.note:
        work.notes.append(f"{file} {page.note}")
    images, bad = images_of(data, file)
    work.problems += bad
    places = Places.of(work.found.files)
    found: dict[Any, tuple[str, ImageEntry]] = {}
    taken: dict[str, Any] = {}
    work.given |= {page.split} if images else set()
    lost = {name.rsplit("/", 1)[-1] for name in work.found.lost}
    for image in images.values():
        names = _meant(image.file_name, page, index, places)
        said = f"image {shown(str(image.id))[:80]}: {shown(image.file_name[:200])}"
        if len(names) != 1:
            if names:
                reason, fix = f"ambiguous: {said} may be any of {len(names)} files", "write its path into file_name"
            else:
                reason, fix = f"missing: {said}", "restore the image, or remove it from the file"
            if names or image.file_name.rsplit("/", 1)[-1] not in lost:
                work.problems.append(Problem(file, None, reason, fix))
        elif names[0] in taken:
            reason = f"repeated: {said} is image {shown(str(taken[names[0]]))[:80]} already"
            work.problems.append(Problem(file, None, reason, "join the two"))
        else:
            taken[names[0]] = image.id
            found[image.id] = (names[0], image)
    entries, bad = annotations_of(data, file, images, categories)
    work.problems += bad
    for id, (name, image) in found.items():
        work.images.append((name, page.split, image, entries.get(id, [])))


def _objects(entries: list[Entry], place: dict[str, int], outlines: bool) -> Any:
    objects = gathered(
        [entry.box for entry in entries],
        [place[entry.category] for entry in entries],
        [entry.ignore for entry in entries],
        [entry.where for entry in entries],
    )
    return replace(objects, outline=tuple(e.outline for e in entries if e.outline is not None)) if outlines else objects


def _index(found: Walk) -> dict[str, list[str]]:
    """Path or last component → the images that it may mean."""
    index: dict[str, list[str]] = {}
    for name in found.files:
        if suffix(name) in IMAGE_SUFFIXES:
            for key in {name, name.rsplit("/", 1)[-1]}:
                index.setdefault(key, []).append(name)
    return index


def _meant(written: str, page: Page, index: dict[str, list[str]], places: Places) -> list[str]:
    """The files that a file_name may mean: the path from the JSON's folder, from the top or from images/; else what its
    last component may mean."""
    path = written.replace("\\", "/").removeprefix("./")
    beside = page.name.rpartition("/")[0]
    for name in (f"{beside}/{path}" if beside else path, path, *(f"{folder}/{path}" for folder in sorted(_PICTURES))):
        if name in index.get(name, ()):
            return [name]
    return meant(path, index.get(path.rsplit("/", 1)[-1], []), page.split, places)


def _said(work: _Set, entries: list[Entry], outlined: int) -> list[str]:
    files = ", ".join(shown(page.name) for page in work.pages)
    if outlined == len(entries):
        what = "each with an outline: instances"
    elif outlined:
        what = f"of which {outlined:,} have an outline: boxes only"
    else:
        what = "boxes only"
    notes = [f"{files}: {len(entries):,} objects in {len(work.images):,} images, {what}"]
    if crowds := sum(entry.ignore for entry in entries):
        notes.append(f"crowds, ignored: {crowds:,}")
    if empty := sum(not of for *_, of in work.images):
        notes.append(f"images without objects: {empty:,}")
    named = {name for name, *_ in work.images}
    images = sum(suffix(name) in IMAGE_SUFFIXES for name in work.found.files)
    if unlisted := images - len(named):
        notes.append(f"images that no file names, not used: {unlisted:,}")
    return notes
