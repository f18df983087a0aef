"""What an archive may hold: limits on bytes, expansion and entries, and the names that an entry may have.

An archive is written by a stranger. Its names must stay in the folder on every system and must not collide on any, so case,
Unicode form and the names of Windows' devices count everywhere.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field
from typing import NoReturn

from sightline.errors import DataError
from sightline.storage.text import printable

MAX_TOTAL = 1 << 38  # bytes of all files
FREE, RATIO = 32 << 20, 200  # beyond so many bytes, at most RATIO for each byte of the archive
MAX_ENTRIES = 500_000
MANY, SMALL = 1_000, 16  # from so many entries on, so many bytes in each on average
MAX_DEPTH, MAX_PART, MAX_NAME = 32, 255, 2_048
_DEVICE = re.compile(r"(?:con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³]|conin\$|conout\$)\s*(?:\..*)?", re.IGNORECASE)
_DRIVE = re.compile(r"[A-Za-z]:")
_FIX = "unpack it yourself, look at what it holds, and give the folder"


def refuse(archive: str, why: str, entry: str = "", fix: str = _FIX) -> NoReturn:
    """Raise the DataError of an archive that is not unpacked."""
    where = f", entry {printable(entry[:200])}" if entry else ""
    raise DataError(f"{printable(archive)}{where}: {why}", fix)


@dataclass
class Account:
    """What has come out of an archive so far: entries, bytes, and names by the form in which they must differ."""

    archive: str
    entries: int = 0
    payload: int = 0  # bytes of files
    total: int = 0  # bytes with all headers
    _files: set[str] = field(default_factory=set)
    _folders: dict[str, str] = field(default_factory=dict)  # form → spelling

    def entry(self) -> None:
        """Count an entry of any kind."""
        self.entries += 1
        self.check_entries(self.entries, self.payload)

    def check_entries(self, entries: int, payload: int) -> None:
        """Refuse so many entries with so many bytes in all."""
        if entries > MAX_ENTRIES:
            refuse(self.archive, f"bomb: more than {MAX_ENTRIES:,} entries", fix="split it into several archives")
        if entries > MANY and payload < SMALL * entries:
            refuse(self.archive, f"bomb: {entries:,} entries with {payload:,} bytes in all")

    def bytes(self, count: int, read: int, *, payload: bool = True) -> None:
        """Count unpacked bytes, of `read` bytes of the archive."""
        self.total += count
        self.payload += count * payload
        self.check(self.total, read)

    def check(self, total: int, read: int) -> None:
        """Refuse `total` unpacked bytes of `read` ones."""
        if total > MAX_TOTAL:
            refuse(self.archive, f"bomb: more than {MAX_TOTAL >> 30} GiB", fix="split it into several archives")
        if total > FREE + RATIO * read:
            refuse(self.archive, f"bomb: {total:,} bytes from {read:,}; at most {RATIO} from each")

    def file(self, name: str) -> tuple[str, ...]:
        """The parts of a file's name. DataError if it cannot be one, or is there already."""
        parts = self._parts(name)
        if not parts:
            refuse(self.archive, "no-name: a file without a name", name)
        self._enter(parts[:-1], name)
        form = _form("/".join(parts))
        if form in self._files or form in self._folders:
            refuse(self.archive, "duplicate: two entries have this name, or differ only in case or Unicode form", name)
        self._files.add(form)
        return parts

    def folder(self, name: str) -> tuple[str, ...]:
        """The parts of a folder's name."""
        parts = self._parts(name)
        self._enter(parts, name)
        return parts

    def _enter(self, parts: tuple[str, ...], name: str) -> None:
        for depth in range(1, len(parts) + 1):
            path = "/".join(parts[:depth])
            form = _form(path)
            if form in self._files or self._folders.setdefault(form, path) != path:
                refuse(self.archive, "duplicate: a folder whose name another entry has, or all but case or form", name)

    def _parts(self, name: str) -> tuple[str, ...]:
        """The parts of a name, separated by either slash. DataError for one that leaves the folder or cannot be written."""
        if len(name) > MAX_NAME:
            refuse(self.archive, f"bad-name: {len(name):,} characters", name)
        if any(unicodedata.category(c) == "Cc" for c in name):
            refuse(self.archive, "bad-name: a control character", name)
        path = name.replace("\\", "/")
        if path.startswith("/") or _DRIVE.match(path):
            refuse(self.archive, "absolute: a path from the root or of a drive", name)
        parts = tuple(part for part in path.split("/") if part not in ("", "."))
        if ".." in parts:
            refuse(self.archive, "traversal: a path that leaves the folder", name)
        if len(parts) > MAX_DEPTH:
            refuse(self.archive, f"bad-name: {len(parts)} folders deep", name)
        for part in parts:
            if _DEVICE.fullmatch(part):
                refuse(self.archive, "device: the name of a device on Windows", name)
            if len(part.encode("utf-8", "surrogateescape")) > MAX_PART:
                refuse(self.archive, f"bad-name: a part of more than {MAX_PART} bytes", name)
        return parts


def _form(path: str) -> str:
    """The form in which two names must differ on every system."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", path).casefold())
