"""Tables of boxes: a row an object (TensorFlow's, RetinaNet's, Open Images' and others), a row without a box an image without
objects.

The names of the columns say whether the numbers are corners, or a corner or centre and sides. That they are shares of the
image is taken only from all of them together: every box of the set lies between 0 and 1.
"""

from __future__ import annotations

import math
import os
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sightline.data.files.encodings import read_text
from sightline.data.files.locating import Folder, NotFound
from sightline.data.files.values import flag, number, whole
from sightline.data.files.walking import Walk, walk
from sightline.data.formats.cells import Cells, cells_of
from sightline.data.formats.recognition.vocabulary import split_in, splits_of_paths
from sightline.data.records.names import IMAGE_SUFFIXES, class_text, split_named, suffix
from sightline.data.records.records import DROPPED, IGNORED, QUARANTINED, Files, Problem, Record
from sightline.data.records.source import Source
from sightline.data.records.upright import stored
from sightline.errors import DataError
from sightline.preprocessing.rejection import Rejected
from sightline.storage.text import printable

from ..objects import box_fault, object_problem, place_of
from ..units import SLACK, Box, is_share, refuse_sides
from .assembly import Finds, Mark, Page, assemble, without_repeats
from .boxcolumns import BoxColumns, find_box_columns, four_numbers

ONE_CLASS = "object"
TABLES = (".csv", ".tsv")
_FORM = "write filename,xmin,ymin,xmax,ymax,class"
_REPAIR = "correct the row, or remove it"
Four = tuple[float, float, float, float]


@dataclass
class _Row:
    """One row with an image: its numbers as written (None: no box)."""

    where: tuple[str, int]
    numbers: Four | None
    label: str | None
    ignore: bool = False
    faults: list[str] = field(default_factory=list)


@dataclass
class _Set:
    """All tables of a set while they are read."""

    finds: Finds
    folder: Folder
    rows: dict[str, list[_Row]] = field(default_factory=lambda: defaultdict(list))
    split: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    size: dict[str, tuple[int, int]] = field(default_factory=dict)
    forms: set[str] = field(default_factory=set)
    lost: dict[tuple[str, str], tuple[int, int, NotFound]] = field(default_factory=dict)  # (table, image) → line, rows
    labelled: bool = False


def is_box_table(path: Path) -> bool:
    """Whether a table is one of boxes that can be read; False too if it cannot be read at all."""
    try:
        with open(path, "rb") as file:
            head = file.read(1 << 16).decode("utf-8-sig", "replace").replace("\0", "")
        rows = cells_of(head.split("\n", 1)[0], path.name)
    except (OSError, DataError):
        return False
    return bool(rows) and find_box_columns(rows[0][1]) is not None


def read_box_table(path: Path) -> Source:
    """The data set that one table describes; its images are beside or below it."""
    return read_box_tables(walk(str(path.parent)), [path.name])


def read_box_tables(tree: Walk, names: Sequence[str] = ()) -> Source:
    """The data set in these tables, by default in all tables of boxes in the folder. Raises DataError where one cannot be read,
    or several could be meant."""
    names = names or _chosen(tree)
    work = _Set(Finds(tree), Folder(tree.root))
    for name in names:
        _read_table(work, name)
    for (table, written), (line, count, error) in work.lost.items():
        reason = f"{error.reason}: {printable(written[:200])}" + (f", in {count:,} rows" if count > 1 else "")
        work.finds.problems.append(Problem(table, line, reason, error.fix, QUARANTINED))
    if not work.rows:
        why = f": {work.finds.problems[0].reason}" if work.finds.problems else ""
        raise DataError(f"{printable(names[0])} names no image that can be found{why}", "write the paths of the images")
    form = _form(work, printable(names[0]))
    shares = _are_shares(work, form)
    _pages(work, form, shares)
    what = ", ".join(printable(name) for name in names[:4])
    finds = work.finds
    finds.notes.insert(0, _how(form, shares))
    if not work.labelled:
        finds.notes.append(f"no column of classes: every box is of the one class '{ONE_CLASS}'")
    if unlisted := len({name for name in tree.files if suffix(name) in IMAGE_SUFFIXES} - set(work.rows)):
        finds.notes.append(f"images in no table, not used: {unlisted:,}")
    return assemble(finds, "boxes-csv", what, shares=shares, sides=form == "sides" and not shares)


