"""The hub's metadata with objects: `objects: {bbox: [[x, y, width, height], …], category: [0, …]}` for each image.

metadata.jsonl or metadata.csv, at the top or in the folder of each split. Boxes are COCO's: pixels from the image's corner.
Categories are names, or numbers that stay their digits, because these files name no classes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from sightline.data.files.encodings import read_text
from sightline.data.files.locating import Folder, NotFound
from sightline.data.files.values import describe, number
from sightline.data.files.walking import Walk
from sightline.data.formats.cells import cells_of
from sightline.data.formats.recognition.vocabulary import splits_of_paths
from sightline.data.records.names import class_text, suffix
from sightline.data.records.records import IGNORED, Problem
from sightline.data.records.source import Source
from sightline.errors import DataError
from sightline.storage.text import printable

from ..objects import object_problem
from ..units import refuse_shares
from .assembly import Finds, Mark, Page, assemble
from .shapes import BadShape, checked

_NAMES = ("category", "categories", "label", "labels", "class", "category_id", "name")
ONE_CLASS = "object"
_FORM = 'write {"bbox": [[x, y, width, height]], "category": ["cat"]}'
_REPAIR = "correct the object, or remove it"


def hub_tables(tree: Walk) -> list[str]:
    """The metadata files of a folder that hold objects."""
    names = [n for n in tree.files if n.rsplit("/", 1)[-1].casefold() in ("metadata.jsonl", "metadata.csv")]
    return [name for name in names if name.count("/") <= 1 and has_objects(Path(tree.root, name))]


def has_objects(path: Path) -> bool:
    """Whether a table has the hub's objects."""
    try:
        with open(path, "rb") as file:
            head = file.readline(1 << 20).decode("utf-8-sig", "replace")
    except OSError:
        return False
    return (
        '"objects"' in head if suffix(path.name) == ".jsonl" else "objects" in head.replace('"', "").strip().split(",")
    )


def read_hub(tree: Walk, tables: Sequence[str]) -> Source:
    """The data set in these files. Raises DataError for one that cannot be read, or whose boxes are no pixels."""
    finds, folder, rows = Finds(tree), Folder(tree.root), list[Sequence[float]]()
    taken: set[str] = set()
    blank = 0
    for name in tables:
        base = name.rpartition("/")[0]
        for line, cells in _rows(Path(tree.root, name), printable(name)):
            written = cells.get("file_name") or cells.get("image") or ""
            try:
                image = folder.locate(f"{base}/{written}" if base else written, None)
            except NotFound as error:
                reason = f"{error.reason}: {printable(written[:200])}"
                finds.problems.append(Problem(printable(name), line, reason, error.fix))
                continue
            if image in taken:
                reason = f"repeated: {printable(image)}"
                finds.problems.append(Problem(printable(name), line, reason, "give each image one row"))
                continue
            taken.add(image)
            blank += not cells.get("objects", "").strip()
            marks = tuple(_marks(finds, cells.get("objects", ""), (printable(name), line), image, rows))
            finds.pages.append(Page(image, None, None, marks))
    if blank:
        finds.notes.append(f"rows without objects, taken to show none: {blank:,}")
    refuse_shares("the metadata", "boxes", rows)
    splits = splits_of_paths(taken)
    finds.pages = [page._replace(split=splits.get(page.image)) for page in finds.pages]
    finds.splits |= set(splits.values())
    return assemble(finds, "hub", f"the objects of {', '.join(map(printable, tables[:3]))}", sides=True)


def _rows(path: Path, name: str) -> Iterator[tuple[int, dict[str, str]]]:
    text, _ = read_text(path)
    cells = cells_of(text, name, lines_of_json=suffix(path.name) == ".jsonl")
    heads = [head.strip().casefold() for head in cells[0][1]] if cells else []
    for line, row in cells[1:]:
        yield line, dict(zip(heads, row, strict=False))


def _marks(finds: Finds, text: str, where: tuple[str, int], image: str, rows: list[Sequence[float]]) -> Iterator[Mark]:
    value = _objects(text, where)
    if value and not value.keys() & {"bbox", "bboxes"}:
        some = ", ".join(printable(str(key)[:40]) for key in list(value)[:5])
        raise DataError(f"{where[0]} line {where[1]}: objects without bbox: they have {some}", _FORM)
    boxes = value.get("bbox", value.get("bboxes", []))
    key = next((key for key in _NAMES if key in value), None)
    names = value[key] if key is not None else [ONE_CLASS] * len(boxes) if isinstance(boxes, list) else None
    if not isinstance(boxes, list) or not isinstance(names, list) or len(names) != len(boxes):
        raise DataError(
            f"{where[0]} line {where[1]}: objects with other numbers of boxes and categories", "give each box one"
        )
    for box, name in zip(boxes, names, strict=True):
        corners, known, fault = None, _class(name), ""
        try:
            x, y, width, height = (
                number(side) for side in (box if isinstance(box, list) and len(box) == 4 else [None] * 4)
            )
            rows.append((x, y, width, height))
            corners = checked((x, y, x + width, y + height))
        except BadShape as error:
            fault = str(error)
        fault = fault or ("" if known is not None else f"no-class: {describe(name)}")
        if fault:
            finds.problems.append(object_problem(where, fault, _REPAIR, printable(image), IGNORED))
        yield Mark(known, corners, where, unusable=bool(fault))


def _objects(text: str, where: tuple[str, int]) -> Mapping[str, Any]:
    """{"bbox": …, "category": …}, or a list of objects that each have theirs."""
    try:
        value = json.loads(text) if text.strip() else {}
    except (ValueError, RecursionError) as error:
        raise DataError(
            f"{where[0]} line {where[1]}: objects that are no JSON", 'write {"bbox": [], "category": []}'
        ) from error
    if isinstance(value, list) and all(isinstance(one, dict) for one in value):
        keys = {key for one in value for key in one}
        return {key: [one.get(key) for one in value] for key in keys}
    if not isinstance(value, dict):
        raise DataError(
            f"{where[0]} line {where[1]}: objects that are no mapping", 'write {"bbox": [], "category": []}'
        )
    return value


def _class(value: object) -> str | None:
    text = class_text(str(value).strip()) if isinstance(value, str | int) and not isinstance(value, bool) else ""
    return text if 0 < len(text) <= 200 else None
