"""A folder of images: one folder per class, with or without train/, val/ and test/ above; or images side by side.

The class is the first folder below the root (or below the split); deeper folders belong to it. Every file in a class
folder counts as an image, whatever its suffix, except for notes and labels (.txt, .xml, .json …): the audit then names
those that cannot be decoded, instead of skipping them silently. Images side by side take their labels from the one table
beside them, or have none.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable
from dataclasses import replace
from pathlib import Path

from sightline.data.files.walking import Walk, walk
from sightline.data.formats.annotated.layouts import read_annotated
from sightline.data.records.names import (
    IMAGE_SUFFIXES,
    SIDECAR_SUFFIXES,
    class_text,
    class_texts,
    kinds,
    split_named,
    suffix,
)
from sightline.data.records.records import Files, Record
from sightline.data.records.source import Source
from sightline.errors import DataError
from sightline.storage.text import printable

from .tables import TABLE_SUFFIXES, read_tables

_ANNOTATED = {"annotations", "masks", "labels", "imagesets", "segmentationclass"}
_PICTURES = {"images", "jpegimages", "img", "imgs"}


def read_folder(root: Path) -> Source:
    """The data set in `root`, annotated ones included. Raises DataError if it has no images, or classes that differ only in
    form."""
    tree = walk(str(root))
    if annotated := read_annotated(root, tree):
        return replace(annotated, notes=(*annotated.notes, *_notes_on_skipped(tree, (".json", ".txt", ".xml"))))
    images = [name for name in tree.files if _may_be_image(name)]
    if not images and not tree.refused:
        raise DataError(f"no images in {printable(str(root))}: it holds {_content(tree)}", "give a folder of images")
    tops = {name.split("/", 1)[0] for name in images if "/" in name}
    direct = any("/" not in name for name in images)
    tables = [name for name in tree.files if "/" not in name and suffix(name) in TABLE_SUFFIXES]
    words = all(split_named(top) for top in tops)
    _refuse_ambiguous_split(images, tops)
    if _has_splits(images, tops):
        source = _split_folders(root, tree, images)
    elif tables and (direct or words or len(tops) <= 1):
        source = _with_tables(root, tree, images, tables)
    elif words:
        source = _unlabelled(root, tree, images)
    else:
        source = _class_folders(root, tree, images, tables)
    return replace(source, notes=(*source.notes, *_notes_on_skipped(tree)))


def _may_be_image(name: str) -> bool:
    """In a class folder anything but notes and labels; at the root only files with the suffix of an image (not LICENSE)."""
    return suffix(name) not in SIDECAR_SUFFIXES if "/" in name else suffix(name) in IMAGE_SUFFIXES


def _has_splits(images: list[str], tops: set[str]) -> bool:
    """Whether the first level is splits: some of them hold folders, and there are several or nothing beside them (a single
    folder called `train` among others is a class of trains)."""
    named = {top for top in tops if split_named(top)}
    deeper = any(name.count("/") >= 2 for name in images if name.split("/", 1)[0] in named)
    return deeper and (named == tops or len(named) >= 2)


def _refuse_ambiguous_split(images: list[str], tops: set[str]) -> None:
    """Refuse a single folder called `train` among others if it alone holds folders of images: it may be a split or a class
    of trains."""
    named = [top for top in tops if split_named(top)]
    inside = {tuple(name.split("/")[:2]) for name in images if name.count("/") >= 2}
    within = [folder for top, folder in sorted(inside) if top in named]
    if len(named) == 1 and named != list(tops) and len(within) >= 2 and len(within) == len(inside):
        one, other = printable(named[0]), printable(min(tops - set(named)))
        raise DataError(
            f"{one}/ holds folders of images ({', '.join(map(printable, within[:3]))}), {other}/ beside it none: "
            f"is {one}/ a split or a class?",
            f"move {other}/ away if {one}/ is a split, or put the images of {one}/ directly into it if it is a class",
        )


def _split_folders(root: Path, tree: Walk, images: list[str]) -> Source:
    """root/train/cat/1.jpg …; folders beside the splits are skipped, with a note."""
    inside = [name for name in images if split_named(name.split("/", 1)[0])]
    for name in inside:
        if name.count("/") == 1:
            tree.refuse(name, "no-class: it lies beside the class folders", "move it into its class's folder")
    deep = [name for name in inside if name.count("/") >= 2]
    texts = class_texts(name.split("/")[1] for name in deep)
    records = []
    for row, name in enumerate(deep):
        split, label = name.split("/")[:2]
        records.append(Record(row, name, texts[label], split_named(split)))
    used = {"/".join(name.split("/")[:2]) for name in deep}
    folders = [n for n in tree.folders if n.count("/") == 1 and split_named(n.split("/")[0])]
    source = _source(root, tree, "image-folder", records, _empty(folders, used, tree.lost))
    if beside := len(images) - len(inside):
        source = replace(source, notes=(*source.notes, f"images outside the split folders, not used: {beside}"))
    lost = {class_text(name.split("/")[1]) for name in folders if name not in used and _any_in(name, tree.lost)}
    given = {word for name in tree.lost if "/" in name and (word := split_named(name.split("/", 1)[0]))}
    return replace(source, emptied=tuple(sorted(lost - set(source.classes))), given_splits=frozenset(given))


def _class_folders(root: Path, tree: Walk, images: list[str], tables: list[str]) -> Source:
    """root/cat/1.jpg …; images beside the class folders have no class and are refused, by name."""
    folders = [name for name in tree.folders if "/" not in name]
    _refuse_annotated(root, set(folders))
    inside = [name for name in images if "/" in name]
    for name in images:
        if "/" not in name:
            tree.refuse(name, "no-class: it lies beside the class folders", "move it into its class's folder")
    texts = class_texts(name.split("/", 1)[0] for name in inside)
    records = [Record(row, name, texts[name.split("/", 1)[0]]) for row, name in enumerate(inside)]
    used = {name.split("/", 1)[0] for name in inside}
    notes = _empty(folders, used, tree.lost)
    if tables:
        notes.append(
            f"{printable(tables[0])} is not used, since the folders are the classes; give the table itself to use it"
        )
    emptied = tuple(class_text(name) for name in folders if name not in used and _any_in(name, tree.lost))
    return replace(_source(root, tree, "image-folder", records, notes), emptied=emptied)


def _empty(folders: list[str], used: set[str], lost: list[str]) -> list[str]:
    """A note for each class folder without any file; if all its files were refused it is an error later."""
    return [
        f"{printable(name)}/ holds no images and is not a class"
        for name in folders
        if name not in used and not _any_in(name, lost)
    ]


def _any_in(folder: str, names: list[str]) -> bool:
    return any(name.startswith(f"{folder}/") for name in names)


def _with_tables(root: Path, tree: Walk, images: list[str], tables: list[str]) -> Source:
    """Images whose labels are in the one table beside them, or in train.csv, val.csv and test.csv."""
    chosen = _choose_tables(tables)
    source = read_tables([Path(tree.root, name) for name in chosen], root=tree.root)
    listed = {record.name for record in source.records}
    unlisted = [name for name in images if name not in listed]
    notes = list(source.notes)
    if unlisted:
        notes.append(f"images that no table lists, not used: {len(unlisted)}, such as {printable(unlisted[0])}")
    if tree.refused:
        notes.append(f"links, pipes and folders skipped: {len(tree.refused)}, such as {tree.refused[0].file}")
    return replace(source, name=_name(root), kind="flat-folder+csv", notes=tuple(notes))


def _choose_tables(tables: list[str]) -> list[str]:
    """The only table, or those named after splits. Raises DataError if there are several others."""
    splits = {name: split_named(os.path.splitext(name)[0]) for name in tables}
    if "train" in splits.values():
        return [name for name in tables if splits[name]]
    if len(tables) > 1:
        names = ", ".join(printable(name) for name in tables[:5])
        raise DataError(f"several tables could hold the labels: {names}", "give the right one as the data")
    return tables


def _unlabelled(root: Path, tree: Walk, images: list[str]) -> Source:
    records = [
        Record(row, name, split=split_named(name.split("/", 1)[0]) if "/" in name else None)
        for row, name in enumerate(images)
    ]
    return _source(root, tree, "flat-folder", records, ["the images have no labels: no class folders and no table"])


def _source(root: Path, tree: Walk, kind: str, records: list[Record], notes: Iterable[str]) -> Source:
    classes = tuple(sorted({r.label for r in records if r.label is not None}))
    contents = Files(tree.root)
    notes, problems = tuple(notes), tuple(tree.refused)
    return Source(_name(root), kind, tree.root, tuple(records), classes, contents, notes=notes, problems=problems)


def _name(root: Path) -> str:
    return os.path.basename(os.path.realpath(root)) or "data"


def _refuse_annotated(root: Path, folders: set[str]) -> None:
    """Refuse images/ beside masks/ or Annotations/: training on them as two classes would be silent nonsense."""
    lower = {name.casefold() for name in folders}
    if lower & _ANNOTATED and lower & _PICTURES:
        names = ", ".join(f"{printable(name)}/" for name in sorted(folders))
        raise DataError(
            f"{printable(str(root))} holds {names}: annotations for boxes or masks, not one folder per class",
            "use images/ with masks/ of PNG files, COCO's JSON, or VOC's JPEGImages/ with Annotations/ of XML files",
        )


def _notes_on_skipped(tree: Walk, used: Collection[str] = TABLE_SUFFIXES) -> list[str]:
    """Notes on what was skipped; files with the suffixes `used` were not."""
    notes = []
    if other := kinds((name for name in tree.files if not _may_be_image(name)), but=used):
        notes.append(f"files that are not images, skipped: {other}")
    if tree.hidden:
        notes.append(f"hidden files and folders, skipped: {tree.hidden}")
    if tree.runs:
        notes.append(f"run folders among the data, skipped: {tree.runs}")
    return notes


def _content(tree: Walk) -> str:
    there = kinds(tree.files)
    return f"files of other kinds: {there}" if there else "no files at all"
