"""The group of each image, from a column of the data's table: members of a group never lie on two sides of a split."""

from __future__ import annotations

from dataclasses import replace

from sightline.data.formats.columns import GROUPS
from sightline.data.records.source import Source
from sightline.errors import DataError, nearest
from sightline.storage.text import printable


def grouped(source: Source, column: str | None) -> Source:
    """The data with the values of this column as groups; an image without one is in none. DataError for a column that is not
    there."""
    if column is None:
        return source
    names = list(source.columns)
    folded = [name.casefold() for name in names]
    if column.casefold() not in folded and column.casefold() in GROUPS and any(r.group for r in source.records):
        return source  # a column of such a name is the group anyway
    if column.casefold() not in folded:
        hint = nearest(column, names) if names else "add a column to its table: path,label,patient"
        raise DataError(f"data.group={printable(column)}: {printable(source.name)} has no such column", hint)
    at = names.index(column) if column in names else folded.index(column.casefold())
    records = tuple(replace(r, group=r.metadata[at] if at < len(r.metadata) else None) for r in source.records)
    count = len({r.group for r in records} - {None})
    return replace(source, records=records, notes=(*source.notes, f"groups by {printable(names[at])}: {count:,}"))
