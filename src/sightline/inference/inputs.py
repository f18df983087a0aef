"""What `predict` is asked about, one image after the other: files, folders, patterns, lists, videos, a camera.

Nothing is held but the names of the folders that are being walked, so a million images need no more memory than one. Every
item has a `place`: the name of what is written for it, relative to the folder of a `--draw` or `--out`.
"""

from __future__ import annotations

import glob
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path, PurePosixPath
from typing import Any

from sightline.data.archives.unpacking import ENDS, unpack
from sightline.data.fetching.addresses import is_address, require_address, shown
from sightline.data.fetching.fetched import MAX_DATA, MAX_IMAGE, fetch
from sightline.data.files.lists import listed_paths
from sightline.data.records.names import IMAGE_SUFFIXES, is_litter, kinds, suffix
from sightline.errors import DataError, ResourceError, UsageError
from sightline.runtime.model import Source
from sightline.storage.text import printable

from .video import CAMERA, VIDEO_SUFFIXES, frames_of

_WILD = "*?["


@dataclass(frozen=True)
class Item:
    """One image. `path` as the row says it; `source` what is decoded; `place` see above, with the input's own suffix;
    `shared` whether another image of the folder differs from it in its suffix only; `frame` and `time_s` of a video."""

    path: str
    source: Source
    place: str
    shared: bool = False
    frame: int | None = None
    time_s: float | None = None
    error: str = ""  # why there is nothing to decode

    @property
    def head(self) -> dict[str, Any]:
        """The beginning of its row."""
        moment = {} if self.frame is None else {"frame": self.frame, "time_s": self.time_s}
        return {"path": self.path, **moment}


@dataclass
class Skipped:
    """What is below folders and is not predicted: files that are no images, by suffix, and folders that cannot be read."""

    others: Counter[str] = field(default_factory=Counter)
    unreadable: list[str] = field(default_factory=list)

    def note(self) -> str:
        """A line about files that are no images; "" where there are none."""
        return f"files without an image suffix, skipped: {self.words()}" if self.others else ""

    def words(self) -> str:
        """The suffixes with their counts."""
        return kinds(name for end, count in self.others.items() for name in [f"x{end}"] * count)


@dataclass
class Inputs:
    """The items of some paths. Iterate once; `skipped` then says what was passed over."""

    paths: Sequence[str | Path]
    every: int = 1
    allow_network: bool = False
    skipped: Skipped = field(default_factory=Skipped)

    def __post_init__(self) -> None:
        self.roots = [_resolved(path) for path in self.paths]
        if not self.roots:
            raise UsageError("no images are named", "pass image files, folders of images, or a .txt list of paths")
        self.moving = any(_is_video(path) for path in self.roots)
        self._taken: set[str] = set()
        folders = [p for p in self.roots if os.path.isdir(p) or _pattern(p) or p.lower().endswith(ENDS)]
        self._apart = len(folders) > 1 or (bool(folders) and len(folders) < len(self.roots))

    def __iter__(self) -> Iterator[Item]:
        for path in self.roots:
            yield from self._of(path)

    @staticmethod
    def is_file(path: str) -> bool:
        """Whether it is one image, not a folder, a pattern, a list or a video."""
        several = path.lower().endswith((*ENDS, ".txt"))
        return not (several or os.path.isdir(path) or _pattern(path) or _is_video(path))

    def _of(self, path: str) -> Iterator[Item]:
        if is_address(path):
            yield from self._fetched(path)
        elif _is_video(path):
            yield from self._frames(path)
        elif _pattern(path):
            yield from self._matching(path)
        elif os.path.isdir(path):
            yield from self._inside(path, self._prefix(path))
        elif path.lower().endswith(ENDS):
            yield from self._unpacked(Path(path), path)
        elif suffix(path) == ".txt":
            for listed in listed_paths(Path(path)):
                yield Item(str(listed), listed, self._own(listed.name))
        else:
            yield Item(path, Path(path), self._own(Path(path).name))

    def _fetched(self, address: str) -> Iterator[Item]:
        """The image at an address, or those of an archive there. What is wrong with one address costs that image only."""
        packed, name = address.partition("?")[0].lower().endswith(ENDS), shown(address)
        place = self._own(Path(address.partition("?")[0]).name or "image")
        try:
            file = fetch(address, allow_network=self.allow_network, most=MAX_DATA if packed else MAX_IMAGE).path
        except (DataError, ResourceError) as error:
            if packed:
                raise
            yield Item(name, Path(name), place, error=error.message)
            return
        if file.name.lower().endswith(ENDS):
            yield from self._unpacked(file, name)
        else:
            yield Item(name, file, place)

    def _unpacked(self, archive: Path, name: str) -> Iterator[Item]:
        folder, prefix = str(unpack([archive]).folder), self._prefix(name)
        for path, place, shared in walk_images(folder, self.skipped):
            yield Item(str(Path(name) / place), Path(path), prefix + place, shared)

    def _frames(self, path: str) -> Iterator[Item]:
        place = self._own(Path(path).name if not path.startswith(CAMERA) else path.replace(":", "-"))
        for frame, time_s, pixels in frames_of(path, self.every):
            yield Item(path, pixels, place, False, frame, time_s)

    def _matching(self, pattern: str) -> Iterator[Item]:
        base = _fixed(pattern)
        prefix = self._prefix(base)
        found = (path for path in sorted(glob.iglob(pattern, recursive=True)) if not _hidden(path, base))
        for path in found:
            if os.path.isdir(path):
                if "**" not in pattern:  # which matches the files below by itself
                    yield from self._inside(path, f"{prefix}{os.path.relpath(path, base or '.')}/")
            elif suffix(path) in IMAGE_SUFFIXES:
                yield Item(path, Path(path), prefix + _slashes(os.path.relpath(path, base or ".")), _has_twin(path))
            else:
                self.skipped.others[suffix(path)] += 1

    def _inside(self, folder: str, prefix: str) -> Iterator[Item]:
        for path, place, shared in walk_images(folder, self.skipped):
            yield Item(path, Path(path), prefix + place, shared)

    def _prefix(self, folder: str) -> str:
        """The folder of what is written for one root; none where it is the only one."""
        return f"{self._own(os.path.basename(os.path.abspath(folder)) or 'root')}/" if self._apart else ""

    def _own(self, name: str) -> str:
        """The name, numbered where an earlier path has it."""
        stem, dot, end = name.rpartition(".")
        stem, end = (stem, dot + end) if stem else (name, "")
        free, number = name, 2
        while free in self._taken:
            free, number = f"{stem}-{number}{end}", number + 1
        self._taken.add(free)
        return free

    def first(self) -> Iterable[Item]:
        """The items, of which there is one. Raises DataError where there is none, saying what there is instead."""
        items = iter(self)
        head = next(items, None)
        if head is None:
            where = ", ".join(shown(p) if is_address(p) else printable(p) for p in map(str, self.paths[:3]))
            there = f"there are only other files ({self.skipped.words()}): " if self.skipped.others else ""
            way_out = f"{there}pass image files, folders of images, or a .txt list of paths"
            raise DataError(f"no images in {where}", way_out)
        return chain((head,), items)


