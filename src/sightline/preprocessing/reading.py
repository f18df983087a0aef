"""The content of an image file, or `Rejected` with the reason: only regular files are opened, and only so much is read."""

from __future__ import annotations

import errno
from pathlib import Path

from sightline.storage.reading import NotRegular, TooLarge, read_regular, reason_of

from .rejection import Rejected


def read_bytes(path: Path, max_bytes: int) -> bytes:
    """The content of a regular file of at most `max_bytes`; anything else is `Rejected`."""
    try:
        return read_regular(path, max_bytes)
    except NotRegular as error:
        raise Rejected("is-a-directory" if error.folder else "not-a-regular-file", str(error)) from error
    except TooLarge as error:
        raise Rejected("too-large-file", str(error)) from error
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        raise _rejected(error) from error


def _rejected(error: OSError | ValueError) -> Rejected:
    number = error.errno if isinstance(error, OSError) else None
    if number in (errno.ENOENT, errno.ENOTDIR):
        return Rejected("missing", "no such file")
    if number == errno.ELOOP:
        return Rejected("symlink-loop", "a symbolic link that leads back to itself")
    return Rejected("unreadable", f"cannot be read: {reason_of(error)}")
