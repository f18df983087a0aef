"""Append-only logs, truncated to where a checkpoint left them when a run resumes from it."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sightline.errors import SightlineError

from .files import no_space, sync_folder
from .reading import read_file
from .schema import Fields

MAX_LOG = 1 << 30
_APPEND = os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)


class Log:
    """An append-only text file. A checkpoint stores `mark()`; `cut(mark)` truncates the file to it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._hash = hashlib.sha256()
        self._bytes = 0
        data = self._content()
        self._hash.update(data)
        self._bytes = len(data)

    def append(self, text: str) -> None:
        """Append all of it or nothing: the next line would continue half a line. Raises ResourceError."""
        data = text.encode("utf-8", "backslashreplace")
        with no_space(self.path, len(data)):
            try:
                with open(os.open(self.path, _APPEND, 0o666), "ab") as file:
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

    def cut(self, mark: Mapping[str, Any]) -> str | None:
        """Truncate the file to a mark. A file that does not hold what was marked is set aside, and the log begins anew: it
        then holds only lines that this program wrote. Returns a warning in that case."""
        stored = Fields(mark, f"the mark of {self.path.name}")
        length, expected = stored.whole("bytes"), stored.digest("sha256")
        data = self._content()[:length]
        if len(data) == length and hashlib.sha256(data).hexdigest() == expected:
            if length:
                os.truncate(self.path, length)
            else:
                self.path.unlink(missing_ok=True)
            self._hash, self._bytes = hashlib.sha256(data), length
            return None
        problem = f"{self.path.name} has been modified since the checkpoint: some of its lines were lost or changed"
        if data:
            aside = self.path.with_name(f"{self.path.name}.damaged")
            os.replace(self.path, aside)
            problem += f"; what is left of it is now {aside.name}"
        self.restart()
        return problem

    def intact(self) -> bool:
        """Whether the file holds exactly what was appended to it."""
        return self.mark() == {"bytes": len(data := self._content()), "sha256": hashlib.sha256(data).hexdigest()}

    def _content(self) -> bytes:
        """The file's bytes; none where there is no file. Raises DamagedError where something else has its name."""
        return read_file(self.path, MAX_LOG) if os.path.lexists(self.path) else b""

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
