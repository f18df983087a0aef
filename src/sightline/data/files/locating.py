"""From what a table calls an image to the file it means, inside one folder and unambiguously.

Tried in turn: the path as written, in another Unicode form, and, where only one file fits, by its last component or
without its suffix, below its split's folder. A file in other folders than those written, or in another split's, is another
file. What leaves the folder is refused, whichever way it is spelled.
"""

from __future__ import annotations

import os
import posixpath
import stat
import unicodedata
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import NamedTuple

from sightline.data.records.names import IMAGE_SUFFIXES, split_folder, suffix
from sightline.storage.text import shown

from .walking import inside, walk


class NotFound(Exception):
    """Why a table's entry means no usable file: `reason` begins with a code; `fix` says what to do."""

    def __init__(self, reason: str, fix: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.fix = fix


class Folder:
    """The folder `root` as a table sees it."""

    def __init__(self, root: str) -> None:
        self.root = os.path.realpath(root)

    def locate(self, written: str, split: str | None) -> str:
        """The relative name of the file that `written` means. Raises NotFound."""
        name = self._relative(written.strip().replace("\\", "/"))
        try:
            mode = os.stat(os.path.join(self.root, name)).st_mode
        except (OSError, ValueError):
            return self._similar(name, split)
        if not inside(self.root, os.path.join(self.root, name)):
            raise NotFound("outside: a link that leaves the data folder", "copy the target into the folder")
        if not stat.S_ISREG(mode):
            raise NotFound("not-a-regular-file: a folder, pipe or device", "name an image file")
        return name

    def _relative(self, path: str) -> str:
        """`path` below the root, without `.` and `..`; refused where it leaves the root or is empty."""
        if os.path.isabs(path):
            path = self._below(os.path.normpath(path)).replace(os.sep, "/")
        name = posixpath.normpath(path) if path else "."
        if name == ".":
            raise NotFound("no-file: the image's name is empty", "name the image file, or remove the row")
        if name == ".." or name.startswith("../"):
            raise NotFound("outside: the path leaves the data folder", "keep the images beside or below the table")
        return name

    def _below(self, path: str) -> str:
        """An absolute path as one from the root, by whichever links it goes."""
        if (name := os.path.relpath(path, self.root)).split(os.sep, 1)[0] != os.pardir:
            return name
        folder, last = os.path.split(path)
        return os.path.relpath(os.path.join(os.path.realpath(folder), last), self.root)

    def _similar(self, name: str, split: str | None) -> str:
        form = unicodedata.normalize("NFC", name)
        last = form.rsplit("/", 1)[-1]
        alike = self._by_last.get(last) or self._by_stem.get(last) or []
        names = self._by_form.get(form) or meant(form, alike, split, self._places)
        if len(names) == 1:
            return names[0]
        if names:
            raise NotFound(f"ambiguous: {len(names)} files have this name", "write the path from the table's folder")
        why = f"there is {shown(alike[0])}, elsewhere" if alike else "no such file"
        raise NotFound(f"missing: {why}", "restore the image, or remove the row")

    @cached_property
    def _files(self) -> list[str]:
        return walk(self.root).files  # only when an entry is not where it says

    @cached_property
    def _places(self) -> Places:
        return Places.of(self._files)

    @cached_property
    def _by_form(self) -> dict[str, list[str]]:
        return _index((unicodedata.normalize("NFC", name), name) for name in self._files)

    @cached_property
    def _by_last(self) -> dict[str, list[str]]:
        return _index((unicodedata.normalize("NFC", name.rsplit("/", 1)[-1]), name) for name in self._files)

    @cached_property
    def _by_stem(self) -> dict[str, list[str]]:
        images = (name for name in self._files if suffix(name) in IMAGE_SUFFIXES)
        return _index((unicodedata.normalize("NFC", os.path.splitext(n.rsplit("/", 1)[-1])[0]), n) for n in images)


class Places(NamedTuple):
    """Where the images of a folder lie: whether all in one place (`flat`), and the `splits` that have a folder."""

    flat: bool
    splits: frozenset[str | None]

    @classmethod
    def of(cls, files: Iterable[str]) -> Places:
        folders = {name.rpartition("/")[0] for name in files if suffix(name) in IMAGE_SUFFIXES}
        return cls(len(folders) <= 1, frozenset(split_folder(folder.split("/")) for folder in folders))


def meant(written: str, alike: Sequence[str], split: str | None, places: Places) -> list[str]:
    """Which of the files whose last component is `written`'s may be meant: those `of_split`, and none of other folders
    than those written, but where all images lie in one: these were moved together."""
    fitting = [n for n in alike if places.flat or _one_ends_the_other(_folders(written), _folders(n))]
    return of_split(fitting, split, places)


def of_split(names: Sequence[str], split: str | None, places: Places) -> list[str]:
    """Those that lie in the split's folder, else those in no split's; where it has no folder, all."""
    if split not in places.splits - {None}:
        return list(names)
    by_split = [(name, split_folder(_folders(name))) for name in names]
    return [n for n, of in by_split if of == split] or [n for n, of in by_split if of is None]


def _folders(name: str) -> list[str]:
    return name.split("/")[:-1]


def _one_ends_the_other(one: Sequence[str], other: Sequence[str]) -> bool:
    depth = min(len(one), len(other))
    return not depth or one[-depth:] == other[-depth:]


def _index(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for key, name in pairs:
        found.setdefault(key, []).append(name)
    return found
