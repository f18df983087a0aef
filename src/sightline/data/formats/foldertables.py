"""The tables that lie in a folder of images: at its top, named after splits, or one in the folder of each split."""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from sightline.data.files.walking import Walk
from sightline.data.records.names import split_named, suffix
from sightline.data.records.source import Source
from sightline.errors import DataError
from sightline.storage.text import printable

from .columns import PATHS
from .recognition.vocabulary import names_pictures
from .tables import TABLE_SUFFIXES, TableFile, read_tables


def table_names(tree: Walk, folder: str = "") -> list[str]:
    """The tables directly in a folder: .csv and .tsv, and .jsonl whose lines name images."""
    names = [name for name in tree.files if name.rpartition("/")[0] == folder]
    return [name for name in names if suffix(name) in TABLE_SUFFIXES or _is_metadata(tree, name)]


def _is_metadata(tree: Walk, name: str) -> bool:
    if suffix(name) != ".jsonl":
        return False
    try:
        with open(os.path.join(tree.root, name), "rb") as file:
            first = json.loads(file.readline(1 << 20))
    except (OSError, ValueError, RecursionError):
        return name.rsplit("/", 1)[-1].casefold() == "metadata.jsonl"  # refused by line when it is read
    return isinstance(first, dict) and any(key.casefold() in PATHS for key in first)


def tables_by_split(tree: Walk, images: Sequence[str], splits: Mapping[str, str]) -> dict[str, str | None]:
    """Table → split, of the one table in each split's folder, if its images lie there side by side. Raises DataError where a
    folder has several."""
    deeper = {name.split("/")[1] for name in images if name.count("/") >= 2}
    if not all(names_pictures(folder) for folder in deeper):
        return {}
    found: dict[str, str | None] = {}
    for top, split in splits.items():
        tables = table_names(tree, top)
        if len(tables) > 1:
            raise _several(tables)
        found |= dict.fromkeys(tables, split)
    return found


def images_with_tables(
    tree: Walk, images: Sequence[str], tables: Mapping[str, str | None], label: str | None = None
) -> Source:
    """Images whose labels are in these tables, each with the split of its rows or None; of several at the top, in those
    named after splits. `label` names the column of the labels."""
    chosen = [name for name in tables if "/" in name] or _choose(list(tables))
    files = [TableFile(Path(tree.root, name), name.rpartition("/")[0], tables[name]) for name in chosen]
    source = read_tables(files, root=tree.root, label=label)
    listed = {record.name for record in source.records}
    unlisted = [name for name in images if name not in listed]
    if not unlisted:
        return source
    note = f"images that no table lists, not used: {len(unlisted)}, such as {printable(unlisted[0])}"
    return replace(source, notes=(*source.notes, note))


def contradicting_table(tree: Walk, tables: Sequence[str], labels: Mapping[str, str | None]) -> str:
    """How a table labels the images in class folders otherwise than the folders do: it does where it gives the images of one
    folder several labels. "" if it does not, or is no table of these images."""
    for name in tables:
        try:
            source = read_tables([TableFile(Path(tree.root, name))], root=tree.root)
        except DataError:
            continue
        given: dict[str, dict[str, str]] = defaultdict(dict)
        for record in source.records:
            folder = labels.get(record.name)
            if folder is not None and record.label is not None:
                given[folder].setdefault(record.label, record.name)
        folder = next((folder for folder, of in given.items() if len(of) > 1), None)
        if folder is not None:
            one, two = list(given[folder])[:2]
            return (
                f"{printable(name)} labels the images of {printable(folder)}/ '{printable(one)}' and '{printable(two)}'"
            )
    return ""


def _choose(tables: list[str]) -> list[str]:
    """The only table, or those named after splits. Raises DataError if there are several others."""
    splits = {name: split_named(os.path.splitext(name)[0]) for name in tables}
    if "train" in splits.values():
        return [name for name in tables if splits[name]]
    if len(tables) > 1:
        raise _several(tables)
    return tables


def _several(tables: Sequence[str]) -> DataError:
    names = ", ".join(printable(name) for name in tables[:5])
    return DataError(f"several tables could hold the labels: {names}", "give the right one as the data")
