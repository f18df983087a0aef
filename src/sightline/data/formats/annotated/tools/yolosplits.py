"""Which image is in which split of a YOLO data set: by the entries of its list of classes, else by lists and folders.

An entry is a folder, a .txt list of images, or a list of these. It is found by its end, since `path` and the entries are
mostly those of another machine: ../datasets/pets/images/train is images/train, if there is one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property

from sightline.data.files.lists import SplitLists, read_lists
from sightline.data.files.matching import folded
from sightline.data.files.walking import Walk
from sightline.data.records.records import KEPT, QUARANTINED, Problem
from sightline.errors import DataError
from sightline.storage.text import printable

from .companions import splits_of
from .yololist import Listing

ENTRIES = 10_000
_LISTS = ("", "ImageSets/Main", "data")


def yolo_splits(tree: Walk, listing: Listing, images: Sequence[str]) -> SplitLists:
    """The split of each image that is used. Images in no entry of the list are left out, with a note."""
    notes: list[str] = []
    places: dict[str, str] = {}  # folder ("" the top) or .txt file → split
    if (count := sum(map(len, listing.splits.values()))) > ENTRIES:
        raise DataError(
            f"{printable(listing.file or 'the list')} has {count:,} entries for its splits; at most {ENTRIES:,} are read",
            "write the images into train.txt, and its name into the list",
        )
    files, folders_there = _Index(tree.files), _Index(tree.folders)
    for split, entries in listing.splits.items():
        for entry in entries:
            place = _place(files if _is_list(entry) else folders_there, listing, entry)
            what = f"{printable(listing.file or 'the list')}: {split}: {printable(entry[:200])}"
            if place is None:
                notes.append(f"{what} does not exist, not used")
            elif place in places and places[place] != split:
                notes.append(f"{what} is {places[place]} as well, not used")
            else:
                places[place] = split
    if not places:
        return _with_notes(splits_of(tree, images, _LISTS), notes)
    lists = {place: split for place, split in places.items() if place in set(tree.files)}
    listed = read_lists(tree.root, lists, images, tree.lost)
    folders = {place: split for place, split in places.items() if place not in lists}
    split_of, contested, problems = _joined(listed, folders, images)
    if unlisted := len(set(images) - set(split_of) - contested):
        notes.append(f"images in no split of the list, not used: {unlisted:,}")
    named = listed.named_splits | frozenset(folders.values())
    return SplitLists(split_of, contested, (*listed.problems, *problems), (*listed.notes, *notes), named)


def _with_notes(found: SplitLists, notes: Sequence[str]) -> SplitLists:
    return found._replace(notes=(*found.notes, *notes))


def _joined(
    listed: SplitLists, folders: Mapping[str, str], images: Sequence[str]
) -> tuple[dict[str, str], frozenset[str], list[Problem]]:
    """Lists and folders together; an image in two splits is contested."""
    split, contested = dict(listed.split), set(listed.contested)
    problems = []
    for name in images:
        inside = {of for folder, of in folders.items() if not folder or name.startswith(f"{folder}/")}
        inside |= {split[name]} if name in split else set()
        if len(inside) > 1:
            split.pop(name, None)
            reason = f"contradiction: the image is in {' and in '.join(sorted(inside))}"
            action = KEPT if name in contested else QUARANTINED
            problems.append(Problem(printable(name), None, reason, "keep it in one split", action))
            contested.add(name)
        elif inside and name not in contested:
            split[name] = inside.pop()
    return split, frozenset(contested), problems


def _place(known: _Index, listing: Listing, entry: str) -> str | None:
    """The relative name of the folder or list that an entry means; None if there is none. Raises DataError if it may be any of
    several."""
    path = _parts(entry)
    if not path and not _parts(listing.path):
        return listing.folder
    for start in ([*_parts(listing.folder), *_parts(listing.path)], _parts(listing.folder), []):
        whole = [*start, *path]
        if whole and len(exact := known.whole(folded("/".join(whole)))) == 1:
            return exact[0]
    ends = [*_parts(listing.path), *path]
    for first in range(len(ends)):
        tail = folded("/".join(ends[first:]))
        found = known.ending(tail)
        if len(found) > 1:
            some = ", ".join(printable(name) for name in sorted(found)[:4])
            raise DataError(
                f"{printable(listing.file)}: {printable(entry[:200])} may be any of {some}",
                "write the path from the folder of the file",
            )
        if found:
            return found[0]
    return None


class _Index:
    """The names of a folder by their ends: an entry is looked up, not searched for."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = names

    @cached_property
    def _ends(self) -> dict[str, list[str]]:
        ends: dict[str, list[str]] = {}
        for name in self.names:
            key = folded(name)
            while key:
                ends.setdefault(key, []).append(name)
                key = key.partition("/")[2]
        return ends

    def ending(self, tail: str) -> list[str]:
        """The names that are `tail`, or end with it after a separator; both folded."""
        return self._ends.get(tail, [])

    def whole(self, key: str) -> list[str]:
        return [name for name in self.ending(key) if folded(name) == key]


def _is_list(entry: str) -> bool:
    return entry.strip().casefold().endswith(".txt")


def _parts(path: str) -> list[str]:
    """The folders of a written path, without `.`, `..` and drives."""
    parts = path.strip().replace("\\", "/").split("/")
    return [part for part in parts if part not in ("", ".", "..") and not (len(part) == 2 and part[1] == ":")]