def walk_images(folder: str, skipped: Skipped) -> Iterator[tuple[str, str, bool]]:
    """Path, place and whether a neighbour differs in its suffix only, of every image below a folder, in the order of their
    paths. Hidden files are passed over, other files are counted by suffix; links to folders are not followed."""
    waiting: list[tuple[str, Iterator[os.DirEntry[str]], Mapping[str, int]]] = [("", *_entries(folder, skipped))]
    while waiting:
        base, entries, stems = waiting[-1]
        entry = next(entries, None)
        if entry is None:
            waiting.pop()
        elif entry.is_dir(follow_symlinks=False):
            waiting.append((f"{base}{entry.name}/", *_entries(entry.path, skipped)))
        elif suffix(entry.name) in IMAGE_SUFFIXES:
            yield entry.path, base + entry.name, stems[_stem(entry.name)] > 1
        elif not os.path.isdir(entry.path):
            skipped.others[suffix(entry.name)] += 1


def _entries(folder: str, skipped: Skipped) -> tuple[Iterator[os.DirEntry[str]], Mapping[str, int]]:
    """The visible entries of a folder by name, each let go once it was taken, and how many images have each stem, where
    that is more than one."""
    try:
        with os.scandir(folder) as found:
            entries = sorted((e for e in found if not is_litter(e.name)), key=lambda e: e.name, reverse=True)
    except OSError:
        skipped.unreadable.append(folder)
        return iter(()), {}
    stems = Counter(_stem(e.name) for e in entries if suffix(e.name) in IMAGE_SUFFIXES)
    several = Counter({stem: count for stem, count in stems.items() if count > 1})
    return (entries.pop() for _ in range(len(entries))), several


def _stem(name: str) -> str:
    return name.rpartition(".")[0] or name


def _has_twin(path: str) -> bool:
    folder, name = os.path.split(path)
    own = glob.escape(os.path.join(folder, _stem(name)))
    return sum(suffix(other) in IMAGE_SUFFIXES for other in glob.iglob(f"{own}.*")) > 1


def _resolved(path: str | Path) -> str:
    """The path as text. UsageError for one that is not there, before anything is loaded."""
    text = os.fspath(path)
    if text.startswith(CAMERA):
        return text
    if is_address(text):
        require_address(text)
        return text
    if os.path.exists(text):
        return str(Path(text))
    if _pattern(text):
        if next(glob.iglob(text, recursive=True), None) is None:
            raise UsageError(f"nothing matches {printable(text)}", "check the pattern: * any name, ** any folders")
        return text
    if os.path.lexists(text):
        raise UsageError(f"{printable(text)} is a link to nothing", "restore what it points to")
    raise UsageError(f"there is no {printable(text)}", "check the path")


def _pattern(path: str) -> bool:
    return any(sign in path for sign in _WILD) and not os.path.exists(path)


def _fixed(pattern: str) -> str:
    """The folders of a pattern before its first wildcard."""
    parts = []
    for part in Path(pattern).parts[:-1]:
        if any(sign in part for sign in _WILD):
            break
        parts.append(part)
    return str(Path(*parts)) if parts else ""


def _hidden(path: str, base: str) -> bool:
    return any(map(is_litter, Path(os.path.relpath(path, base or ".")).parts))


def _slashes(path: str) -> str:
    return PurePosixPath(*Path(path).parts).as_posix()


def _is_video(path: str) -> bool:
    return path.startswith(CAMERA) or (
        not is_address(path) and suffix(path) in VIDEO_SUFFIXES and not os.path.isdir(path)
    )
