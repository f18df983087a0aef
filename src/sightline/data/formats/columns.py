"""Which column of a table is the image, which the label, the split and the group.

A header is recognised by a usual name for the image column; without a header, the first row contains the name of an
image. If there are two columns and one is the image, the other is the label whatever its name. Anything ambiguous is an
error, not a guess.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sightline.data.records.names import IMAGE_SUFFIXES, suffix
from sightline.errors import DataError
from sightline.storage.text import printable

_WORDS = {
    "path": (
        "path", "file", "filename", "file_name", "filepath", "file_path", "image", "image_path", "image_name",
        "image_file", "img", "img_path", "img_name", "image_id", "id",
    ),
    "label": ("label", "labels", "class", "class_name", "classname", "category", "target", "species", "y"),
    "split": ("split", "set", "subset", "partition"),
    "group": ("group", "group_id", "patient", "patient_id", "subject", "subject_id"),
}  # fmt: skip


@dataclass(frozen=True)
class Columns:
    """Indices of the columns; None for those that the table lacks. `header` is true if the first row is one; `unused` are the
    names of unknown columns."""

    path: int
    label: int | None
    split: int | None
    group: int | None
    header: bool
    unused: tuple[str, ...] = ()

    @property
    def width(self) -> int:
        """The number of cells that a row needs."""
        return 1 + max(i for i in (self.path, self.label, self.split, self.group) if i is not None)


def find_columns(first: Sequence[str], table: str) -> Columns:
    """The columns of a table whose first row is `first`. Raises DataError with the line and its cells."""
    images = [i for i, cell in enumerate(first) if suffix(cell.strip()) in IMAGE_SUFFIXES]
    if images:
        return _without_header(first, images[0], table)
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
    label, split, group = _find(words, "label"), _find(words, "split"), _find(words, "group")
    rest = [i for i in range(len(words)) if i not in (path, split, group)]
    if label is None and len(rest) == 1:
        label = rest[0]
    if label is None and rest:
        raise DataError(f"{table} line 1: no column of labels among {quoted(first)}", "name it `label`")
    known = (path, label, split, group)
    unused = tuple(name.strip() for i, name in enumerate(first) if i not in known and name.strip())
    return Columns(path, label, split, group, header=True, unused=unused)


def _without_header(first: Sequence[str], path: int, table: str) -> Columns:
    """path,label; or path,label,split; or path,label,split,group: without names only the order counts."""
    others = [i for i in range(len(first)) if i != path]
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
