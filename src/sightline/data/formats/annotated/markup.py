"""Untrusted XML and JSON, read within limits: every error names file and line.

XML is parsed by expat and must not have a document type: no entity can be declared, so none can expand or read a file.
The text is decoded before (`encodings`); a declared encoding that this does not cover is refused, not guessed.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple
from xml.parsers import expat

from sightline.data.files.encodings import read_text
from sightline.errors import DataError
from sightline.storage.text import printable

XML_BYTES = 16 << 20
JSON_BYTES = 512 << 20
XML_DEPTH = 32
XML_ELEMENTS = 1_000_000
_DECLARED = re.compile(r"<\?xml[^>]*?encoding\s*=\s*[\"']([^\"']*)[\"']")
_COVERED = {"utf-8", "utf8", "us-ascii", "ascii", "utf-16", "utf-16le", "utf-16be", "windows-1252", "cp1252",
            "iso-8859-1", "latin-1", "latin1"}  # fmt: skip
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}\n]')


class Element(NamedTuple):
    """One element, in the order of end tags: its `path` of names from the root, its `text`, the line where it begins, its
    `attributes`. Elements are numbered by their start tags; `owner` is the `number` of the parent."""

    path: tuple[str, ...]
    text: str
    line: int
    number: int
    owner: int
    attributes: Mapping[str, str] = MappingProxyType({})


def read_xml(path: Path, name: str, most: int | None = None) -> tuple[list[Element], str]:
    """The elements of a file of at most `most` bytes (XML_BYTES) and a note on its encoding. Raises DataError naming file and
    line."""
    most = XML_BYTES if most is None else most
    try:
        if os.stat(path).st_size > most:
            raise DataError(f"{name} is larger than {most >> 20} MiB", "use one XML file per image")
    except OSError as error:
        raise DataError(f"{name} cannot be read: {(error.strerror or str(error)).lower()}") from error
    text, note = read_text(path)
    declared = _DECLARED.match(text[:200])
    if declared and declared[1].lower() not in _COVERED:
        raise DataError(
            f"{name} line 1: the encoding {printable(declared[1][:40])} is not supported", "save it as UTF-8"
        )
    return _XmlReader(name).elements(text), note


_Open = tuple[tuple[str, ...], int, int, list[str], dict[str, str]]  # path, line, number, pieces of text, attributes


class _XmlReader:
    """One file while expat parses it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.open: list[_Open] = []
        self.done: list[Element] = []
        self.count = 0
        self.parser = expat.ParserCreate()
        self.parser.buffer_text = True
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._text
        self.parser.StartDoctypeDeclHandler = self._doctype
        self.parser.EntityDeclHandler = self._doctype

    def elements(self, text: str) -> list[Element]:
        try:
            self.parser.Parse(text, True)
        except expat.ExpatError as error:
            why = expat.ErrorString(error.code) or "not well-formed"
            raise DataError(f"{self.name} line {error.lineno}: {why}", "export the annotation again") from error
        except UnicodeEncodeError as error:
            raise self._refusal("an invalid character") from error
        return self.done

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self.count += 1
        if len(self.open) >= XML_DEPTH:
            raise self._refusal(f"more than {XML_DEPTH} elements inside each other")
        if self.count > XML_ELEMENTS:
            raise self._refusal(f"more than {XML_ELEMENTS:,} elements")
        path = (*self.open[-1][0], name) if self.open else (name,)
        self.open.append((path, self.parser.CurrentLineNumber, self.count, [], attributes))

    def _end(self, name: str) -> None:
        path, line, number, pieces, attributes = self.open.pop()
        owner = self.open[-1][2] if self.open else 0
        self.done.append(Element(path, "".join(pieces).strip(), line, number, owner, attributes))

    def _text(self, data: str) -> None:
        self.open[-1][3].append(data)

    def _doctype(self, *_: object) -> None:
        raise self._refusal("a document type or entity, which is not allowed")

    def _refusal(self, why: str) -> DataError:
        line = self.parser.CurrentLineNumber
        return DataError(f"{self.name} line {line}: {why}", "export the annotation again")


def read_json(text: str, name: str) -> Any:
    """The value of a JSON text. Raises DataError naming file and line."""
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise DataError(f"{name} line {error.lineno}: {error.msg}", "export the annotations again") from error
    except RecursionError as error:
        raise DataError(f"{name} line {_deepest(text)}: nested too deep", "give an annotation file") from error
    except (ValueError, MemoryError) as error:  # a number with more digits than Python converts
        digits = re.search(r"\d{4000,}", text)
        line = text.count("\n", 0, digits.start()) + 1 if digits else 1
        raise DataError(f"{name} line {line}: a value that is too large", "give an annotation file") from error


def read_json_file(path: Path, name: str, most: int = JSON_BYTES) -> Any:
    """The value of a JSON file of at most `most` bytes. Raises DataError naming file and line."""
    try:
        if os.stat(path).st_size > most:
            raise DataError(f"{name} is larger than {most >> 20} MiB", "give an annotation file")
    except OSError as error:
        raise DataError(f"{name} cannot be read: {(error.strerror or str(error)).lower()}") from error
    return read_json(read_text(path)[0], name)


def _deepest(text: str, limit: int = 500) -> int:
    """The line where brackets are first nested `limit` deep."""
    depth, line = 0, 1
    for token in _TOKEN.finditer(text):
        sign = token[0]
        if sign == "\n":
            line += 1
        elif sign[0] != '"':
            depth += 1 if sign in "[{" else -1
            if depth >= limit:
                break
    return line
