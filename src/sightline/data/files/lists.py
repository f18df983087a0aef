"""Split lists: train.txt, val.txt, test.txt with one image per line, as in VOC and SegNet.

A line is a path, a file name, or either without its suffix. If the whole line matches no image, only its first column
counts; the rest is a mask or a flag. A line that matches no image is reported by file and line. `listed_paths` reads the
lists of `predict`, whose images may be anywhere.
"""

from __future__ import annotations

import codecs
import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from sightline.data.records.names import split_named
from sightline.data.records.records import KEPT, QUARANTINED, Problem
from sightline.errors import DataError
from sightline.storage.reading import read_regular
from sightline.storage.text import printable

from .encodings import MAX_BYTES, read_text
from .matching import FORMS, Form, Match, NameIndex


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
    splits = {name: split for name, stem in stems.items() if (split := split_named(stem))}
    if "train" not in splits.values():
        splits |= {name: "train" for name, stem in stems.items() if stem.casefold() == "trainval"}
    return splits


def read_lists(root: str, lists: Mapping[str, str], images: Sequence[str], lost: Iterable[str] = ()) -> SplitLists:
    """The split of `images` (relative names) by `lists`, list → split. `lost` images are reported elsewhere already."""
    index = NameIndex(images)
    refused = NameIndex(lost, index.places)
    entries: dict[str, tuple[str, str, int]] = {}  # image → split, file, line
    problems: list[Problem] = []
    notes: list[str] = []
    contested: set[str] = set()
    named_splits: set[str] = set()
    lines: list[tuple[str, str, int, str, Match]] = []  # file, split, line, text, images
    for file, split in lists.items():
        text, note = read_text(Path(root, file))
        notes += [f"{printable(file)} {note}"] if note else []
        for line, written in enumerate(text.splitlines(), 1):
            if written.strip():
                named_splits.add(split)
                lines.append((file, split, line, written.strip(), _match(written.strip(), index, split)))
    claimed = {match.names[0] for *_, match in lines if len(match.names) == 1 and not match.guessed}
    for file, split, line, written, match in lines:
        names = () if match.guessed and set(match.names) & claimed else match.names  # another line spells it rightly
        if len(names) != 1:
            if not _match(written, refused, split).names:
                problems.append(_unmatched(file, line, written, len(names)))
            continue
        (name,) = names
        before = entries.setdefault(name, (split, file, line))
        if before == (split, file, line):
            continue
        if before[0] == split:
            reason, action = f"repeated: {printable(name)} is already in line {before[2]}", KEPT
        else:
            reason = f"contradiction: {printable(name)} is also in {printable(before[1])} line {before[2]}"
            action = KEPT if name in contested else QUARANTINED
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


def _match(written: str, index: NameIndex, split: str) -> Match:
    """The images that a line refers to: by the whole line, by all but its last column, or by its first column."""
    for text in dict.fromkeys((written, written.rsplit(None, 1)[0], written.split(None, 1)[0])):
        match = index.find(text, split=split, anywhere=True, swap=True)
        if match.names:
            return match
    return Match(())


def listed_paths(table: Path) -> list[Path]:
    """The paths in a list of one a line, relative ones from the folder of the list. A line whose path does not exist as
    written is matched as a name is (`matching`), folder by folder; one that matches nothing stays as it is."""
    try:
        raw = read_regular(table, MAX_BYTES)
    except (OSError, ValueError) as error:
        raise DataError(f"{printable(str(table))} cannot be read: {error}", "pass a list of one path a line") from error
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or b"\0" in raw:
        text, _ = read_text(table)
    else:
        text = raw.decode("utf-8-sig", "surrogateescape")  # names keep their own bytes
    folders = _Folders()
    return [folders.path(table.parent, line) for line in text.splitlines() if line.strip()]


class _Folders:
    """The names in the folders that were looked into."""

    def __init__(self) -> None:
        self._names: dict[tuple[str, Form], dict[str, list[str]]] = {}

    def path(self, base: Path, written: str) -> Path:
        for text in (written, written.strip(), written.strip().replace("\\", "/")):
            if os.path.lexists(base / text):
                return base / text
        place = base
        for part in Path(written.strip().replace("\\", "/")).parts:
            name = part if part == ".." or os.path.lexists(place / part) else self._alike(str(place), part)
            if name is None:
                return base / written.strip()
            place = place / name
        return place

    def _alike(self, folder: str, part: str) -> str | None:
        for form in FORMS[1:]:
            if (folder, form) not in self._names:
                names: dict[str, list[str]] = {}
                with suppress(OSError):
                    for name in os.listdir(folder):
                        names.setdefault(form(name), []).append(name)
                self._names[folder, form] = names
            if same := self._names[folder, form].get(form(part)):
                return same[0] if len(same) == 1 else None
        return None
