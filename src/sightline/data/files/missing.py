"""A path that leads nowhere, named with its nearest neighbour. It needs no torch, so a typing error is answered at once."""

from __future__ import annotations

import os
from pathlib import Path

from sightline.errors import DataError, nearest
from sightline.storage.text import printable


def require_path(path: Path) -> None:
    """DataError unless it exists."""
    if not os.path.exists(path):
        raise DataError(f"{printable(str(path))} does not exist", _neighbour(path))


def _neighbour(path: Path) -> str:
    """A hint with the nearest existing name in the same folder."""
    try:
        beside = [entry.name for entry in os.scandir(path.parent)]
    except (OSError, ValueError):  # ValueError: a NUL in the path
        return f"check the path: {printable(str(path.parent))} does not exist either"
    hint = nearest(path.name, beside) if beside and path.parent != Path(path.anchor) else ""
    return hint if hint.startswith("did you mean") else "check the path, which is relative to the current folder"
