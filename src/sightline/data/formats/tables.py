"""A table of labels: one row per image, with `path`, `label` and optionally `split` and `group`.

Comma, semicolon or tab, with or without a header, or a JSON object a line (the hub's metadata.jsonl); see `cells` for the
rows and `columns` for the header. A row that cannot be used is refused by file and line; if the file cannot be read as a
table at all, a DataError names the line. Paths are relative to the table's folder and never leave the data. Rows without a
split of their own have that of the folder in which their image is.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from sightline.data.files.encodings import read_text
from sightline.data.files.locating import Folder, NotFound
from sightline.data.records.names import class_text, split_named
from sightline.data.records.records import KEPT, QUARANTINED, Files, Problem, Record
from sightline.data.records.source import Source
from sightline.errors import DataError
from sightline.storage.text import printable

from .answers import with_classes, with_marks, with_numbers, with_reading, with_tags
from .cells import cells_of
from .columns import Columns, find_columns, quoted
from .recognition.labels import ONE_CLASS, in_several_rows, reading_of
from .recognition.vocabulary import splits_of_paths
from .several import with_heads

LONGEST = 80  # characters of a cell of metadata
TABLE_SUFFIXES = (".csv", ".tsv")


@dataclass(frozen=True, slots=True)
class TableFile:
    """A table: its `path`, the folder below the root from which its own paths count, and the `split` of its rows where that
    folder is one."""

    path: Path
    base: str = ""
    split: str | None = None


@dataclass(frozen=True, slots=True)
class _Row:
    """A usable row: a file with its `values` (label, split, group), the `cells` of several columns of answers, and the
    metadata by column."""

    table: str
    line: int
    name: str
    values: tuple[str | None, str | None, str | None]
    cells: tuple[str, ...] = ()
    metadata: tuple[tuple[str, str], ...] = ()


@dataclass
class _Table:
    """One table while it is being read."""

    name: str
    columns: Columns
    width: int  # number of cells in the first row
    split: str | None  # the split of all rows, from the name of the table
    split_column: bool  # whether any row has a split
    base: str = ""  # the folder from which its paths count
    rows: list[_Row] = field(default_factory=list)
    labels: set[str] = field(default_factory=set)  # of all rows, including refused ones
    splits: set[str] = field(default_factory=set)  # of all rows, including refused ones
    problems: list[Problem] = field(default_factory=list)

    def refuse(self, line: int, reason: str, fix: str) -> None:
        self.problems.append(Problem(self.name, line, reason, fix))


def read_table(path: Path, label: str | None = None) -> Source:
    """The data set that one table describes; its images are beside or below it. `label` names the column of the labels."""
    return read_tables([TableFile(path)], root=str(path.parent), label=label)


def read_tables(files: Sequence[TableFile], *, root: str, label: str | None = None) -> Source:
    """Several tables as one data set: a table named after a split (train.csv), or in its folder, gives its rows that split.
    `label` names the column of the labels, where the user chose one.

    Raises DataError for a file that is not a table, for labels that are not one class an image, for classes that differ only
    in form, and if no row can be used.
    """
    folder = Folder(root)
    rows: list[_Row] = []
    problems: list[Problem] = []
    notes: list[str] = []
    named: set[str] = set()
    splits: set[str] = set()
    column = ""
    heads: list[Columns] = []
    for file in files:
        table, note = _read(file, folder, label)
        heads.append(table.columns)
        rows += table.rows
        problems += table.problems
        named |= table.labels
        splits |= table.splits
        column = table.columns.label_name or column
        notes += [f"{table.name} {note}"] if note else []
        if further := table.columns.metadata_names:
            notes.append(f"{table.name}: further columns, kept as metadata and not learned: {quoted(further)}")
    labels = [text for row in rows if (text := row.values[0]) is not None]
    several = in_several_rows([(row.name, row.values[0]) for row in rows])
    reading = several or (reading_of(labels, printable(files[0].path.name), column) if labels else ONE_CLASS)
    members = _members_of(rows) if several else {}
    rows = _settle_repeats(_with_splits(rows, notes), problems, merge=bool(several))
    splits |= {row.values[1] for row in rows if row.values[1]}
    if not rows:
        why = f"line {problems[0].line}: {problems[0].reason}" if problems else "it has no rows"
        fix = problems[0].fix if problems else "write one row per image: path,label"
        raise DataError(f"{printable(files[0].path.name)} labels no image that can be found: {why}", fix)
    rows.sort(key=lambda row: row.name)
    further = tuple(dict.fromkeys(name for head in heads for name in head.metadata_names))
    source = Source(
        name=os.path.splitext(os.path.basename(files[0].path))[0],
        kind="csv",
        root=folder.root,
        records=tuple(
            Record(i, row.name, None, row.values[1], row.values[2], _metadata_of(row, further))
            for i, row in enumerate(rows)
        ),
        classes=(),
        contents=Files(folder.root),
        given_splits=frozenset(splits),
        notes=tuple(notes),
        problems=tuple(problems),
        column=column,
        columns=further,
    )
    texts = [row.values[0] for row in rows]
    if heads[0].answers:
        return _with_columns(source, heads, rows, printable(files[0].path.name))
    if several:
        written = [" | ".join(sorted(members[row.name])) for row in rows]
        return with_tags(source, [members[row.name] for row in rows], reading.evidence, written)
    if reading.knows != "class":
        return with_reading(source, texts, reading, column)
    found = with_classes(source, texts, reading.evidence)
    emptied = {class_text(label) for label in named} - set(found.classes)  # of all rows, refused ones included
    return replace(found, emptied=tuple(sorted(emptied)))


def _with_columns(source: Source, heads: Sequence[Columns], rows: Sequence[_Row], name: str) -> Source:
    """The source with a class or a target for each of the columns of answers, which all tables must share."""
    names, cells = heads[0].answer_names, [row.cells for row in rows]
    if any(head.answer_names != names for head in heads):
        raise DataError(f"{name} and the tables beside it have different columns", "give all tables the same columns")
    if heads[0].several:
        return with_heads(source, names, cells, name)
    if heads[0].marks and all(head.marks for head in heads):
        return with_marks(source, names, cells, name)
    try:
        return with_numbers(source, names, cells, "columns of numbers, and no column `label`")
    except ValueError as error:
        raise DataError(f"{name}: {printable(str(error)[:80])} in a column of numbers", "correct it") from error


def _members_of(rows: Sequence[_Row]) -> dict[str, set[str]]:
    """The labels of each image that has a row for each of them."""
    members: dict[str, set[str]] = {}
    for row in rows:
        members.setdefault(row.name, set()).update(filter(None, row.values[:1]))
    return members


def _metadata_of(row: _Row, names: Sequence[str]) -> tuple[str | None, ...]:
    cells = dict(row.metadata)
    return tuple(cells.get(name) for name in names)


def _read(file: TableFile, folder: Folder, label: str | None) -> tuple[_Table, str]:
    name = printable(f"{file.base}/{file.path.name}" if file.base else file.path.name)
    text, note = read_text(file.path)
    cells = cells_of(text, name, lines_of_json=file.path.name.lower().endswith(".jsonl"))
    if not cells:
        raise DataError(f"{name} is empty", "write one row per image: path,label")
    columns = find_columns(cells[0][1], name, [row for _, row in cells[1:200]], label)
    at = columns.split
    any_split = at is not None and any(len(row) > at and row[at].strip() for _, row in cells[columns.header :])
    width = len(_filled(cells[0][1]))
    split = file.split or split_named(os.path.splitext(file.path.name)[0])
    table = _Table(name, columns, width, split, any_split, file.base)
    for line, row in cells[columns.header :]:
        _read_row(table, line, row, folder)
    return table, note


def _with_splits(rows: list[_Row], notes: list[str]) -> list[_Row]:
    """Rows without a split get that of the folder which holds their image, where such folders are splits: nothing in test/ is
    ever trained on because its table says nothing of it."""
    own = splits_of_paths({row.name for row in rows})
    found = []
    for row in rows:
        label, split, group = row.values
        found.append(replace(row, values=(label, split or own.get(row.name), group)))
    if against := sum(own.get(row.name, row.values[1]) != row.values[1] for row in found):
        notes.append(f"rows whose split is not that of the folder of their image, taken as they say: {against:,}")
    return found


def _read_row(table: _Table, line: int, row: list[str], folder: Folder) -> None:
    """Add one row to the usable or to the refused ones."""
    columns = table.columns
    need = max(i for i in (columns.path, columns.label, *columns.answers) if i is not None) + 1
    if len(row) < need:
        return table.refuse(line, f"short-row: {len(row)} of {need} cells", "complete the row")
    if (there := len(_filled(row))) > max(table.width, need):
        fix = "put quotes around a cell that holds the separator"
        return table.refuse(line, f"long-row: {there} cells where the first row has {table.width}", fix)
    split = table.split
    if table.split_column:
        word = _cell(row, columns.split) or ""
        split = split_named(word)
        if split is None:
            return table.refuse(line, f"no-split: '{printable(word[:40])}' is not a split", "write train, val or test")
    if split is not None:
        table.splits.add(split)
    label = None if columns.label is None else row[columns.label].strip()
    if label is not None and not label:
        return table.refuse(line, "no-label: the label is empty", "fill it in, or remove the row")
    if label is not None:
        table.labels.add(label)
    try:
        name = _locate(folder, table.base, row[columns.path], split)
    except NotFound as error:
        written = printable(row[columns.path][:200])
        return table.refuse(line, f"{error.reason}: {written}", error.fix)
    cells = tuple(row[i].strip() for i in columns.answers)
    further = zip(columns.metadata_names, columns.metadata, strict=True)
    metadata = tuple((name, text[:LONGEST]) for name, i in further if (text := _cell(row, i)) is not None)
    table.rows.append(_Row(table.name, line, name, (label, split, _cell(row, columns.group)), cells, metadata))
    return None


def _locate(folder: Folder, base: str, written: str, split: str | None) -> str:
    """The image of a row, by its path from the folder of the table, else from the top."""
    if not base or not written.strip():
        return folder.locate(written, split)
    try:
        return folder.locate(f"{base}/{written.strip()}", split)
    except NotFound as error:
        try:
            return folder.locate(written, split)
        except NotFound:
            raise error from None


def _filled(row: list[str]) -> list[str]:
    """The cells up to the last one that is not blank."""
    return row[: max((i for i, cell in enumerate(row, 1) if cell.strip()), default=0)]


def _cell(row: list[str], at: int | None) -> str | None:
    """The text of a cell without surrounding blanks; None if there is no such cell or it is empty."""
    return (row[at].strip() or None) if at is not None and at < len(row) else None


def _settle_repeats(rows: list[_Row], problems: list[Problem], *, merge: bool) -> list[_Row]:
    """One row per file: rows that contradict each other are all refused, exact repetitions only reported. `merge`: rows with
    different labels are no contradiction."""
    by_name: dict[str, list[_Row]] = {}
    for row in rows:
        by_name.setdefault(row.name, []).append(row)
    kept = []
    for name, same in by_name.items():
        seen: set[object] = set()
        again = []
        for row in same:
            if (row.values, row.cells) in seen:
                again.append(row)
            seen.add((row.values, row.cells))
        if len(seen) == 1 or (merge and len({row.values[1:] for row in same}) == 1):
            kept.append(same[0])
            reason, fix, action, named = f"repeated: {printable(name)}", "remove the row", KEPT, again
        else:
            reason, fix = f"contradiction: rows disagree about {printable(name)}", "keep the right row"
            action, named = QUARANTINED, same
        problems += [Problem(row.table, row.line, reason, fix, action) for row in named]
    return kept
