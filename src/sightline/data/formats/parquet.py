"""Parquet in the layout of the Hugging Face hub: a column of encoded images (or structs {bytes, path}) and one of labels.

Class names come from the schema's `huggingface` metadata, in its order; text labels are class names themselves; integers
without names become their digits; lists are several labels, floats measurements. Shards named after splits
(train-00000-of-00004.parquet) give their rows that split. Images are read by row groups: a data set within the budget stays in
memory, a larger one goes through a `Spill`.
"""

from __future__ import annotations

import json
import os
import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate
from pathlib import Path
from threading import Lock

import pyarrow as pa
import pyarrow.parquet as pq

from sightline.data.records.names import class_text, class_texts, split_named
from sightline.data.records.records import Contents, Problem, Record, stamp_of
from sightline.data.records.source import Source
from sightline.errors import DataError
from sightline.preprocessing.rejection import Rejected
from sightline.storage.caching import cache_folder
from sightline.storage.text import printable

from .answers import in_order, with_reading
from .further import further_columns, further_values
from .recognition.labels import ONE_CLASS, Reading, reading_of
from .schema import Meaning, meaning
from .spill import Spill

BUDGET = 512 << 20  # bytes of encoded images that are kept in memory
FREE_ROWS, LEAST_IMAGE = 10_000, 8  # rows; bytes of a file for each row beyond these, though no image is as small
_LABELS = 1 << 16  # rows of labels unpacked at a time
_READ = 256  # rows unpacked at a time on their way to a spill


@dataclass(frozen=True)
class _Shard:
    """One file: `starts` are the first rows of its row groups and, last, the number of rows; `size` the bytes of its images."""

    path: str
    starts: tuple[int, ...]
    size: int
    stamp: tuple[int, int, int, int]
    meaning: Meaning
    further: tuple[str, ...] = ()  # columns of metadata


@dataclass(frozen=True)
class ParquetRows(Contents):
    """Each record is a row of a shard; `where[id]` is (shard, row)."""

    shards: tuple[_Shard, ...]
    where: Sequence[tuple[int, int]]
    _kept: dict[tuple[int, int], pa.Array] = field(default_factory=dict, compare=False)
    _spill: list[Spill | None] = field(default_factory=list, compare=False)  # one entry once it is decided
    _lock: Lock = field(default_factory=Lock, compare=False)

    def load(self, record: Record) -> bytes:
        """The encoded bytes. Raises Rejected if the row has none."""
        shard, row = self.where[record.id]
        starts = self.shards[shard].starts
        group = bisect_right(starts, row) - 1
        with self._lock:
            value = self._read((shard, group), row - starts[group])
        if not value:
            raise Rejected("empty-file", "the row holds no bytes")
        return value

    def stamp(self, record: Record) -> tuple[int, int, int, int]:
        return self.shards[self.where[record.id][0]].stamp

    def _read(self, key: tuple[int, int], place: int) -> bytes | None:
        """One image of the row group `key`, (shard, group)."""
        if spill := self._spilled():
            try:
                if key not in spill:
                    spill.put(key, _values(self.shards[key[0]], key[1]))
                return spill.get(key, place)
            except OSError:
                self._spill[:] = [None]  # the disk is full: go on without, more slowly
        return self._group(key)[place].as_py()

    def _spilled(self) -> Spill | None:
        """The spill of a data set beyond the budget; None for a smaller one, or if no file can be created."""
        if not self._spill:
            try:
                large = sum(shard.size for shard in self.shards) > BUDGET
                self._spill.append(Spill(cache_folder()) if large else None)
            except OSError:
                self._spill.append(None)
        return self._spill[0]

    def _group(self, key: tuple[int, int]) -> pa.Array:
        """The encoded images of one row group, from a least-recently-used cache within the budget."""
        rows = self._kept.pop(key, None)
        if rows is None:
            rows = _read_group(self.shards[key[0]], key[1])
            while self._kept and sum(a.nbytes for a in self._kept.values()) + rows.nbytes > BUDGET:
                del self._kept[next(iter(self._kept))]
        self._kept[key] = rows
        return rows


