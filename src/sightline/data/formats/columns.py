"""Which column of a table is the image, which the label, the split and the group.

A header is recognised by a usual name for the image column; without a header, the first row contains the name of an
image. If there are two columns and one is the image, the other is the label whatever its name. Anything ambiguous is an
error, not a guess; columns of boxes are refused by what they are. Without a label column, columns of 0 and 1 are a class each,
and columns of measurements a target each. What remains is metadata: it names slices, and is not learned.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sightline.data.records.names import IMAGE_SUFFIXES, suffix
from sightline.errors import DataError, nearest
from sightline.storage.text import printable

from .recognition.boxes import box_columns
from .recognition.labels import STEPS, number_of

_WORDS = {
    "path": (
        "path", "file", "filename", "file_name", "filepath", "file_path", "image", "image_path", "image_name",
        "image_file", "img", "img_path", "img_name", "image_id", "id",
    ),
    "label": (
        "label", "labels", "class", "class_name", "classname", "category", "target", "species", "y", "tags", "tag",
    ),
    "split": ("split", "set", "subset", "partition"),
    "group": ("group", "group_id", "patient", "patient_id", "subject", "subject_id"),
}  # fmt: skip
PATHS = frozenset(_WORDS["path"])
GROUPS = frozenset(_WORDS["group"])
FEWEST_CORNERS = 4
MOST_METADATA = 40  # columns


@dataclass(frozen=True)
class Columns:
    """Indices of the columns; None for those that the table lacks. `header` is true if the first row is one; `metadata` are
    all further columns, and `metadata_names` their names. `answers` are the columns of a table without labels that hold one
    class or target each: classes if they hold `marks`, 0 and 1; questions if the user named `several` of them."""

    path: int
    label: int | None
    split: int | None
    group: int | None
    header: bool
    metadata: tuple[int, ...] = ()
    metadata_names: tuple[str, ...] = ()
    label_name: str = ""  # as the header writes it
    answers: tuple[int, ...] = ()
    answer_names: tuple[str, ...] = ()
    marks: bool = False
    several: bool = False

    @property
    def width(self) -> int:
        """The number of cells that a row needs."""
        return 1 + max(i for i in (self.path, self.label, self.split, self.group, *self.answers) if i is not None)


def find_columns(
    first: Sequence[str], table: str, rows: Sequence[Sequence[str]] = (), label_column: str | None = None
) -> Columns:
    """The columns of a table whose first row is `first`; some more `rows` tell zeros and ones from labels. `label_column` names
    that of the labels, or several of them with commas between, where the user chose. Raises DataError with the line and its
    cells."""
    images = [i for i, cell in enumerate(first) if suffix(cell.strip()) in IMAGE_SUFFIXES]
    if images and label_column is None:
        return _without_header(first, images[0], table)
    if boxes := box_columns(first):
        raise DataError(
            f"{table} line 1: a table of boxes, which is not read: it has the columns {quoted(boxes)}",
            "export the boxes as COCO's JSON or as Pascal VOC's XML, or remove these columns to train on labels alone",
        )
    words = [cell.strip().casefold().replace(" ", "_").replace("-", "_") for cell in first]
    path = _find(words, "path")
    if path is None and len(first) == 1 and any(mark in first[0] for mark in "| "):
        raise DataError(
            f"{table} line 1: only one column, '{printable(first[0][:40])}'",
            "separate the cells by commas, semicolons or tabs",
        )
    if path is None:
        raise DataError(
            f"{table} line 1: no column of image names among {quoted(first)}",
            "name it `path` in a header line, and the labels `label`",
        )
    label, split, group = (_find(words, what) for what in ("label", "split", "group"))
    several = () if label_column is None else _named(label_column, first, table)
    if several:
        label = several[0] if len(several) == 1 else None
    rest = [i for i in range(len(words)) if i not in (path, split, group)]
    if label is None and len(rest) == 1:
        label = rest[0]
    answers, marks = (several, False) if len(several) > 1 else _answers(label, rest, rows)
    if label is None and rest and not answers:
        raise DataError(
            f"{table} line 1: no column of labels among {quoted(first)}",
            "name it `label`, or choose one with data.label=NAME",
        )
    known = (path, label, split, group, *answers)
    metadata = tuple(i for i, name in enumerate(first) if i not in known and name.strip())[:MOST_METADATA]
    name = first[label].strip() if label is not None else label_column or ""
    names = tuple(first[i].strip() for i in answers)
    return Columns(
        path,
        label,
        split,
        group,
        True,
        metadata,
        tuple(first[i].strip() for i in metadata),
        name,
        answers,
        names,
        marks,
        len(several) > 1,
    )


def _named(names: str, first: Sequence[str], table: str) -> tuple[int, ...]:
    """The columns that the user named, with commas between. A name that has a comma itself is taken whole."""
    cells = [cell.strip() for cell in first]
    parts = [part.strip() for part in names.split(",")]
    if len(parts) == 1 or names in cells:
        return (_column_of(names, cells, first, table),)
    return tuple(_column_of(part, cells, first, table) for part in parts if part)


def _column_of(name: str, cells: Sequence[str], first: Sequence[str], table: str) -> int:
    """The column by its exact name or else in any case."""
    for spelled, wanted in ((cells, name), ([cell.casefold() for cell in cells], name.casefold())):
        if wanted in spelled:
            return spelled.index(wanted)
    raise DataError(
        f"{table} line 1: no column '{printable(name)}', which data.label names, among {quoted(first)}",
        nearest(name, cells),
    )


def _answers(label: int | None, rest: Sequence[int], rows: Sequence[Sequence[str]]) -> tuple[tuple[int, ...], bool]:
    """The columns of answers where there is none of labels, and whether they are marks."""
    if label is not None:
        return (), False
    marks = _marks(rest, rows)
    return (marks, True) if marks else (_measurements(rest, rows), False)


def _marks(rest: Sequence[int], rows: Sequence[Sequence[str]]) -> tuple[int, ...]:
    """The columns that hold nothing but 0 and 1 (or true and false, or -1), where there are two or more."""
    allowed = {"0", "1", "0.0", "1.0", "-1", "true", "false", "-1.0", "nan"}
    columns = tuple(i for i in rest if (cells := _cells(i, rows)) and cells <= allowed)
    return columns if len(columns) >= 2 else ()


def _measurements(rest: Sequence[int], rows: Sequence[Sequence[str]]) -> tuple[int, ...]:
    """All the other columns, where each holds more than a few different numbers and nothing else."""
    for i in rest:
        cells = _cells(i, rows) - {"nan"}
        try:
            values = {number_of(cell) for cell in cells}
        except ValueError:
            return ()
        if len(values) <= STEPS:
            return ()
    return tuple(rest)


def _cells(i: int, rows: Sequence[Sequence[str]]) -> set[str]:
    return {row[i].strip().casefold() for row in rows if i < len(row)} - {""}


def _without_header(first: Sequence[str], path: int, table: str) -> Columns:
    """path,label; or path,label,split; or path,label,split,group: without names only the order counts."""
    others = [i for i in range(len(first)) if i != path]
    numbers = [first[i] for i in others if first[i].strip().lstrip("-").replace(".", "", 1).isdecimal()]
    if len(others) > FEWEST_CORNERS and len(numbers) >= FEWEST_CORNERS:
        raise DataError(
            f"{table} line 1: no header, and {len(numbers)} numbers ({', '.join(numbers[:4])}), as tables of boxes have",
            "export the boxes as COCO's JSON or as Pascal VOC's XML, or name the columns: path,label,split,group",
        )
    if len(others) > 3:
        raise DataError(f"{table} line 1: {len(first)} columns and no header", "name them: path,label,split,group")
    label, split, group = (*others, None, None, None)[:3]
    return Columns(path, label, split, group, header=False)


def _find(words: Sequence[str], meaning: str) -> int | None:
    return next((words.index(word) for word in _WORDS[meaning] if word in words), None)


def quoted(cells: Sequence[str]) -> str:
    """The first twelve cells in quotes, for messages."""
    names = ", ".join(f"'{printable(cell[:40])}'" for cell in cells[:12])
    return names + (" …" if len(cells) > 12 else "")
