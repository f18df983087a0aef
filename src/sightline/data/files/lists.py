"""Split lists: train.txt, val.txt, test.txt with one image per line, as in VOC and SegNet.

A line is a path, a file name, or either without its suffix. If the whole line matches no image, only its first column
counts; the rest is a mask or a flag. A line that matches no image is reported by file and line.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from sightline.data.records.names import split_named
from sightline.data.records.records import KEPT, QUARANTINED, Problem
from sightline.storage.text import printable

from .encodings import read_text
from .locating import Places, of_split


class SplitLists(NamedTuple):
    """`split` of every image in a list; images `contested` by two splits are refused; `problems` with lines; `notes` about
    the files; `named_splits` are those that have a list with any line, whether its images exist or not."""

    split: dict[str, str]
    contested: frozenset[str]
    problems: tuple[Problem, ...]
    notes: tuple[str, ...]
    named_splits: frozenset[str] = frozenset()


def lists_among(files: Sequence[str], folder: str) -> dict[str, str]:
    """List → split, for the files directly in `folder` ("" the root): those named after splits; trainval.txt if
    there is no train.txt."""
    stems = {name: os.path.splitext(name.rsplit("/", 1)[-1])[0] for name in files if _is_list(name, folder)}
    found = {name: split for name, stem in stems.items() if (split := split_named(stem))}
    if "train" not in found.values():
        found |= {name: "train" for name, stem in stems.items() if stem.casefold() == "trainval"}
    return found


def read_lists(root: str, lists: Mapping[str, str], images: Sequence[str], lost: Iterable[str] = ()) -> SplitLists:
    """The split of `images` (relative names) by `lists`, list → split. `lost` images are reported elsewhere already."""
    index = _index(images)
    refused = _index(lost)
    places = Places.of(images)
    entries: dict[str, tuple[str, str, int]] = {}  # image → split, file, line
    problems: list[Problem] = []
    notes: list[str] = []
    contested: set[str] = set()
    named_splits: set[str] = set()
    for file, split in lists.items():
        text, note = read_text(Path(root, file))
        notes += [f"{printable(file)} {note}"] if note else []
        for line, written in enumerate(text.splitlines(), 1):
            if not written.strip():
                continue
            named_splits.add(split)
            names = _matches(written.strip(), index, split, places)
            if len(names) != 1:
                if not _matches(written.strip(), refused, split, places):
                    problems.append(_unmatched(file, line, written.strip(), len(names)))
                continue
            (name,) = names
            before = entries.setdefault(name, (split, file, line))
            if before == (split, file, line):
                continue
            if before[0] == split:
                reason, action = f"repeated: {printable(name)} is already in line {before[2]}", KEPT
            else:
                reason, action = (
                    f"contradiction: {printable(name)} is also in {printable(before[1])} line {before[2]}",
                    KEPT,
                )
                if name not in contested:
                    action = QUARANTINED
                contested.add(name)
            problems.append(Problem(printable(file), line, reason, "remove one of the lines", action))
    split_of = {name: split for name, (split, _, _) in entries.items() if name not in contested}
    return SplitLists(split_of, frozenset(contested), tuple(problems), tuple(notes), frozenset(named_splits))


def _is_list(name: str, folder: str) -> bool:
    return name.lower().endswith(".txt") and name.rpartition("/")[0] == folder


def _unmatched(file: str, line: int, written: str, count: int) -> Problem:
    if count:
        reason, fix = f"ambiguous: {count} images are called {printable(written[:200])}", "write the whole path"
    else:
        reason, fix = f"missing: no image {printable(written[:200])}", "restore the image, or remove the line"
    return Problem(printable(file), line, reason, fix)


def _index(images: Iterable[str]) -> dict[str, list[str]]:
    """Every way to write an image → the images that match."""
    found: dict[str, list[str]] = {}
    for name in images:
        last = name.rsplit("/", 1)[-1]
        for key in {name, os.path.splitext(name)[0], last, os.path.splitext(last)[0]}:
            found.setdefault(key, []).append(name)
    return found


def _matches(written: str, index: Mapping[str, list[str]], split: str, places: Places) -> list[str]:
    """The images that match a line: the line itself, its last component, or its first column. A last component alone does
    not match an image in the folder of another split."""
    for text in (written, written.split(None, 1)[0]):
        path = text.replace("\\", "/").removeprefix("./")
        for key in (path, path.rsplit("/", 1)[-1]):
            names = index.get(key) or index.get(os.path.splitext(key)[0])
            if names and (names := names if "/" in key else of_split(names, split, places)):
                return names
    return []
