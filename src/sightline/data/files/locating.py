"""From the image name in a table to a file, inside one folder and unambiguously.

Tried in turn: the path as written, spelled otherwise (`matching`), and, if only one file fits, by its last component or
without its suffix, below the folder of its split. A file in other folders than the written ones, or in those of another
split, is a different file. A path that leaves the folder is refused, however it is written.
"""

from __future__ import annotations

import os
import posixpath
import stat
from functools import cached_property

from sightline.storage.text import printable

from .matching import NameIndex
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
        names = self._index.find(name, split=split).names
        if len(names) == 1:
            return names[0]
        if names:
            raise NotFound(f"ambiguous: {len(names)} files have this name", "write the path from the table's folder")
        alike = self._index.alike(name)
        why = f"only {printable(alike[0])} exists, in another folder" if alike else "no such file"
        raise NotFound(f"missing: {why}", "restore the image, or remove the row")

    @cached_property
    def _index(self) -> NameIndex:
        return NameIndex(walk(self.root).files)  # only if an entry is not at its path: walking is slow