def read_parquet(paths: Sequence[Path], *, root: Path, label: str | None = None) -> Source:
    """The data set in these files, in the order of their names; `label` names the column of the labels.

    Raises DataError naming a file that is damaged, has no image column, or names its classes differently from another.
    """
    shards: list[_Shard] = []
    records: list[Record] = []
    where: list[tuple[int, int]] = []
    problems: list[Problem] = []
    named_splits: set[str] = set()
    names: tuple[str, ...] | None = None
    for path in sorted(paths):
        shard, labels, rest = _open(path, label)
        if shards and shard.meaning.classes != names:
            raise DataError(
                f"{printable(path.name)} names other classes than {printable(os.path.basename(shards[0].path))}: "
                f"{_first_names(shard.meaning.classes)} instead of {_first_names(names)}",
                "give all files the same classes",
            )
        names = shard.meaning.classes
        split = split_named(re.split(r"[-_.]", path.name, maxsplit=1)[0])
        named_splits |= {split} if split and shard.starts[-1] else set()
        if shards and shard.further != shards[0].further:
            rest = _in_columns(rest, shard.further, shards[0].further)
        for row, value in enumerate(labels):
            try:
                text = None if value is None else _class_of(value, names)
            except LookupError:
                reason = (
                    "no-label: -1 or empty" if value in (-1, "") else f"unknown-label: {printable(str(value)[:200])}"
                )
                problems.append(Problem(printable(path.name), row + 1, reason, "give the row one of the classes"))
                continue
            records.append(
                Record(len(records), f"{path.name[: -len('.parquet')]}/{row:06d}", text, split, None, rest[row])
            )
            where.append((len(shards), row))
        shards.append(shard)
    listed = any(shard.meaning.listed for shard in shards)
    column = next((s.meaning.label for s in shards if s.meaning.label), "")
    reading = Reading("tags", "lists") if listed else ONE_CLASS
    if not listed and names is None and (written := [r.label for r in records if r.label is not None]):
        reading = reading_of(written, printable(root.name), column)
    source = Source(
        name=root.resolve().name,
        kind="parquet",
        root=str(root),
        records=tuple(records),
        classes=names or (),
        contents=ParquetRows(tuple(shards), where),
        given_splits=frozenset(named_splits),
        problems=tuple(problems),
        column=column,
        columns=shards[0].further if shards else (),
    )
    if reading.knows != "class":
        plain = replace(source, records=tuple(replace(record, label=None) for record in records))
        return with_reading(plain, [record.label for record in records], reading, column, names)
    if names is None:
        texts = class_texts(record.label for record in records if record.label is not None)
        named = tuple(r if r.label is None else replace(r, label=texts[r.label]) for r in records)
        numbers = (
            f"classes ({reading.evidence}; task.kind=regression reads them as numbers)" if reading.evidence else ""
        )
        return replace(source, records=named, classes=in_order(set(texts.values())), reading=numbers)
    return source