def _chosen(tree: Walk) -> list[str]:
    """The only table, or those of splits. Raises DataError for none, and for several others."""
    names = [n for n in tree.files if suffix(n) in TABLES and is_box_table(Path(tree.root, n))]
    if not names:
        raise DataError(f"{printable(tree.root)} holds no table of boxes that can be read", _FORM)
    if len(names) == 1:
        return list(names)
    splits = {name: _split_of(name) for name in names}
    if any(split is None for split in splits.values()) or len(set(splits.values())) < len(splits):
        some = ", ".join(printable(name) for name in names[:5])
        raise DataError(f"several tables could hold the boxes: {some}", "pass the right one as the data")
    return list(names)


def _split_of(name: str) -> str | None:
    folder, _, last = name.rpartition("/")
    return split_in(os.path.splitext(last)[0]) or next((s for p in folder.split("/") if (s := split_named(p))), None)


def _read_table(work: _Set, name: str) -> None:
    text, note = read_text(Path(work.folder.root, name))
    table, finds = printable(name), work.finds
    rows: Cells = cells_of(text, table)
    columns = find_box_columns(rows[0][1]) if rows else None
    if columns is None:
        raise DataError(f"{table} is no table of boxes", _FORM)
    work.forms.add(columns.form)
    work.labelled |= columns.label is not None
    finds.notes += [f"{table} {note}"] if note else []
    if columns.unused:
        some = ", ".join(printable(column) for column in columns.unused[:12])
        finds.notes.append(f"{table}: unknown columns, not used: {some}")
    for line, cells in rows[columns.header :]:
        _read_row(work, name, line, cells, columns)


def _read_row(work: _Set, name: str, line: int, cells: list[str], columns: BoxColumns) -> None:
    table = printable(name)
    if len(cells) < columns.width:
        reason = f"short-row: {len(cells)} of {columns.width} cells"
        work.finds.problems.append(Problem(table, line, reason, "complete the row", DROPPED))
        return
    split = _split_of(name)
    if columns.split is not None and columns.split < len(cells) and (word := cells[columns.split].strip()):
        split = split_named(word)
        if split is None:
            reason = f"no-split: '{printable(word[:40])}' is not a split"
            work.finds.problems.append(Problem(table, line, reason, "write train, val or test", DROPPED))
            return
    written = cells[columns.path].strip()
    try:
        image = _locate(work.folder, name.rpartition("/")[0], written, split)
    except NotFound as error:
        first, count, _ = work.lost.get((table, written), (line, 0, error))
        work.lost[table, written] = (first, count + 1, error)
        return
    work.split[image] |= {split} if split else set()
    if columns.size is not None:
        height, width = (whole(cells[i]) if i < len(cells) else None for i in columns.size)
        if height and width and min(height, width) > 0:
            work.size[image] = (height, width)
    work.rows[image].append(_row(cells, columns, (table, line)))


def _row(cells: Sequence[str], columns: BoxColumns, where: tuple[str, int]) -> _Row:
    written = [cells[i].strip() for i in columns.box]
    if columns.form == "cell":
        written = four_numbers(written[0])
    label = class_text(cells[columns.label].strip()) if columns.label is not None else ONE_CLASS
    if not any(written):
        return _Row(where, None, None)
    numbers = [number(cell) for cell in written]
    row = _Row(where, (numbers[0], numbers[1], numbers[2], numbers[3]) if len(numbers) == 4 else (math.nan,) * 4, label)
    if len(numbers) != 4:
        row.faults.append(f"bad-box: {len(numbers)} numbers instead of four")
    if not 0 < len(label) <= 200:
        row.label = None
        row.faults.append("no-class: the class is empty" if not label else "no-class: the class is too long")
    for word, place in columns.flags:
        try:
            row.ignore |= flag(cells[place]) if place < len(cells) else False
        except ValueError as error:
            row.faults.append(f"bad-flag: {word}: {error}")
    return row


def _locate(folder: Folder, base: str, written: str, split: str | None) -> str:
    """The image of a row, by its path from the folder of the table, else from the top."""
    if base and written:
        try:
            return folder.locate(f"{base}/{written}", split)
        except NotFound:
            pass
    return folder.locate(written, split)


