"""Atomic writes: a reader sees the old content of a file or the new, each whole, whatever happens in between.

Write beside, flush, fsync, rename, fsync the folder: the order that survives a crash and a power cut. A full disk
leaves the old file and no temporary one, and the error says how many bytes were needed.
"""

from __future__ import annotations

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sightline.errors import ResourceError, UsageError

from .reading import reason_of

TEMPORARY = ".tmp-"  # prefix of everything that is not finished yet; swept when a run is opened for writing
MAX_NAME = 255  # bytes of a file's name, on every common file system
_FULL = {errno.ENOSPC, errno.EFBIG, errno.EDQUOT, errno.EIO}


def replace_file(path: Path, data: bytes) -> None:
    """Put `data` at `path` atomically. Raises ResourceError when the disk does not take it; `path` is then unchanged."""
    temporary = path.parent / f"{TEMPORARY}{secrets.token_hex(6)}"
    with no_space(path, len(data)):
        try:
            write_synced(temporary, data)
            os.replace(temporary, path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        sync_folder(path.parent)


def require_place(path: Path) -> None:
    """Raise UsageError if no file can be written at `path`: checked before the work starts, not after."""
    if os.path.isdir(path):
        raise UsageError(f"{path} is a folder", "name a file in it")
    if len(os.fsencode(path.name)) > MAX_NAME or "\0" in str(path):
        raise UsageError(
            f"{path.name[:60]}… cannot be a file's name: it is too long", "name a file with a shorter name"
        )
    if not os.path.isdir(path.parent):
        raise UsageError(f"there is no folder {path.parent}", "create it, or name a file elsewhere")


def make_folder(folder: Path) -> None:
    """Create the folder and its parents, each name synced to the device. Raises UsageError if that fails."""
    try:
        new = [path for path in (folder, *folder.parents) if not os.path.lexists(path)]
        folder.mkdir(parents=True, exist_ok=True)
        for path in new:
            sync_folder(path.parent)
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot create {folder}: {reason_of(error)}", "choose another --out") from error


def write_synced(path: Path, data: bytes) -> None:
    """Write a new file and wait until the device has it."""
    with open(path, "xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Wait until the device has the folder's names: without it a rename can be lost."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def no_space(path: Path, needed: int) -> Iterator[None]:
    """Turn an OSError of the disk or file system into a ResourceError; for a full disk it says how many bytes are needed."""
    try:
        yield
    except OSError as error:
        reason = os.strerror(error.errno or 0).lower()
        if error.errno not in _FULL:
            hint = f"check that {path.parent} exists and is writable"
            raise ResourceError(f"cannot write {path.name}: {reason}", hint) from error
        raise ResourceError(
            f"cannot write {path.name}: {reason}; {needed:,} bytes are needed",
            f"free space under {path.parent}",
        ) from error
