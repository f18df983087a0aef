"""YOLO's text labels (Redmon et al. 2016, and the tools after it): a .txt file an image, a row an object.

The three usual layouts, images/train with labels/train, train/images with train/labels, images and labels side by side, and
any other in which a label file has the name of its image (`companions`). An image without a label file shows no object,
where others of its split have one.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from sightline.data.files.lists import SplitLists
from sightline.data.files.walking import Walk, walk
from sightline.data.records.source import Source
from sightline.errors import DataError
from sightline.storage.text import printable

from .assembly import Finds, Page, assemble
from .companions import companions, images_among, paired, unpaired
from .yololist import NAME_LISTS, Listing, find_listing, read_listing
from .yolorows import Rows, read_rows, unreadable
from .yolosplits import yolo_splits


def read_yolo_file(path: Path) -> Source:
    """The data set that a data.yaml describes: below its `path` where that folder exists, else beside or below the file."""
    listing = read_listing(str(path.parent), path.name)
    base = path.parent / listing.path
    if listing.path and os.path.isdir(base) and not base.samefile(path.parent):
        return read_yolo(walk(str(base)), replace(listing, path=""))
    return read_yolo(walk(str(path.parent)), listing)


def read_yolo(tree: Walk, listing: Listing | None = None) -> Source:
    """The data set. An image whose label file cannot be read is quarantined; a row that cannot is an ignored place."""
    images = images_among(tree)
    listing = listing or find_listing(tree.root, tree.files)
    split_lists = yolo_splits(tree, listing, images)
    labels = [name for name in tree.files if _is_label_file(name, listing)]
    pairs = companions(images, labels)
    finds = Finds(tree, splits=set(split_lists.named_splits))
    finds.problems += split_lists.problems
    rows = Rows(listing.names, listing.keypoints)
    labelled = {split_lists.split[name] for name in pairs.partner if name in split_lists.split}
    alone = unused = 0
    for name in sorted(split_lists.split):
        split, label = split_lists.split[name], pairs.partner.get(name)
        if name in pairs.contested:
            finds.problems.append(unpaired(name, pairs.contested[name], "label file"))
        elif label is not None:
            _read_page(finds, name, split, label, rows)
        elif split in labelled:
            alone += 1
            finds.pages.append(Page(name, split or None, None, ()))
        else:
            unused += 1
    finds.notes += _notes(finds, listing, split_lists, alone, unused)
    beside = {name.rpartition("/")[0] for name in pairs.partner.values()}  # elsewhere a .txt may be anything
    if spare := sum(name.rpartition("/")[0] in beside for name in set(labels) - paired(pairs)):
        finds.notes.append(f"label files without an image: {spare:,}")
    classes = rows.names if rows.names is not None else _numbers(finds)
    return assemble(finds, "yolo", "YOLO's labels", classes, shares=True)


def _read_page(finds: Finds, name: str, split: str, label: str, rows: Rows) -> None:
    file = printable(label)
    try:
        marks = read_rows(Path(finds.tree.root, label), file, printable(name), rows, finds)
    except DataError as error:
        finds.problems.append(unreadable(error, file))
        return
    finds.pages.append(Page(name, split or None, None, marks))


def _is_label_file(name: str, listing: Listing) -> bool:
    """Any .txt that is no list of names."""
    last = name.rsplit("/", 1)[-1].casefold()
    return last.endswith(".txt") and last not in NAME_LISTS and name != listing.file


def _numbers(finds: Finds) -> list[str]:
    """The classes that occur, called by their numbers, in their order."""
    return sorted({mark.name for page in finds.pages for mark in page.marks if mark.name is not None}, key=int)


def _notes(finds: Finds, listing: Listing, split_lists: SplitLists, alone: int, unused: int) -> list[str]:
    if listing.names is None:
        notes = ["no data.yaml, classes.txt or obj.names: the classes are called by their numbers"]
    else:
        notes = [f"{printable(listing.file)} names the classes: {len(listing.names):,}"]
    notes += split_lists.notes
    if alone:
        notes.append(f"images without a label file, taken to show no object: {alone:,}")
    if unused:
        notes.append(f"images of a split without any label file, not used: {unused:,}")
    return notes
