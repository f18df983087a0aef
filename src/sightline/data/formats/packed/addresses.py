"""Addresses as data: an archive, a Parquet file, or a table with the images beside it."""

from __future__ import annotations

import os
import posixpath
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from sightline.data.archives.unpacking import stem_of
from sightline.data.fetching.addresses import name_of, shown
from sightline.data.fetching.fetched import MAX_DATA, MAX_TABLE, Fetched, fetch, fetch_beside
from sightline.data.files.encodings import read_text
from sightline.data.formats.cells import cells_of
from sightline.data.formats.columns import find_columns
from sightline.data.formats.tables import TABLE_SUFFIXES, read_table
from sightline.data.records.names import IMAGE_SUFFIXES, suffix
from sightline.data.records.source import Source
from sightline.errors import DataError, UsageError
from sightline.storage.caching import cache_folder
from sightline.storage.files import make_folder
from sightline.storage.folders import digest

MAX_ROWS = 1_000_000
_TABLES = (*TABLE_SUFFIXES, ".jsonl")


def open_address(
    address: str, open_path: Callable[[Path], Source], *, allow_network: bool, label: str | None = None
) -> Source:
    """The data at an address. UsageError without permission; else as `open_path`, and as `fetch`."""
    end = suffix(name_of(address))
    if end in IMAGE_SUFFIXES:
        raise DataError(f"{shown(address)} is one image", "give an archive of images, with one folder per class")
    if address.rstrip("/") != address:
        raise UsageError(
            f"{shown(address)} is a folder",
            "give an archive, a Parquet file or a table: addresses of folders are not read",
        )
    found = fetch(address, allow_network=allow_network, most=MAX_TABLE if end in _TABLES else MAX_DATA)
    if suffix(found.path.name) in _TABLES:
        return _open_table(address, found, allow_network, label)
    source = open_path(found.path)
    name = stem_of(found.path.name)
    return replace(source, name=os.path.splitext(name)[0] or name, notes=(found.note, *source.notes))


def _open_table(address: str, table: Fetched, allow_network: bool, label: str | None) -> Source:
    """The table with those images that it names beside or below it; the others are missing, as in any table."""
    folder = cache_folder() / "tables" / digest(f"{address} {table.path.parent.name}".encode())[:32]
    make_folder(folder)
    copy = folder / table.path.name
    if not copy.exists():
        shutil.copyfile(table.path, copy)
    names = _images_of(copy, label)
    missing = fetch_beside(address, names, folder, allow_network=allow_network)
    source = read_table(copy, label)
    note = f"images fetched from beside it: {len(names) - len(missing):,}"
    return replace(source, notes=(table.note, note, *source.notes))


def _images_of(table: Path, label: str | None) -> list[str]:
    """The images that a table names by a relative path that stays below it."""
    text, _ = read_text(table)
    cells = cells_of(text, table.name, lines_of_json=suffix(table.name) == ".jsonl")
    if not cells:
        return []
    if len(cells) > MAX_ROWS:
        raise DataError(f"{table.name} has {len(cells):,} rows", "pack the images and the table into an archive")
    columns = find_columns(cells[0][1], table.name, [row for _, row in cells[1:200]], label)
    written = (
        row[columns.path].strip().replace("\\", "/") for _, row in cells[columns.header :] if len(row) > columns.path
    )
    names = (posixpath.normpath(name) for name in written if name and "://" not in name and "\0" not in name)
    return sorted({name for name in names if name != "." and not name.startswith(("/", "../")) and name != ".."})
