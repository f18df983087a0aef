"""The images that `predict` is given: files, folders, archives, lists of paths, addresses."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from sightline.data.archives.unpacking import ENDS, unpack
from sightline.data.fetching.addresses import is_address, require_address, shown
from sightline.data.fetching.fetched import MAX_DATA, MAX_IMAGE, fetch
from sightline.data.files.lists import listed_paths
from sightline.data.records.names import IMAGE_SUFFIXES, is_litter, kinds, suffix
from sightline.errors import DataError, ResourceError
from sightline.storage.text import printable


class Named(NamedTuple):
    """An image: its name for the user, its file, and why there is none."""

    name: str
    file: Path
    error: str = ""


def named_images(paths: Sequence[str | Path], *, allow_network: bool = False) -> tuple[list[Named], str]:
    """Every image to predict, and a note about files that are none; a folder or an archive is searched whole. An address
    that gives nothing becomes an image with an error. Raises DataError if there is no image at all, saying what there is;
    UsageError for an address that may not be fetched."""
    images: list[Named] = []
    others: list[str] = []
    for path in paths:
        text = str(path)
        if is_address(text):
            _add_address(text, images, others, allow_network)
        elif os.path.isdir(path):
            _add_folder(Path(path), str(path), images, others)
        elif text.lower().endswith(ENDS) and os.path.isfile(path):
            _add_folder(unpack([Path(path)]).folder, text, images, others)
        elif suffix(text) == ".txt" and os.path.isfile(path):
            images += [Named(str(file), file) for file in listed_paths(Path(path))]
        else:
            images.append(Named(str(Path(path)), Path(path)))
    if not images:
        there = f"there are only other files ({kinds(others)}): " if others else ""
        where = ", ".join(shown(str(path)) if is_address(str(path)) else printable(str(path)) for path in paths[:3])
        raise DataError(f"no images in {where}", f"{there}pass image files, folders of images, or a .txt list of paths")
    return images, f"files without an image suffix, skipped: {kinds(others)}" if others else ""


def _add_folder(folder: Path, shown_as: str, images: list[Named], others: list[str]) -> None:
    inside = [f for f in sorted(folder.rglob("*")) if not os.path.isdir(f) and not _is_litter(f, folder)]
    for file in inside:
        if suffix(file.name) in IMAGE_SUFFIXES:
            images.append(Named(str(Path(shown_as) / file.relative_to(folder)), file))
        else:
            others.append(file.name)


def _add_address(address: str, images: list[Named], others: list[str], allow_network: bool) -> None:
    """The image at an address, or those of an archive there. What is wrong with one address costs that image only."""
    require_address(address)
    packed = address.partition("?")[0].lower().endswith(ENDS)
    try:
        file = fetch(address, allow_network=allow_network, most=MAX_DATA if packed else MAX_IMAGE).path
    except (DataError, ResourceError) as error:
        if packed:
            raise
        images.append(Named(shown(address), Path(shown(address)), error.message))
        return
    if file.name.lower().endswith(ENDS):
        _add_folder(unpack([file]).folder, shown(address), images, others)
    else:
        images.append(Named(shown(address), file))


def _is_litter(file: Path, root: Path) -> bool:
    return any(map(is_litter, file.relative_to(root).parts))
