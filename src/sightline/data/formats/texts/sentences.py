"""Tables of texts: a sentence a row, with the one that belongs to it or with its class; and captions of images.

    source,target   also src,tgt, or two columns that are named by languages (en, fr)      translation
    text,label      also sentence, review; the label is a class                            text classification
    text            alone                                                                  language
    image,caption   one row a caption, so several for an image                             captions

Comma, semicolon or tab, or a JSON object a line, always with a header. A column `split` or files named train, val and test
give the splits. Rows that lack a text are refused by file and line.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from sightline.data.files.encodings import read_text
from sightline.data.files.locating import Folder, NotFound
from sightline.data.records.names import class_texts, split_named, suffix
from sightline.data.records.records import Files, Problem, Record
from sightline.data.records.source import Source
from sightline.data.records.texts import SENTENCES, Sentences, TextTable
from sightline.errors import DataError
from sightline.storage.text import printable

from ..cells import cells_of

SUFFIXES = (".csv", ".tsv", ".jsonl")
_SOURCE, _TARGET = ("source", "src"), ("target", "tgt", "translation")
_TEXT, _LABEL = ("text", "sentence", "review"), ("label", "class", "sentiment", "category")
_IMAGE, _CAPTION = ("image", "file_name", "filename", "file", "path"), ("caption", "captions")
_LANGUAGE = re.compile("[a-z]{2}")


class Layout(NamedTuple):
    """Which columns hold what: the `text` of a row or its `image`, what belongs to it, its class, its split."""

    text: int | None
    image: int | None = None
    target: int | None = None
    label: int | None = None
    split: int | None = None


def layout_of(header: Sequence[str]) -> Layout | None:
    """The layout that a header names; None for other tables."""
    words = [cell.strip().casefold() for cell in header]
    split = _place(words, ("split",))
    rest = [i for i in range(len(words)) if i != split]
    image, caption = _place(words, _IMAGE), _place(words, _CAPTION)
    if image is not None and caption is not None:
        return Layout(None, image, caption, split=split)
    source, target = _place(words, _SOURCE), _place(words, _TARGET)
    if source is not None and target is not None:
        return Layout(source, target=target, split=split)
    if len(rest) == 2 and all(_LANGUAGE.fullmatch(words[i]) and words[i] != "id" for i in rest):
        return Layout(rest[0], target=rest[1], split=split)
    text, label = _place(words, _TEXT), _place(words, _LABEL)
    if image is None and text is not None and (label is not None or len(rest) == 1):
        return Layout(text, label=label, split=split)
    return None


def _place(words: Sequence[str], names: Sequence[str]) -> int | None:
    return next((i for i, word in enumerate(words) if word in names), None)


def text_tables(path: Path) -> list[Path]:
    """The tables of texts that a path names: itself, or those directly in a folder; [] where there are none."""
    if path.is_file():
        files = [path]
    elif path.is_dir():
        names = sorted(name for name in os.listdir(path) if not name.startswith("."))
        files = [path / name for name in names if suffix(name) in SUFFIXES]
    else:
        files = []
    return [file for file in files if suffix(file.name) in SUFFIXES and _header_layout(file) is not None]


def _header_layout(file: Path) -> Layout | None:
    """By the first line alone, because most tables are others."""
    try:
        with open(file, "rb") as opened:
            line = opened.readline(1 << 16).decode("utf-8-sig")
        cells = cells_of(line, file.name, lines_of_json=suffix(file.name) == ".jsonl")
    except (OSError, ValueError, RecursionError, DataError):
        return None  # whoever reads it as another table says why
    return layout_of(cells[0][1]) if cells else None


@dataclass
class _Rows:
    """Rows while they are read: key (the image, or file and line) → what it is, its texts, label and split."""

    names: list[str]
    text: list[str]
    texts: list[list[str]]
    label: list[str | None]
    split: list[str | None]
    problems: list[Problem]

    def add(self, name: str, text: str, more: str | None, label: str | None, split: str | None) -> None:
        self.names.append(name)
        self.text.append(text)
        self.texts.append([] if more is None else [more])
        self.label.append(label)
        self.split.append(split)


def read_texts(files: Sequence[Path], root: Path) -> Source:
    """The data set of these tables. DataError where they differ in their columns, or no row can be used."""
    rows = _Rows([], [], [], [], [], [])
    images, notes = False, []
    folder = Folder(str(root))
    for file in files:
        text, note = read_text(file)
        notes += [f"{file.name} {note}"] if note else []
        cells = cells_of(text, file.name, lines_of_json=suffix(file.name) == ".jsonl")
        layout = layout_of(cells[0][1])
        assert layout is not None  # `text_tables` has chosen the file
        images = images or layout.image is not None
        for line, row in cells[1:]:
            _read(rows, layout, file, line, row, folder)
    if not rows.names:
        why = f": line {rows.problems[0].line}: {rows.problems[0].reason}" if rows.problems else ""
        raise DataError(f"no row of {printable(files[0].name)} can be used{why}", "write one text, or one pair, a row")
    return _images(rows, folder, files, notes) if images else _sentences(rows, root, files, notes)


def _read(rows: _Rows, layout: Layout, file: Path, line: int, row: Sequence[str], folder: Folder) -> None:
    def cell(at: int | None) -> str:
        return row[at].strip() if at is not None and at < len(row) else ""

    def refuse(reason: str, fix: str) -> None:
        rows.problems.append(Problem(printable(file.name), line, reason, fix))

    split = split_named(file.stem)
    if layout.split is not None and (split := split_named(cell(layout.split))) is None:
        return refuse(f"no-split: '{printable(cell(layout.split)[:40])}' is not a split", "write train, val or test")
    for what, at in (("text", layout.text), ("image", layout.image), ("text", layout.target), ("label", layout.label)):
        if at is not None and not cell(at):
            return refuse(f"no-{what}: the cell is empty", "fill it in, or remove the row")
    more = cell(layout.target) if layout.target is not None else None
    if layout.image is None:
        name = f"{file.name}:{line:07d}"
        rows.add(name, cell(layout.text), more, cell(layout.label) or None, split)
        return None
    try:
        name = _located(folder, cell(layout.image), split)
    except NotFound as error:
        return refuse(f"{error.reason}: {printable(cell(layout.image)[:200])}", error.fix)
    rows.add(name, "", more, None, split)
    return None


def _located(folder: Folder, written: str, split: str | None) -> str:
    """The image as it is written, or in the folder images beside the table."""
    try:
        return folder.locate(written, split)
    except NotFound:
        return folder.locate(f"images/{written}", split)


def _sentences(rows: _Rows, root: Path, files: Sequence[Path], notes: list[str]) -> Source:
    names = class_texts(label for label in rows.label if label is not None)
    classes = tuple(sorted(set(names.values())))
    records = tuple(
        Record(i, name, None if label is None else names[label], split)
        for i, (name, label, split) in enumerate(zip(rows.names, rows.label, rows.split, strict=True))
    )
    return Source(
        name=root.name if len(files) > 1 else files[0].stem,
        kind=SENTENCES,
        root=str(root),
        records=records,
        classes=classes,
        contents=Sentences(tuple(rows.text)),
        given_splits=frozenset(filter(None, rows.split)),
        notes=tuple(notes),
        problems=tuple(rows.problems),
        annotations=TextTable(tuple(map(tuple, rows.texts)), classes),
    )


def _images(rows: _Rows, folder: Folder, files: Sequence[Path], notes: list[str]) -> Source:
    """One record an image, with all its captions in the order of the tables."""
    texts: dict[str, list[str]] = {}
    splits: dict[str, str | None] = {}
    for name, more, split in zip(rows.names, rows.texts, rows.split, strict=True):
        texts.setdefault(name, []).extend(more)
        if splits.setdefault(name, split) != split:
            raise DataError(f"the captions of {printable(name)} are in several splits", "give all of them one split")
    ordered = sorted(texts)
    return Source(
        name=Path(folder.root).name,
        kind="captions",
        root=folder.root,
        records=tuple(Record(i, name, None, splits[name]) for i, name in enumerate(ordered)),
        classes=(),
        contents=Files(folder.root),
        given_splits=frozenset(filter(None, splits.values())),
        notes=tuple(notes),
        problems=tuple(rows.problems),
        annotations=TextTable(tuple(tuple(texts[name]) for name in ordered)),
    )
