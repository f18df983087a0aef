"""A path → its bytes, without ever blocking: only regular files are opened, and never more than a limit is read.

Opening a FIFO blocks, a device may never end, a folder may be called `x.jpg`. So the path is checked before it is opened,
opened without blocking, and the open file is checked again, because another may have taken its place in between.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from .rejection import Rejected

# Absent on Windows, where opening does not block; O_BINARY exists only there.
_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)


def read_bytes(path: Path, max_bytes: int) -> bytes:
    """The content of a regular file of at most `max_bytes`; anything else is `Rejected`."""
    try:
        _must_be_regular(os.stat(path).st_mode)
        descriptor = os.open(path, _FLAGS)
        with os.fdopen(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            _must_be_regular(status.st_mode)
            data = b"" if status.st_size > max_bytes else file.read(max_bytes + 1)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        raise _rejected(error) from error
    if status.st_size > max_bytes or len(data) > max_bytes:
        raise Rejected("too-large-file", f"{max(status.st_size, len(data)):,} bytes; at most {max_bytes:,} are read")
    return data


def _must_be_regular(mode: int) -> None:
    if stat.S_ISDIR(mode):
        raise Rejected("is-a-directory", "a folder, not a file")
    if not stat.S_ISREG(mode):
        raise Rejected("not-a-regular-file", "a pipe, socket or device, not a file")


def _rejected(error: OSError | ValueError) -> Rejected:
    number = error.errno if isinstance(error, OSError) else None
    if number in (errno.ENOENT, errno.ENOTDIR):
        return Rejected("missing", "no such file, or a dangling link")
    if number == errno.ELOOP:
        return Rejected("symlink-loop", "a symbolic link that leads back to itself")
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return Rejected("unreadable", f"cannot be read: {text}")