def _form(work: _Set, table: str) -> str:
    """Corners, sides or centre. Of four numbers in one cell all together decide, by what fits into the images. Raises DataError
    if they do not."""
    if len(work.forms) > 1:
        raise DataError(f"{table}: the tables write boxes in different forms", "use one form in all tables")
    (form,) = work.forms
    if form != "cell":
        return form
    sides = corners = True
    for image, rows in work.rows.items():
        boxes = [row.numbers for row in rows if row.numbers is not None and all(map(math.isfinite, row.numbers))]
        size = work.size.get(image) or _image_size(work, image) if boxes else None
        if size is None:
            continue
        height, width = size
        for x, y, right, bottom in boxes:
            sides &= x + right <= width + 1 and y + bottom <= height + 1
            corners &= right > x and bottom > y and right <= width + 1 and bottom <= height + 1
    if sides == corners:
        both = "[left, top, right, bottom] and [x, y, width, height] both fit"
        neither = "neither [left, top, right, bottom] nor [x, y, width, height] fits"
        raise DataError(f"{table}: {both if sides else neither} its images", "write four columns: xmin,ymin,xmax,ymax")
    return "sides" if sides else "corners"


def _image_size(work: _Set, image: str) -> tuple[int, int] | None:
    try:
        return stored(Files(work.folder.root).load(Record(0, image))).oriented
    except Rejected:
        return None


def _are_shares(work: _Set, form: str) -> bool:
    """Whether all boxes are shares of their images; also refuses corners that are sides."""
    rows = [(row, image) for image, of in work.rows.items() for row in of if row.numbers is not None]
    corners = [_corners(row.numbers, form) for row, _ in rows if row.numbers is not None]
    finite = [box for box in corners if all(map(math.isfinite, box))]
    if any(map(is_share, finite)) and all(max(box) <= 1 + SLACK and min(box) >= -SLACK for box in finite):
        return True
    if form == "corners":
        refuse_sides("the table", corners, [work.size.get(image) for _, image in rows])
    return False


def _corners(numbers: Four, form: str) -> Box:
    x, y, w, h = numbers
    if form == "corners":
        return numbers
    return (x, y, x + w, y + h) if form == "sides" else (x - w / 2, y - h / 2, x + w / 2, y + h / 2)


def _pages(work: _Set, form: str, shares: bool) -> None:
    own = splits_of_paths(work.rows)
    finds = work.finds
    for image, rows in work.rows.items():
        splits = work.split[image]
        if len(splits) > 1:
            reason = f"contradiction: the image is in {' and in '.join(sorted(splits))}"
            finds.problems.append(Problem(printable(image), None, reason, "keep it in one split"))
            continue
        split = next(iter(splits), None) or own.get(image)
        finds.splits |= {split} if split else set()
        marks = [_mark(work, row, form, shares, printable(image)) for row in rows if row.numbers is not None]
        kept, repeated = without_repeats(marks)
        for mark in repeated:
            reason = "repeated: the row occurs already"
            finds.problems.append(object_problem(mark.where, reason, "remove it", printable(image), DROPPED))
        finds.pages.append(Page(image, split, None if shares else work.size.get(image), tuple(kept)))


def _mark(work: _Set, row: _Row, form: str, shares: bool, image: str) -> Mark:
    assert row.numbers is not None
    box: Box | None = _corners(row.numbers, form)
    faults = list(row.faults)
    if row.numbers and box is not None and (fault := box_fault(box)) and not faults:
        faults.append(fault)
        box = place_of(box)
    elif box is not None and not shares and is_share(box) and max(box[2] - box[0], box[3] - box[1]) < 1:
        faults.append("share: a box less than a pixel wide between 0 and 1, as if it were a share of the image")
        box = None
    if box is not None and not all(map(math.isfinite, box)):
        box = None
    for reason in faults:
        work.finds.problems.append(object_problem(row.where, reason, _REPAIR, image, IGNORED))
    return Mark(row.label, box, row.where, None, row.ignore, bool(faults))


def _how(form: str, shares: bool) -> str:
    how = {
        "corners": "left, top, right and bottom edge",
        "sides": "corner, width and height",
        "centre": "centre, width and height",
    }[form]
    unit = "shares of the image, since every box lies between 0 and 1" if shares else "pixels from its corner"
    return f"boxes are read as {how}, in {unit}"
