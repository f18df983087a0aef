"""Tables of colours: what the colours of a mask stand for (label_colors.txt, class_dict.csv, labelmap.txt, JSON).

The lookup is exact. A colour that the table does not hold is never taken for the nearest one: its pixels are counted, listed
and ignored.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Int, UInt8

from sightline.data.files.encodings import read_text
from sightline.data.formats.annotated.markup import read_json
from sightline.data.records.names import suffix
from sightline.errors import DataError
from sightline.storage.text import printable

UNKNOWN = 255  # the value of a pixel whose colour is not in the table
MOST = 255  # rows, for values 0 to 254
_LONGEST = 400  # characters of a line: its patterns take time with the square of it
_STEMS = frozenset((
    "label_colors", "label_colours", "labelcolors", "label_colormap", "labelmap", "class_dict", "class_dict_seg", "classes",
    "class_colors", "class_colours", "classes_colors", "colormap", "colourmap", "color_map", "colors", "colours", "palette",
))  # fmt: skip
_ENDS = (".txt", ".csv", ".tsv", ".json")
_FIX = "write one line for each class: its name and the red, green and blue of its pixels, each 0 to 255"
_BEFORE = re.compile(r"(\d{1,3})[,;\s]+(\d{1,3})[,;\s]+(\d{1,3})[,;\s]+(\S.*)")  # 64 128 64  Animal
_AFTER = re.compile(r"(\S.*?)[,;:\s]+(\d{1,3})[,;\s]+(\d{1,3})[,;\s]+(\d{1,3})\s*[,;]?(?::.*)?")  # Animal:64,128,64::
_HEX = re.compile(r"#?([0-9a-f]{6})", re.IGNORECASE)
_NAMES = ("name", "class", "label", "class_name", "label_name", "classname", "title", "category")
_COLOURS = ("color", "colour", "rgb", "hex", "rgb_values")

Colour = tuple[int, int, int]


class Row(NamedTuple):
    """One class of a table: its name, its colour, and the line (of JSON: the place) where it stands."""

    name: str
    colour: Colour
    line: int


@dataclass(frozen=True)
class ColourTable:
    """Colours in the order of the `file`; the value of a pixel is the row of its colour, or UNKNOWN."""

    file: str
    rows: tuple[Row, ...]

    @property
    def grey(self) -> bool:
        """Whether all colours are shades of grey."""
        return all(r == g == b for _, (r, g, b), _ in self.rows)

    @property
    def key(self) -> str:
        """What the values of a mask depend on."""
        return ",".join(bytes(row.colour).hex() for row in self.rows)

    @cached_property
    def _value_of(self) -> UInt8[np.ndarray, "16777216"]:
        values = np.full(1 << 24, UNKNOWN, np.uint8)
        for value, (_, (r, g, b), _) in enumerate(self.rows):
            values[r << 16 | g << 8 | b] = value
        return values

    def values(self, pixels: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "h w"]:
        """The value of every pixel."""
        return self._value_of[_codes(pixels)]

    def unknown(self, pixels: UInt8[np.ndarray, "h w 3"]) -> list[tuple[str, int]]:
        """The colours that are not in the table with their pixels, the most frequent ten: ("#ff0001", 12)."""
        codes = _codes(pixels)
        codes, counts = np.unique(codes[self._value_of[codes] == UNKNOWN], return_counts=True)
        order = np.argsort(-counts, kind="stable")[:10]
        return [(f"#{codes[i]:06x}", int(counts[i])) for i in order.tolist()]


def _codes(pixels: UInt8[np.ndarray, "h w 3"]) -> Int[np.ndarray, "h w"]:
    return pixels.astype(np.int32) @ np.array([1 << 16, 1 << 8, 1], np.int32)


def find_colours(root: Path, files: Sequence[str]) -> ColourTable | None:
    """The table of colours in the folder, or in one below it; None if there is none. Raises DataError for one that cannot be
    read, and for two that differ."""
    names = [name for name in files if name.count("/") <= 1 and suffix(name) in _ENDS and _stem(name) in _STEMS]
    tables = [table for name in sorted(names, key=lambda n: (n.count("/"), n)) if (table := read_colours(root, name))]
    if not tables:
        return None
    first = tables[0]
    for other in tables[1:]:
        if [row[:2] for row in other.rows] != [row[:2] for row in first.rows]:
            raise DataError(
                f"{printable(first.file)} and {printable(other.file)} give other colours", "remove one of them"
            )
    return first


def read_colours(root: Path, name: str) -> ColourTable | None:
    """The table in a file; None if the file holds no colours at all (classes.csv may be a list of names)."""
    shown = printable(name)
    text, _ = read_text(root / name)
    rows = list(_of_json(read_json(text, shown)) if suffix(name) == ".json" else _of_lines(text, shown, suffix(name)))
    if not rows:
        return None
    if len(rows) > MOST:
        raise DataError(f"{shown} gives {len(rows):,} colours", f"keep at most {MOST}")
    seen: dict[Colour, Row] = {}
    for row in rows:
        if max(row.colour) > 255:
            raise DataError(f"{shown} line {row.line}: {row.colour} is no colour", _FIX)
        if (other := seen.setdefault(row.colour, row)).name != row.name:
            some = f"{printable(other.name)} and {printable(row.name)}"
            raise DataError(f"{shown} line {row.line}: {some} have the same colour", "give each class its own colour")
    return ColourTable(name, tuple(seen.values()))


def _of_lines(text: str, file: str, end: str) -> Iterator[Row]:
    lines = [(number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
    lines = [(number, line) for number, line in lines if not line.lstrip().startswith("#") or _HEX.match(line.strip())]
    if not lines:
        return
    header = _header(lines[0][1]) if end != ".txt" or "," in lines[0][1] else None
    if header is not None:
        yield from _of_table(lines[1:], *header, file)
        return
    found = [(number, line, _of_line(line.strip())) for number, line in lines]
    if sum(row is not None for *_, row in found) < len(found) / 2:
        return  # another kind of list
    for number, line, row in found:
        if row is None:
            raise DataError(f"{file} line {number}: '{printable(line.strip()[:60])}' is not a name and a colour", _FIX)
        yield Row(*row, number)


def _of_line(line: str) -> tuple[str, Colour] | None:
    if len(line) > _LONGEST:
        return None
    if match := _BEFORE.fullmatch(line):
        return match[4].strip(), (int(match[1]), int(match[2]), int(match[3]))
    if match := _AFTER.fullmatch(line):
        return match[1].strip(), (int(match[2]), int(match[3]), int(match[4]))
    return None


def _header(line: str) -> tuple[str, int, list[int]] | None:
    """(separator, column of the name, columns of the colour) of a first line that names them."""
    for separator in (",", ";", "\t"):
        cells = [cell.strip().strip('"').casefold().replace(" ", "_") for cell in line.split(separator)]
        name = next((cells.index(word) for word in _NAMES if word in cells), None)
        parts = [
            next((cells.index(w) for w in pair if w in cells), -1)
            for pair in (("r", "red"), ("g", "green"), ("b", "blue"))
        ]
        if name is not None and min(parts) >= 0:
            return separator, name, parts
        if (
            name is not None
            and (one := next((cells.index(word) for word in _COLOURS if word in cells), None)) is not None
        ):
            return separator, name, [one]
    return None


def _of_table(
    lines: Sequence[tuple[int, str]], separator: str, name: int, columns: list[int], file: str
) -> Iterator[Row]:
    for number, line in lines:
        cells = next(csv.reader([line[:_LONGEST]], delimiter=separator, skipinitialspace=True))
        colour = None
        if len(cells) > max(name, *columns):
            values = [cells[column].strip() for column in columns]
            colour = _colour(values[0] if len(values) == 1 else values)
        if colour is None or not cells[name].strip():
            raise DataError(f"{file} line {number}: '{printable(line.strip()[:60])}' is not a name and a colour", _FIX)
        yield Row(cells[name].strip(), colour, number)


def _of_json(value: Any) -> Iterator[Row]:
    """{"road": [128, 64, 128]}, or a list of {"name": …, "color": …}, alone or under a key such as "classes"."""
    if isinstance(value, dict) and not any(_colour(colour) for colour in value.values()):
        value = next((inner for inner in value.values() if isinstance(inner, list | dict)), value)
    if isinstance(value, dict):
        pairs = list(value.items())
    elif isinstance(value, list):
        entries = [
            {str(key).casefold(): each for key, each in entry.items()} for entry in value if isinstance(entry, dict)
        ]
        pairs = [
            (
                next((entry[key] for key in _NAMES if key in entry), None),
                next((entry[key] for key in _COLOURS if key in entry), None),
            )
            for entry in entries
        ]
    else:
        return
    for place, (name, value) in enumerate(pairs, 1):
        if isinstance(name, str) and name.strip() and (colour := _colour(value)):
            yield Row(name.strip(), colour, place)


def _colour(value: Any) -> Colour | None:
    """[64, 128, 64], "#408040", "(64, 128, 64)" or "64 128 64"; None for anything else."""
    if isinstance(value, str):
        if match := _HEX.fullmatch(value.strip()):
            code = int(match[1], 16)
            return code >> 16, code >> 8 & 255, code & 255
        value = re.split(r"[,;\s]+", value.strip(" ()[]"))
    if not isinstance(value, list | tuple) or len(value) not in (3, 4):
        return None
    numbers = [
        int(each)
        for each in value[:3]
        if isinstance(each, int) or (isinstance(each, str) and len(each) < 10 and each.isdecimal())
    ]
    return (numbers[0], numbers[1], numbers[2]) if len(numbers) == 3 and min(numbers) >= 0 else None


def _stem(name: str) -> str:
    return name.rsplit("/", 1)[-1].rpartition(".")[0].casefold()
