"""From what a table calls an image to the file it means, inside one folder and unambiguously.

Tried in turn: the path as written, below its split's folder, in another Unicode form, and, where only one file fits, by
its last component or without its suffix. What leaves the folder is refused, whichever way it is spelled.
"""

from __future__ import annotations

import os
import posixpath
import stat
import unicodedata
from collections.abc import Iterable
from functools import cached_property

from .names import IMAGE_SUFFIXES, split_named, suffix
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
            path = os.path.relpath(os.path.normpath(path), self.root).replace(os.sep, "/")
        name = posixpath.normpath(path) if path else "."
        if name == ".":
            raise NotFound("no-file: the image's name is empty", "name the image file, or remove the row")
        if name == ".." or name.startswith("../"):
            raise NotFound("outside: the path leaves the data folder", "keep the images beside or below the table")
        return name

    def _similar(self, name: str, split: str | None) -> str:
        form = unicodedata.normalize("NFC", name)
        last = form.rsplit("/", 1)[-1]
        for index, key in ((self._by_form, form), (self._by_last, last), (self._by_stem, last)):
            names = index.get(key, [])
            if len(names) > 1 and split:
                names = [n for n in names if split_named(n.split("/", 1)[0]) == split]
            if len(names) == 1:
                return names[0]
            if names:
                raise NotFound(
                    f"ambiguous: {len(names)} files have this name", "write the path from the table's folder"
                )
        raise NotFound("missing: no such file", "restore the image, or remove the row")

    @cached_property
    def _files(self) -> list[str]:
        return walk(self.root).files  # only when an entry is not where it says

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


def _index(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for key, name in pairs:
        found.setdefault(key, []).append(name)
    return found
