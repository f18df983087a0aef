"""From the image name in a table to a file, inside one folder and unambiguously.

Tried in turn: the path as written, in another Unicode form, and, if only one file fits, by its last component or without
its suffix, below the folder of its split. A file in other folders than the written ones, or in those of another split, is
a different file. A path that leaves the folder is refused, however it is written.
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
from sightline.storage.text import printable

from .walking import inside, walk


class NotFound(Exception):
    """An entry of a table matches no usable file: `reason` begins with a code; `fix` says what to do."""

    def __init__(self, reason: str, fix: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.fix = fix


class Folder:
    """The folder `root`, to which the paths of a table are relative."""

    def __init__(self, root: str) -> None:
        self.root = os.path.realpath(root)

    def locate(self, written: str, split: str | None) -> str:
        """The relative name of the file that `written` refers to. Raises NotFound."""
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
        """An absolute path relative to the root, whichever links it goes through."""
        if (name := os.path.relpath(path, self.root)).split(os.sep, 1)[0] != os.pardir:
            return name
        folder, last = os.path.split(path)
        return os.path.relpath(os.path.join(os.path.realpath(folder), last), self.root)

    def _similar(self, name: str, split: str | None) -> str:
        form = unicodedata.normalize("NFC", name)
        last = form.rsplit("/", 1)[-1]
        alike = self._by_last.get(last) or self._by_stem.get(last) or []
        names = self._by_form.get(form) or plausible_files(form, alike, split, self._places)
        if len(names) == 1:
            return names[0]
        if names:
            raise NotFound(f"ambiguous: {len(names)} files have this name", "write the path from the table's folder")
        why = f"only {printable(alike[0])} exists, in another folder" if alike else "no such file"
        raise NotFound(f"missing: {why}", "restore the image, or remove the row")

    @cached_property
    def _files(self) -> list[str]:
        return walk(self.root).files  # only if an entry is not at its path: walking is slow

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
    """Where the images of a folder are: whether all in one folder (`flat`), and the `splits` with a folder of their own."""

    flat: bool
    splits: frozenset[str | None]

    @classmethod
    def of(cls, files: Iterable[str]) -> Places:
        folders = {name.rpartition("/")[0] for name in files if suffix(name) in IMAGE_SUFFIXES}
        return cls(len(folders) <= 1, frozenset(split_folder(folder.split("/")) for folder in folders))


def plausible_files(written: str, alike: Sequence[str], split: str | None, places: Places) -> list[str]:
    """Those of the files `alike`, which share the last component of `written`, that it may refer to: in the right split, and
    in the written folders as far as both paths go. If all images are in one folder its name is ignored, since they were
    moved together.

    "dogs/1.png" may be "photos/dogs/1.png", but not "cats/1.png".
    """
    fitting = [n for n in alike if places.flat or _one_ends_the_other(_folders(written), _folders(n))]
    return of_split(fitting, split, places)


def of_split(names: Sequence[str], split: str | None, places: Places) -> list[str]:
    """Those in the folder of the split, else those in no split's folder; all of them if the split has no folder."""
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
