"""Where pictures and masks go: one rule for both, after their input.

`photos/a/b.jpg` of the folder `photos` becomes `DIR/a/b.jpg`; an image named by itself or in a list, `DIR/b.jpg`; with several
folders each has its own in DIR. JPEG stays JPEG, every other picture and every mask is a PNG. Two images of a folder that
differ in their suffix only keep it: `b.jpg.png`, `b.tif.png`. What would have the name of an earlier input is numbered:
`b-2.jpg`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

from sightline.data.records.names import suffix
from sightline.errors import UsageError
from sightline.storage.files import MAX_NAME, make_folder

from .inputs import Item

JPEG = frozenset((".jpg", ".jpeg", ".jpe", ".jfif"))


def place_of(folder: Path, item: Item, *, mask: bool = False) -> Path:
    """The file for a picture or a mask; its folder is made. A frame of a video is a file in a folder of the video's name."""
    if item.frame is not None:
        path = folder / _bare(item.place) / f"{item.frame:06d}.png"
    elif not mask and suffix(item.place) in JPEG:
        path = folder / item.place
    elif item.shared and suffix(item.place) != ".png":
        path = folder / f"{item.place}.png"
    else:
        path = folder / f"{_bare(item.place)}.png"
    if len(os.fsencode(path.name)) > MAX_NAME:
        path = path.with_name(f"{path.stem[:80]}{path.suffix}")
    if not path.parent.is_dir():
        make_folder(path.parent)
    return path


def _bare(place: str) -> str:
    """Without its suffix; a name that is nothing but one is kept."""
    end = suffix(place)
    return place[: -len(end)] if end else place


def require_elsewhere(folder: Path, roots: Iterable[str], option: str) -> None:
    """UsageError where the folder to write to is, or is inside, one that is read: pictures would replace the images."""
    there = os.path.realpath(folder)
    for root in roots:
        if re.match(r"[a-z]+:", root) and not os.path.exists(root):
            continue
        inside = os.path.realpath(root if os.path.isdir(root) else os.path.dirname(root) or ".")
        within = os.path.isdir(root) and f"{there}{os.sep}".startswith(f"{inside}{os.sep}")
        if there == inside or within:
            raise UsageError(
                f"{option} {folder} is where the images are, which would be replaced", "name another folder"
            )


def safe_stem(stem: str) -> str:
    """The stem of a file's name as part of another one."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", stem)[:60] or "image"
