"""Split lists: train.txt, val.txt, test.txt with the name of one image a line, as VOC and SegNet have them.

A line is a path, a file name, or either without its suffix; what follows a blank is a second column (a mask, a flag)
where the whole line names nothing. What a line names in vain is refused by file and line.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from sightline.data.records.names import split_named
from sightline.data.records.records import KEPT, Problem
from sightline.storage.text import shown

from .encodings import read_text
from .locating import Places, of_split


class Listed(NamedTuple):
    """`split` of every image that a list names; those `torn` between two are refused; what was wrong with lines;
    sentences about the files; which splits were `given`, with or without images."""

    split: dict[str, str]
    torn: frozenset[str]
    problems: tuple[Problem, ...]
    notes: tuple[str, ...]
    given: frozenset[str] = frozenset()


def lists_among(files: Sequence[str], folder: str) -> dict[str, str]:
    """List → split, for the files directly in `folder` ("" the root): those named for splits; trainval.txt where there
    is no train.txt."""
    stems = {name: os.path.splitext(name.rsplit("/", 1)[-1])[0] for name in files if _is_list(name, folder)}
    found = {name: split for name, stem in stems.items() if (split := split_named(stem))}
    if "train" not in found.values():
        found |= {name: "train" for name, stem in stems.items() if stem.casefold() == "trainval"}
    return found


def read_lists(root: str, lists: Mapping[str, str], images: Sequence[str], lost: Iterable[str] = ()) -> Listed:
    """The split of `images` (relative names), by lists → split. `lost` images are named elsewhere already."""
    index = _index(images)
    gone = _index(lost)
    places = Places.of(images)
    said: dict[str, tuple[str, str, int]] = {}  # image → split, file, line
    problems: list[Problem] = []
    notes: list[str] = []
    torn: set[str] = set()
    given: set[str] = set()
    for file, split in lists.items():
        text, note = read_text(Path(root, file))
        notes += [f"{shown(file)} {note}"] if note else []
        for line, written in enumerate(text.splitlines(), 1):
            if not written.strip():
                continue
            given.add(split)
            names = _meant(written.strip(), index, split, places)
            if len(names) != 1:
                if not _meant(written.strip(), gone, split, places):
                    problems.append(_vain(file, line, written.strip(), len(names)))
                continue
            (name,) = names
            before = said.setdefault(name, (split, file, line))
            if before == (split, file, line):
                continue
            if before[0] == split:
                reason, action = f"repeated: {shown(name)} is in line {before[2]} already", KEPT
            else:
                reason, action = f"contradiction: {shown(name)} is in {shown(before[1])} line {before[2]} too", KEPT
                if name not in torn:
                    action = "quarantined"
                torn.add(name)
            problems.append(Problem(shown(file), line, reason, "remove one of the lines", action))
    split_of = {name: split for name, (split, _, _) in said.items() if name not in torn}
    return Listed(split_of, frozenset(torn), tuple(problems), tuple(notes), frozenset(given))


def _is_list(name: str, folder: str) -> bool:
    return name.lower().endswith(".txt") and name.rpartition("/")[0] == folder


def _vain(file: str, line: int, written: str, count: int) -> Problem:
    if count:
        reason, fix = f"ambiguous: {count} images are called {shown(written[:200])}", "write the path"
    else:
        reason, fix = f"missing: no image {shown(written[:200])}", "restore the image, or remove the line"
    return Problem(shown(file), line, reason, fix)


def _index(images: Iterable[str]) -> dict[str, list[str]]:
    """Every way to write an image → the images that it may mean."""
    found: dict[str, list[str]] = {}
    for name in images:
        last = name.rsplit("/", 1)[-1]
        for key in {name, os.path.splitext(name)[0], last, os.path.splitext(last)[0]}:
            found.setdefault(key, []).append(name)
    return found


def _meant(written: str, index: Mapping[str, list[str]], split: str, places: Places) -> list[str]:
    """The images that a line may mean: the line as it is, its last component, its first column. A last component alone
    means none in another split's folder."""
    for text in (written, written.split(None, 1)[0]):
        path = text.replace("\\", "/").removeprefix("./")
        for key in (path, path.rsplit("/", 1)[-1]):
            names = index.get(key) or index.get(os.path.splitext(key)[0])
            if names and (names := names if "/" in key else of_split(names, split, places)):
                return names
    return []