def _open(path: Path, label: str | None) -> tuple[_Shard, Iterable[object], list[tuple[str | None, ...]]]:
    """A shard, its labels (None if the file has no label column) and its metadata, one per row."""
    try:
        file = pq.ParquetFile(path)
        what = meaning(file.schema_arrow, printable(path.name), label)
        further = further_columns(file.schema_arrow, what)
        rows, status = file.metadata.num_rows, os.stat(path)
        if rows > max(FREE_ROWS, status.st_size // LEAST_IMAGE):
            raise DataError(
                f"{printable(path.name)} states {rows:,} rows in {status.st_size:,} bytes, which cannot hold as many images",
                "export it again, without rows that hold no image",
            )
        labels = [None] * rows if what.label is None else _labels(path, what)
        rest = further_values(path, further, rows)
        groups = [file.metadata.row_group(group) for group in range(file.num_row_groups)]
        starts = (0, *accumulate(group.num_rows for group in groups))
        columns = (group.column(i) for group in groups for i in range(group.num_columns))
        size = sum(c.total_uncompressed_size for c in columns if c.path_in_schema.split(".", 1)[0] == what.image)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{printable(path.name)} cannot be read as Parquet: {error}", "download it again") from error
    return _Shard(str(path), starts, size, stamp_of(status), what, further), labels, rest


def _in_columns(
    rows: list[tuple[str | None, ...]], names: tuple[str, ...], wanted: tuple[str, ...]
) -> list[tuple[str | None, ...]]:
    """Metadata in the columns of the first file; what others lack is None."""
    at = [names.index(name) if name in names else None for name in wanted]
    return [tuple(None if i is None else row[i] for i in at) for row in rows]


def _labels(path: Path, what: Meaning) -> list[object]:
    """The column's values. Text is read as a dictionary of its different values: a page of a kilobyte can repeat a text of
    a megabyte for every row."""
    assert what.label is not None
    name = what.label
    file = pq.ParquetFile(path, read_dictionary=[] if what.listed else [name])
    labels: list[object] = []
    size = 0
    for batch in file.iter_batches(_LABELS, columns=[name]):
        column = batch.column(0)
        size += column.nbytes
        if size > BUDGET:
            raise DataError(
                f"{printable(path.name)}: the column {name} holds more than {BUDGET >> 20} MiB",
                "store labels in it only",
            )
        if pa.types.is_dictionary(column.type):
            values = [_plain(value) for value in column.dictionary.to_pylist()]
            labels += [-1 if place is None else values[place] for place in column.indices.to_pylist()]
        else:
            labels += [_plain(label) for label in column.to_pylist()]
    return labels


def _read_group(shard: _Shard, group: int) -> pa.Array:
    """The bytes of one row group, one value per row."""
    name = shard.meaning.image
    try:
        column = pq.ParquetFile(shard.path).read_row_group(group, columns=[name]).column(name).combine_chunks()
    except (pa.ArrowException, OSError) as error:
        raise Rejected("damaged", f"its row group cannot be read: {error}") from error
    return column.field("bytes") if pa.types.is_struct(column.type) else column


def _values(shard: _Shard, group: int) -> Iterator[bytes | None]:
    """The same, with few rows in memory at a time."""
    name = shard.meaning.image
    try:
        with pq.ParquetFile(shard.path) as file:
            for batch in file.iter_batches(_READ, row_groups=[group], columns=[name]):
                column = batch.column(name)
                yield from (column.field("bytes") if pa.types.is_struct(column.type) else column).to_pylist()
    except (pa.ArrowException, OSError) as error:
        raise Rejected("damaged", f"its row group cannot be read: {error}") from error


def _plain(label: object) -> object:
    """Whole floats as integers, since a column with gaps is one of floats. -1 for a missing label."""
    if isinstance(label, list):
        return label
    if label is None or label != label:
        return -1
    return int(label) if isinstance(label, float) and label.is_integer() else label


def _class_of(label: object, names: tuple[str, ...] | None) -> str:
    """The class of a label value, as written if no `names` are given; of several, a list in JSON. Raises LookupError if it has
    none."""
    if isinstance(label, list):
        return json.dumps([_class_of(_plain(one), names) if names else _plain(one) for one in label if one is not None])
    if isinstance(label, float) and names is None:
        return repr(label)
    if isinstance(label, int) and not 0 <= label < (len(names) if names else label + 1):
        raise LookupError(label)
    if isinstance(label, int):
        return names[label] if names else str(label)
    if not isinstance(label, str) or not label.strip():
        raise LookupError(label)
    if names is not None and class_text(label) not in names:
        raise LookupError(label)
    return label if names is None else class_text(label)


def _first_names(names: tuple[str, ...] | None) -> str:
    return (
        "none" if names is None else ", ".join(printable(name) for name in names[:5]) + (" …" if len(names) > 5 else "")
    )
