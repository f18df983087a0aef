"""A new folder of many files: it appears whole, or not at all.

It is written beside its place under a temporary name, brought to the device, and renamed. A process that is killed on the way
leaves that temporary folder, never one that looks finished; the next one for the same place removes it.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sightline.errors import UsageError

from .files import TEMPORARY, make_folder, no_space, sync_folder
from .folders import sweep

OLD = 24 * 3600.0  # seconds after which a temporary folder belongs to no living process


@contextmanager
def new_tree(final: Path) -> Iterator[Path]:
    """The folder to write into; it becomes `final` when the block ends without an error. Raises UsageError if `final` is
    anything but absent or an empty folder, ResourceError if the disk refuses."""
    require_empty(final)
    make_folder(final.parent)
    sweep(final.parent, older=OLD)
    temporary = final.parent / f"{TEMPORARY}{secrets.token_hex(6)}"
    with no_space(final, 0):
        try:
            temporary.mkdir()
            yield temporary
            if hasattr(os, "sync"):
                os.sync()  # one call for all files: one for each would take minutes for a hundred thousand
            require_empty(final)
            if final.exists():
                final.rmdir()
            os.rename(temporary, final)
            sync_folder(final.parent)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def require_empty(final: Path) -> None:
    """UsageError for a path where anything is but an empty folder."""
    if "\0" in str(final):
        raise UsageError(f"{str(final)!r} holds a NUL, which no path may", "name a new folder")
    if not os.path.lexists(final):
        return
    if final.is_symlink() or not final.is_dir():
        raise UsageError(f"{final} is a file or a link", "name a new folder")
    if any(final.iterdir()):
        raise UsageError(f"{final} is not empty", "name a new folder: nothing is ever overwritten")
