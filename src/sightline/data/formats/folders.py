"""A folder of images: one folder per class, with or without train/, val/ and test/ above; or images side by side.

The class is the first folder below the root (or below the split); deeper folders belong to it. Every file in a class
folder counts as an image, whatever its suffix, except for notes and labels (.txt, .xml, .json …): the audit then names
those that cannot be decoded, instead of skipping them silently. Images side by side take their labels from the one table
beside them or in the folder of each split, or have none. A folder that holds nothing but one folder is that folder.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from sightline.data.files.walking import Walk, above, walk
from sightline.data.formats.annotated.layouts import read_annotated, read_marked
from sightline.data.records.names import IMAGE_SUFFIXES, SIDECAR_SUFFIXES, class_text, class_texts, kinds, suffix
from sightline.data.records.records import Files, Record
from sightline.data.records.source import UNLABELLED, Source
from sightline.errors import DataError
from sightline.storage.text import printable

from .foldertables import contradicting_table, images_with_tables, table_names, tables_by_split
from .packed.shards import read_shards
from .recognition.layout import refuse_unread
from .recognition.synsets import with_names
from .recognition.vocabulary import names_pictures, splits_among
from .tables import TABLE_SUFFIXES

_MARKS = (".txt", ".json", ".xml", ".csv", ".tsv", ".yaml", ".yml", ".names", ".data", ".labels")  # of readers of boxes


def read_folder(root: Path, label: str | None = None) -> Source:
    """The data set in `root`, annotated ones included; `label` names the column of the labels in a table. Raises DataError if
    it has no images, if it holds annotations in a layout that is not read, or classes that differ only in form."""
    tree = walk(str(root))
    if annotated := read_annotated(root, tree):
        return replace(annotated, notes=(*annotated.notes, *_notes_on_skipped(tree, (".json", ".txt", ".xml"))))
    if samples := read_shards(root, tree):
        return samples
    images = [name for name in tree.files if _may_be_image(name)]
    if inner := _only_folder(tree, images):
        found = read_folder(root / inner, label)
        return replace(
            found, notes=(f"{printable(inner)}/ is all that the folder holds: it is read as the data", *found.notes)
        )
    if marked := read_marked(root, tree):
        return replace(marked, notes=(*marked.notes, *_notes_on_skipped(tree, _MARKS)))
    refuse_unread(root, tree)
    if not images and not tree.refused:
        raise DataError(f"no images in {printable(str(root))}: it holds {_content(tree)}", "give a folder of images")
    source = with_names(_read_images(root, tree, images, label), tree)
    used = (*TABLE_SUFFIXES, ".jsonl") if source.kind == "flat-folder+csv" else TABLE_SUFFIXES
    return replace(source, notes=(*source.notes, *_notes_on_skipped(tree, used)))


def _read_images(root: Path, tree: Walk, images: list[str], label: str | None) -> Source:
    tops = {name.split("/", 1)[0] for name in images if "/" in name}
    direct = any("/" not in name for name in images)
    splits = splits_among({*tops, *(name.split("/", 1)[0] for name in tree.lost if "/" in name)})
    tables = table_names(tree)
    words = tops <= splits.keys()
    _refuse_ambiguous_split(images, tops, splits)
    within = tables_by_split(tree, images, splits) if words and not tables else {}
    if within:
        return _with_skipped(root, tree, images_with_tables(tree, images, within, label))
    if _has_splits(images, tops, splits):
        return _split_folders(root, tree, images, splits)
    if tables and (direct or words or len(tops) <= 1):
        return _with_skipped(root, tree, images_with_tables(tree, images, dict.fromkeys(tables), label))
    if words or (not direct and all(names_pictures(top) for top in tops)):
        return _unlabelled(root, tree, images, splits)
    return _class_folders(root, tree, images, tables)


def _may_be_image(name: str) -> bool:
    """In a class folder anything but notes and labels; at the root only files with the suffix of an image (not LICENSE)."""
    return suffix(name) not in SIDECAR_SUFFIXES if "/" in name else suffix(name) in IMAGE_SUFFIXES


def _only_folder(tree: Walk, images: list[str]) -> str:
    """The folder inside which the data are, where an archive was unpacked one folder too deep; "" where there is none. It is
    the only one, holds no images of its own (or has a table), and there is nothing beside it but notes."""
    tops = {name.split("/", 1)[0] for name in (*tree.folders, *images)}
    if len(tops) != 1 or tree.refused or any("/" not in name for name in images) or table_names(tree):
        return ""
    (top,) = tops
    if splits_among(tops) or any(
        "/" not in name and suffix(name) in (".json", ".xml", ".yaml", ".yml") for name in tree.files
    ):
        return ""
    own = any(name.count("/") == 1 for name in images)
    below = {name.split("/")[1] for name in images if name.count("/") >= 2}
    tabled = any(name.count("/") == 1 and suffix(name) in (*TABLE_SUFFIXES, ".jsonl") for name in tree.files)
    return top if (below and not own) or (own and tabled) else ""


def _has_splits(images: list[str], tops: set[str], splits: Mapping[str, str]) -> bool:
    """Whether the first level is splits: some of them hold folders that are not just called images, and there are several or
    nothing beside them (a single folder called `train` among others is a class of trains)."""
    inside = [name.split("/") for name in images if name.split("/", 1)[0] in splits]
    deeper = {parts[1] for parts in inside if len(parts) > 2}
    plain = all(names_pictures(folder) for folder in deeper)
    return bool(deeper) and not plain and (tops <= splits.keys() or len(splits.keys() & tops) >= 2)


def _refuse_ambiguous_split(images: list[str], tops: set[str], splits: Mapping[str, str]) -> None:
    """Refuse a single folder called `train` among others if it alone holds folders of images: it may be a split or a class
    of trains."""
    inside = {tuple(name.split("/")[:2]) for name in images if name.count("/") >= 2}
    within = [folder for top, folder in sorted(inside) if top in splits]
    if len(splits) == 1 and not tops <= splits.keys() and len(within) >= 2 and len(within) == len(inside):
        one, other = printable(min(splits)), printable(min(tops - splits.keys()))
        raise DataError(
            f"{one}/ holds folders of images ({', '.join(map(printable, within[:3]))}), {other}/ beside it none: "
            f"is {one}/ a split or a class?",
            f"move {other}/ away if {one}/ is a split, or put the images of {one}/ directly into it if it is a class",
        )


def _split_folders(root: Path, tree: Walk, images: list[str], splits: Mapping[str, str]) -> Source:
    """root/train/cat/1.jpg …; folders beside the splits are skipped, with a note."""
    inside = [name for name in images if name.split("/", 1)[0] in splits]
    level = _class_level(inside)
    for name in inside:
        if name.count("/") <= level:
            tree.refuse(name, "no-class: it lies beside the class folders", "move it into its class's folder")
    deep = [name for name in inside if name.count("/") > level]
    texts = class_texts(name.split("/")[level] for name in deep)
    records = []
    for row, name in enumerate(deep):
        parts = name.split("/")
        records.append(Record(row, name, texts[parts[level]], splits[parts[0]]))
    used = {"/".join(name.split("/")[: level + 1]) for name in deep}
    folders = [n for n in tree.folders if n.count("/") == level and n.split("/")[0] in splits]
    source = _source(root, tree, "image-folder", records, _empty(folders, used, tree.lost))
    if beside := len(images) - len(inside):
        source = replace(source, notes=(*source.notes, f"images outside the split folders, not used: {beside}"))
    lost_in = above(tree.lost)
    lost = {class_text(name.split("/")[level]) for name in folders if name not in used and name in lost_in}
    given = {splits[top] for name in tree.lost if "/" in name and (top := name.split("/", 1)[0]) in splits}
    return replace(source, emptied=tuple(sorted(lost - set(source.classes))), given_splits=frozenset(given))


def _class_level(inside: list[str]) -> int:
    """The place of the class in root/split/class/…: 1, or 2 where each split holds a single folder that holds the classes
    (seg_train/seg_train/forest)."""
    second = {tuple(name.split("/")[:2]) for name in inside}
    third = {tuple(name.split("/")[:3]) for name in inside if name.count("/") >= 3}
    single = len(second) == len({top for top, *_ in second}) and all(name.count("/") >= 3 for name in inside)
    return 2 if single and len(third) > len(second) else 1


def _class_folders(root: Path, tree: Walk, images: list[str], tables: list[str]) -> Source:
    """root/cat/1.jpg …; images beside the class folders have no class and are refused, by name."""
    folders = [name for name in tree.folders if "/" not in name]
    inside = [name for name in images if "/" in name]
    for name in images:
        if "/" not in name:
            tree.refuse(name, "no-class: it lies beside the class folders", "move it into its class's folder")
    texts = class_texts(name.split("/", 1)[0] for name in inside)
    records = [Record(row, name, texts[name.split("/", 1)[0]]) for row, name in enumerate(inside)]
    used = {name.split("/", 1)[0] for name in inside}
    notes = _empty(folders, used, tree.lost)
    if tables:
        if why := contradicting_table(tree, tables, {record.name: record.label for record in records}):
            raise DataError(
                f"{why}: which are the classes?", "give the table itself as the data, or move it out of the folder"
            )
        notes.append(
            f"{printable(tables[0])} is not used, since the folders are the classes; give the table itself to use it"
        )
    lost_in = above(tree.lost)
    emptied = tuple(class_text(name) for name in folders if name not in used and name in lost_in)
    return replace(_source(root, tree, "image-folder", records, notes), emptied=emptied)


def _empty(folders: list[str], used: set[str], lost: list[str]) -> list[str]:
    """A note for each class folder without any file; if all its files were refused it is an error later."""
    lost_in = above(lost)
    return [
        f"{printable(name)}/ holds no images and is not a class"
        for name in folders
        if name not in used and name not in lost_in
    ]


def _with_skipped(root: Path, tree: Walk, source: Source) -> Source:
    """The images of tables, with the folder's name and a note on links and pipes."""
    notes = list(source.notes)
    if tree.refused:
        notes.append(f"links, pipes and folders skipped: {len(tree.refused)}, such as {tree.refused[0].file}")
    return replace(source, name=_name(root), kind="flat-folder+csv", notes=tuple(notes))


def _unlabelled(root: Path, tree: Walk, images: list[str], splits: Mapping[str, str]) -> Source:
    records = [Record(row, name, split=splits.get(name.split("/", 1)[0])) for row, name in enumerate(images)]
    note = f"{UNLABELLED}: no class folders and no table"
    if beside := [name for name in tree.files if "/" not in name and suffix(name) in (".json", ".xml", ".txt")]:
        note += f"; {printable(beside[0])} is not read: it is in no known format"
    return _source(root, tree, "flat-folder", records, [note])


def _source(root: Path, tree: Walk, kind: str, records: list[Record], notes: Iterable[str]) -> Source:
    classes = tuple(sorted({r.label for r in records if r.label is not None}))
    contents = Files(tree.root)
    notes, problems = tuple(notes), tuple(tree.refused)
    return Source(_name(root), kind, tree.root, tuple(records), classes, contents, notes=notes, problems=problems)


def _name(root: Path) -> str:
    return os.path.basename(os.path.realpath(root)) or "data"


def _notes_on_skipped(tree: Walk, used: Collection[str]) -> list[str]:
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
