"""What the values of masks stand for: classes.txt, a table of colours, a published list, or background and foreground."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Int

from sightline.data.files.encodings import read_text
from sightline.data.formats.annotated.masks import is_grey, is_second_class, plain_values, table_of
from sightline.data.records.names import class_text, class_texts
from sightline.errors import DataError
from sightline.preprocessing.rejection import Rejected
from sightline.storage.text import printable
from sightline.structures.targets import IGNORE

from .colours import ColourTable, find_colours

NAMELESS = {"unlabelled", "unlabeled", "void", "ignore", "ignored", "background-ignored"}
LISTED = "classes.txt"
_TRIED = 64  # masks that are read first if no list names their values


class Classes(NamedTuple):
    """`names`; `table` (256,) value → class index, IGNORE, or -1; a `note` for the user; the `colours` of masks in colour."""

    names: tuple[str, ...]
    table: Int[np.ndarray, "256"]
    note: str
    colours: ColourTable | None = None


class PublishedList(NamedTuple):
    """A published list: its `name`, its `classes` by value, and values that count nowhere besides 255."""

    name: str
    classes: dict[str, int]
    ignored: tuple[int, ...] = ()


def classes_of(
    root: Path,
    files: Sequence[str],
    masks: Sequence[str],
    *,
    published: PublishedList | None = None,
    listed: str = LISTED,
) -> Classes:
    """The classes of `masks`: those of the list or table of colours in the folder, else those of the `published` list if it
    has all values. Raises DataError if a list is needed and missing, or cannot be read."""
    if colours := find_colours(root, files):
        grey = not colours.grey and listed_grey(root, masks)
        if not grey:
            return _of_colours(colours)
        if listed not in files:
            return _numbered(colours)
    if listed in files:
        classes = _listed_classes(root / listed, listed)
        if is_second_class(int((classes.table[:255] >= 0).sum()), (Path(root, name) for name in masks)):
            table = table_of({0: 0, 255: 1})
            note = f"masks: {listed} names two classes, and only 0 and 255 are in the masks: 255 is {classes.names[1]}"
            return Classes(classes.names, table, note)
        return classes
    values = _values(root, masks)
    if published is not None and values <= {*published.classes.values(), *published.ignored, 255}:
        return of_published(published)
    return _two_classes(root, values, listed)


def of_published(published: PublishedList) -> Classes:
    """The classes of a published list."""
    values = {value: place for place, value in enumerate(published.classes.values())}
    note = f"masks: no {LISTED}; the {len(published.classes)} classes of {published.name}, which its masks number"
    table = table_of({**dict.fromkeys(published.ignored, IGNORE), **values})
    return Classes(tuple(published.classes), table, note)


def listed_grey(root: Path, masks: Sequence[str]) -> bool:
    """Whether none of the masks, of a sample of them, has colours."""
    seen = []
    for name in masks[:: max(len(masks) // _TRIED, 1)]:
        with suppress(Rejected):
            seen.append(is_grey(root / name))
            if not seen[-1]:
                return False
    return bool(seen)


def _of_colours(colours: ColourTable) -> Classes:
    names, values = _rows(colours)
    ignored = [f"{printable(row.name)}" for row in colours.rows if _is_nameless(row.name)]
    note = f"masks: {printable(colours.file)} gives {len(colours.rows)} colours"
    note += f"; ignored: {', '.join(ignored)}" if ignored else ""
    return Classes(names, table_of(values), note, colours)


def _numbered(colours: ColourTable) -> Classes:
    names, values = _rows(colours)
    note = f"masks: grey ones, whose values are taken for the rows of {printable(colours.file)}, counted from 0"
    return Classes(names, table_of(values), note)


def _rows(colours: ColourTable) -> tuple[tuple[str, ...], dict[int, int]]:
    """The classes of a table, and row → class or IGNORE. A class may have several colours."""
    names = list(dict.fromkeys(row.name for row in colours.rows if not _is_nameless(row.name)))
    texts = class_texts(names)
    if not names:
        raise DataError(f"{printable(colours.file)} names no class", "write one class a line")
    place = {name: index for index, name in enumerate(names)}
    values = {value: place.get(row.name, IGNORE) for value, row in enumerate(colours.rows)}
    return tuple(texts[name] for name in names), values


def _is_nameless(word: str) -> bool:
    return word.casefold().replace("_", "-").replace(" ", "-") in NAMELESS


def _values(root: Path, masks: Sequence[str]) -> set[int]:
    """The values of a sample of the masks; of as many as it takes to see another than 0."""
    spread = {i * len(masks) // _TRIED for i in range(_TRIED)}  # all of them if there are fewer
    rest = (Path(root, name) for i, name in enumerate(masks) if i not in spread)
    try:
        values = plain_values([Path(root, masks[i]) for i in sorted(spread)])
        while values == {0} and (another := next(rest, None)):  # the foreground may be rare
            with suppress(Rejected):
                values |= plain_values([another])
    except Rejected as rejected:
        text = f"{printable(str(root))} holds annotations for boxes or masks that cannot be read: {rejected.message}"
        raise DataError(text, rejected.hint) from rejected
    return values


def _two_classes(root: Path, values: set[int], listed: str) -> Classes:
    if values == {0}:
        raise DataError(f"the masks of {printable(str(root))} hold nothing but 0", "mark the foreground with 1 or 255")
    for foreground in (1, 255):
        if values <= {0, foreground}:
            note = f"masks: no {listed}, and only 0 and {foreground} in them: background and foreground"
            return Classes(("background", "foreground"), table_of({0: 0, foreground: 1}), note)
    some = ", ".join(str(value) for value in sorted(values)[:10]) + (" …" if len(values) > 10 else "")
    raise DataError(
        f"{printable(str(root))} has no {listed}, and its masks hold {some}",
        f"write {listed} with one class per line: the line number, from 0, is the pixel value",
    )


def _listed_classes(path: Path, file: str) -> Classes:
    """Names by line. Pixels of a nameless entry are ignored; blank lines may only be at the end."""
    text, note = read_text(path)
    lines = text.rstrip().splitlines()
    if not text.strip() or len(lines) > 255:
        raise DataError(
            f"{file} names {len(lines) if text.strip() else 0} classes", "write 1 to 255 names, one per line"
        )
    names: list[str] = []
    nameless: list[str] = []
    table: dict[int, int] = {}
    for value, line in enumerate(lines):
        word = line.strip()
        if not word:
            raise DataError(f"{file} line {value + 1} is empty", "name the class: the line number is the pixel value")
        if _is_nameless(word):
            table[value] = IGNORE
            nameless.append(f"{value} ({printable(word)})")
            continue
        if word in names:
            raise DataError(
                f"{file} line {value + 1}: the class {printable(word)} is named twice", "rename one of them"
            )
        table[value] = len(names)
        names.append(word)
    class_texts(names)
    if not names:
        raise DataError(f"{file} names no class", "write one name per line")
    summary = f"masks: {file} names {len(lines)} values; ignored: {', '.join([*nameless, '255'])}"
    return Classes(
        tuple(class_text(name) for name in names), table_of(table), f"{summary}; {note}" if note else summary
    )
