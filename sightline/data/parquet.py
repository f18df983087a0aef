"""Parquet in the hub's layout: an image column of encoded bytes (or a struct {bytes, path}) and a label column.

Class names come from the schema's `huggingface` metadata, in its order; string labels are their own names; integers
without names become their digits. Shards named for splits (train-00000-of-00004.parquet) give their rows that split.
Images are read a row group at a time and kept within a budget: the whole set need not fit into memory.
"""

from __future__ import annotations

import os
import re
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock

import pyarrow as pa
import pyarrow.parquet as pq

from sightline.errors import DataError
from sightline.preprocessing.rejection import Rejected
from sightline.storage.text import shown

from .names import class_text, class_texts, split_named
from .records import Contents, Problem, Record, Source
from .schema import Meaning, meaning

BUDGET = 512 << 20  # bytes of encoded row groups kept at once


@dataclass(frozen=True)
class _Shard:
    """One file: `starts` are the first rows of its row groups and, last, its number of rows."""

    path: str
    starts: tuple[int, ...]
    stamp: tuple[int, int]
    meaning: Meaning


@dataclass(frozen=True)
class Rows(Contents):
    """Each record is a row of a shard; `where[id]` is (shard, row)."""

    shards: tuple[_Shard, ...]
    where: Sequence[tuple[int, int]]
    _kept: dict[tuple[int, int], pa.Array] = field(default_factory=dict, compare=False)
    _lock: Lock = field(default_factory=Lock, compare=False)

    def load(self, record: Record) -> bytes:
        """The encoded bytes. Raises Rejected where the row has none."""
        shard, row = self.where[record.id]
        starts = self.shards[shard].starts
        group = bisect_right(starts, row) - 1
        value = self._group(shard, group)[row - starts[group]].as_py()
        if not value:
            raise Rejected("empty-file", "the row holds no bytes")
        return value

    def stamp(self, record: Record) -> tuple[int, int]:
        return self.shards[self.where[record.id][0]].stamp

    def _group(self, shard: int, group: int) -> pa.Array:
        """The encoded images of one row group, the latest used last; the oldest go when the budget is spent."""
        with self._lock:
            key = (shard, group)
            rows = self._kept.pop(key, None)
            if rows is None:
                rows = _read_group(self.shards[shard], group)
                while self._kept and sum(a.nbytes for a in self._kept.values()) + rows.nbytes > BUDGET:
                    del self._kept[next(iter(self._kept))]
            self._kept[key] = rows
            return rows


def read_parquet(paths: Sequence[Path], *, root: Path) -> Source:
    """The data set in these files, in the order of their names.

    Raises DataError naming a file that is damaged, has no image column, or names its classes differently from another.
    """
    shards: list[_Shard] = []
    records: list[Record] = []
    where: list[tuple[int, int]] = []
    problems: list[Problem] = []
    names: tuple[str, ...] | None = None
    for path in sorted(paths):
        shard, labels = _open(path)
        if shards and shard.meaning.classes != names:
            raise DataError(
                f"{shown(path.name)} names other classes than {shown(os.path.basename(shards[0].path))}",
                f"{_some(shard.meaning.classes)} against {_some(names)}",
            )
        names = shard.meaning.classes
        split = split_named(re.split(r"[-_.]", path.name, maxsplit=1)[0])
        for row, label in enumerate(labels):
            try:
                text = None if label is None else _class_of(label, names)
            except LookupError:
                reason = "no-label: -1 or empty" if label in (-1, "") else f"unknown-label: {label}"
                problems.append(Problem(shown(path.name), row + 1, reason, "give the row one of the classes"))
                continue
            records.append(Record(len(records), f"{path.name[: -len('.parquet')]}/{row:06d}", text, split))
            where.append((len(shards), row))
        shards.append(shard)
    return Source(
        name=root.resolve().name,
        kind="parquet",
        root=str(root),
        records=tuple(records),
        classes=_classes(names, records),
        contents=Rows(tuple(shards), where),
        problems=tuple(problems),
    )


def _open(path: Path) -> tuple[_Shard, Iterable[object]]:
    """A shard and its labels, one a row (None where the file has no label column)."""
    try:
        file = pq.ParquetFile(path)
        what = meaning(file.schema_arrow, shown(path.name))
        rows = file.metadata.num_rows
        labels: list[object] = [None] * rows
        if what.label is not None:
            labels = file.read(columns=[what.label]).column(what.label).to_pylist()
            labels = [-1 if label is None else label for label in labels]
        starts = [0]
        for group in range(file.num_row_groups):
            starts.append(starts[-1] + file.metadata.row_group(group).num_rows)
        status = os.stat(path)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{shown(path.name)} cannot be read as Parquet: {error}", "fetch it again") from error
    return _Shard(str(path), tuple(starts), (status.st_size, status.st_mtime_ns), what), labels


def _read_group(shard: _Shard, group: int) -> pa.Array:
    """The bytes of one row group, a value a row."""
    name = shard.meaning.image
    try:
        column = pq.ParquetFile(shard.path).read_row_group(group, columns=[name]).column(name).combine_chunks()
    except (pa.ArrowException, OSError) as error:
        raise Rejected("damaged", f"its row group cannot be read: {error}") from error
    return column.field("bytes") if pa.types.is_struct(column.type) else column


def _class_of(label: object, names: tuple[str, ...] | None) -> str:
    """The class name of a label value. Raises LookupError where it is none."""
    if isinstance(label, int) and not 0 <= label < (len(names) if names else label + 1):
        raise LookupError(label)
    if isinstance(label, int):
        return names[label] if names else str(label)
    if not isinstance(label, str) or not label.strip():
        raise LookupError(label)
    return class_text(label)


def _classes(names: tuple[str, ...] | None, records: list[Record]) -> tuple[str, ...]:
    """The schema's order; else numeric order where all labels are numbers; else sorted. Refuses names too alike."""
    if names is not None:
        return names
    found = class_texts({record.label for record in records if record.label is not None})
    if all(name.isdecimal() for name in found):
        return tuple(sorted(found, key=int))
    return tuple(sorted(found.values()))


def _some(names: tuple[str, ...] | None) -> str:
    return "none" if names is None else ", ".join(shown(name) for name in names[:5]) + (" …" if len(names) > 5 else "")
