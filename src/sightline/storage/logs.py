"""Append-only logs, truncated to where a checkpoint left them when a run resumes from it."""

from __future__ import annotations

import contextlib
import hashlib
import os
from pathlib import Path

from sightline.errors import SightlineError

from .files import no_space, sync_folder


class Log:
    """An append-only text file. A checkpoint stores `mark()`; `cut(mark)` truncates the file to it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._hash = hashlib.sha256()
        self._bytes = 0
        if path.exists():
            data = path.read_bytes()
            self._hash.update(data)
            self._bytes = len(data)

    def append(self, text: str) -> None:
        """Append all of it or nothing: the next line would continue half a line. Raises ResourceError."""
        data = text.encode("utf-8", "backslashreplace")
        with no_space(self.path, len(data)):
            try:
                with open(self.path, "ab") as file:
                    file.write(data)
            except OSError:
                with contextlib.suppress(OSError):
                    os.truncate(self.path, self._bytes)
                raise
        self._hash.update(data)
        self._bytes += len(data)

    def mark(self) -> dict[str, int | str]:
        """Bytes and SHA-256 so far, after the device has them."""
        if self._bytes:
            with open(self.path, "rb") as file:
                os.fsync(file.fileno())
            sync_folder(self.path.parent)
        return {"bytes": self._bytes, "sha256": self._hash.hexdigest()}

    def cut(self, mark: dict[str, int | str]) -> str | None:
        """Truncate the file to the mark. Returns a warning if what remains differs from what was marked."""
        length = int(mark["bytes"])
        data = self.path.read_bytes()[:length] if self.path.exists() else b""
        if self.path.exists():
            os.truncate(self.path, len(data))
        self._hash, self._bytes = hashlib.sha256(data), len(data)
        if self.mark() != mark:
            return f"{self.path.name} has been modified since the checkpoint: some of its lines were lost or changed"
        return None

    def restart(self) -> None:
        """Start over with an empty file."""
        self.path.unlink(missing_ok=True)
        self._hash, self._bytes = hashlib.sha256(), 0


def try_append(log: Log, text: str) -> str | None:
    """Append, or return the reason why it failed: a full disk must not end a training."""
    try:
        log.append(text)
    except SightlineError as error:
        return str(error)
    return None
