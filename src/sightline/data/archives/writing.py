"""Where the files of an archive go: a new folder, in which nothing that exists is ever opened or followed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from sightline.data.records.names import is_litter
from sightline.errors import ResourceError
from sightline.storage.files import no_space

PIECE = 1 << 20
_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)


class Sink:
    """Writes below `root`; `files` are the names and sizes of what was written, `litter` counts the leftovers of operating
    systems that were not."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.files: list[tuple[str, int]] = []
        self.litter = 0
        self._made: set[tuple[str, ...]] = {()}
        self._left = shutil.disk_usage(root).free

    def require_space(self, size: int) -> None:
        """ResourceError if the disk cannot take a file of this size."""
        if size > self._left:
            raise ResourceError(
                f"{size:,} bytes are needed, {self._left:,} are free", f"free space under {self.root.parent.parent}"
            )

    def folder(self, parts: tuple[str, ...]) -> None:
        for depth in range(1, len(parts) + 1):
            if parts[:depth] not in self._made:
                with no_space(self.root, 0):
                    os.mkdir(self.root.joinpath(*parts[:depth]), 0o755)
                self._made.add(parts[:depth])

    def file(self, parts: tuple[str, ...], pieces: Iterable[bytes]) -> None:
        """Write a new file, or only read its pieces where it is nobody's data."""
        if any(map(is_litter, parts)):
            self.litter += 1
            for _ in pieces:
                pass
            return
        self.folder(parts[:-1])
        path, size = self.root.joinpath(*parts), 0
        with no_space(path, 0), os.fdopen(os.open(path, _FLAGS, 0o644), "wb", buffering=0) as file:
            for piece in pieces:
                file.write(piece)
                size += len(piece)
        self._left -= size
        self.files.append(("/".join(parts), size))
