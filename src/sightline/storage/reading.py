"""The bytes of a file, without ever blocking and never more than a limit.

Opening a FIFO blocks, a device may never end, a folder may be called `run.json`. So the path is checked before it is
opened, opened without blocking, and the open file is checked again, because another may have taken its place in between.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from pathlib import Path
from typing import Any

from sightline.errors import DamagedError

MAX_TEXT = 8 << 20  # bytes of a recipe, a manifest, a state: larger ones are not parsed
MAX_JSON = 256 << 20  # bytes of a run's JSON, whose data.json names every image with a problem
MAX_ROWS = 1 << 33  # bytes of a split's predictions
MAX_TENSORS = 1 << 40

# Absent on Windows, where opening does not block; O_BINARY exists only there.
_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)


class NotRegular(OSError):
    """A folder, pipe, socket or device where a file is expected; `folder` tells which."""

    def __init__(self, *, folder: bool) -> None:
        what = "a folder, not a file" if folder else "a pipe, socket or device, not a file"
        super().__init__(0, what)
        self.folder = folder

    def __str__(self) -> str:
        return str(self.strerror)


class TooLarge(OSError):
    """A file of more bytes than may be read."""

    def __init__(self, size: int, most: int) -> None:
        super().__init__(0, f"{size:,} bytes; at most {most:,} are read")

    def __str__(self) -> str:
        return str(self.strerror)


def read_regular(path: str | Path, most: int) -> bytes:
    """The content of a regular file of at most `most` bytes. Raises OSError (`NotRegular`, `TooLarge`), or ValueError for
    a path with a NUL."""
    _require_regular(os.stat(path).st_mode)
    descriptor = os.open(path, _FLAGS)
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        _require_regular(status.st_mode)
        if status.st_size > most:
            raise TooLarge(status.st_size, most)
        data = file.read(min(most, max(status.st_size, 1 << 16)) + 1)
        while len(data) <= most and (more := file.read(min(1 << 20, most + 1 - len(data)))):
            data += more  # it has grown since
    if len(data) > most:
        raise TooLarge(len(data), most)
    return data


def inside(folder: Path, name: str) -> bool:
    """Whether the relative path `name`, with all links resolved, stays in the folder."""
    try:
        root = os.path.realpath(folder)
        return not os.path.isabs(name) and os.path.realpath(os.path.join(root, name)).startswith(root + os.sep)
    except (OSError, ValueError):
        return False


def hash_regular(path: str | Path) -> tuple[int, str]:
    """Size and SHA-256 of a regular file, read piece by piece. Raises OSError or ValueError as `read_regular`."""
    _require_regular(os.stat(path).st_mode)
    with os.fdopen(os.open(path, _FLAGS), "rb") as file:
        _require_regular(os.fstat(file.fileno()).st_mode)
        state = hashlib.file_digest(file, "sha256")
        return file.tell(), state.hexdigest()


def _require_regular(mode: int) -> None:
    if not stat.S_ISREG(mode):
        raise NotRegular(folder=stat.S_ISDIR(mode))


def read_file(path: Path, most: int, *, hint: str = "") -> bytes:
    """The same for a file that must be there. Raises DamagedError, with the path and `hint`."""
    try:
        return read_regular(path, most)
    except (OSError, ValueError) as error:
        raise DamagedError(f"{path} cannot be read: {reason_of(error)}", hint) from error


def read_json(path: Path, most: int = MAX_JSON, *, hint: str = "") -> Any:
    """The value of a JSON file. Raises DamagedError."""
    return parse_json(read_file(path, most, hint=hint), str(path), hint=hint)


def parse_json(data: bytes, what: str, *, hint: str = "") -> Any:
    """Strict JSON in UTF-8: no NaN, no infinities. Raises DamagedError for anything else."""
    try:
        return json.loads(data, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise DamagedError(f"{what} cannot be read: {str(error)[:200] or 'it is nested too deeply'}", hint) from error


def _refuse_constant(word: str) -> None:
    raise ValueError(f"{word} is not JSON")


def reason_of(error: OSError | ValueError) -> str:
    """Why a file could not be used, in few words."""
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return text[:1].lower() + text[1:200]
