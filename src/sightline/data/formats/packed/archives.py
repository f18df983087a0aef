"""Archives as data: unpacked into the cache, then opened as a folder; shards of WebDataset as one data set."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from sightline.data.archives.unpacking import ENDS, stem_of, unpack
from sightline.data.formats.recognition.vocabulary import names_masks, names_pictures, split_in
from sightline.data.records.names import is_litter, suffix
from sightline.data.records.source import Source
from sightline.errors import DataError
from sightline.storage.text import printable

from .shards import with_class_names


def open_archives(paths: Sequence[Path], open_folder: Callable[[Path], Source]) -> Source:
    """The data in an archive, or in several of one data set. Raises DataError for an archive that is damaged or not safe, and
    as `open_folder` does."""
    unpacked = unpack(paths)
    try:
        source = open_folder(inner_folder(unpacked.folder))
    except DataError as error:
        message = error.message.replace(printable(str(unpacked.folder)), printable(str(paths[0])))
        raise DataError(message, error.hint) from error
    if source.kind == "webdataset":
        source = with_class_names(source, paths[0].parent)
    note = f"unpacked from {printable(paths[0].name)}"
    note += f" and {len(paths) - 1:,} more" if len(paths) > 1 else ""
    note += f": {unpacked.count:,} files, {unpacked.size:,} bytes, kept in {printable(str(unpacked.folder.parent))}"
    if unpacked.litter:
        note += f"; hidden files, not unpacked: {unpacked.litter:,}"
    return replace(source, name=stem_of(paths[0].name), notes=(note, *source.notes))


def archives_alone(folder: Path, names: Iterable[str]) -> list[Path]:
    """The archives in a folder that holds nothing else but notes; [] for any other."""
    visible = sorted(name for name in names if not is_litter(name))
    archives = [name for name in visible if name.lower().endswith(ENDS)]
    rest = [name for name in visible if name not in archives]
    alone = archives and all(suffix(name) in (".md", ".txt", ".json", ".yaml") for name in rest)
    return (
        [folder / name for name in archives]
        if alone and all(map(os.path.isfile, map(folder.joinpath, visible)))
        else []
    )


def inner_folder(folder: Path) -> Path:
    """The folder itself; or the one inside it, if there is nothing else and its name says nothing about its images."""
    while True:
        inside = list(os.scandir(folder))
        if len(inside) != 1 or not inside[0].is_dir(follow_symlinks=False):
            return folder
        name = inside[0].name
        if split_in(name) or names_pictures(name) or names_masks(name):
            return folder
        folder = folder / name
