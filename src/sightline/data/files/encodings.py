"""The text of a user's file: UTF-8, UTF-16 or Windows-1252, and never a guess between two that both fit.

A byte order mark decides; else UTF-8 if it is valid; else UTF-16 if every other byte is NUL; else Windows-1252, with a
note. A file that is UTF-8 on some lines and not on others is refused by line: reading it as Windows-1252 would silently
change the labels that are UTF-8.
"""

from __future__ import annotations

import codecs
from pathlib import Path

from sightline.errors import DataError
from sightline.storage.text import printable

MAX_BYTES = 1 << 30
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16: its mark begins with UTF-16's
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


def read_text(path: Path) -> tuple[str, str]:
    """(text, note): the note says which encoding was assumed, "" if none. Raises DataError naming file and line."""
    name = printable(path.name)
    try:
        if path.stat().st_size > MAX_BYTES:
            raise DataError(f"{name} is larger than {MAX_BYTES >> 20} MiB", "split it, or use Parquet")
        raw = path.read_bytes()
    except OSError as error:
        raise DataError(f"{name} cannot be read: {(error.strerror or str(error)).lower()}") from error
    text, note = _decoded(raw, name)
    if (at := text.find("\0")) >= 0:
        raise DataError(
            f"{name} line {_line(text, at)}: a NUL character", "save the file as plain text: it is binary or damaged"
        )
    return text, note


def _decoded(raw: bytes, name: str) -> tuple[str, str]:
    for mark, encoding in _MARKS:
        if raw.startswith(mark):
            return _strict(raw[len(mark) :], encoding, name), ""
    if guess := _utf16_without_mark(raw):
        return _strict(raw, guess, name), "has no byte order mark and is read as UTF-16"
    try:
        return raw.decode("utf-8"), ""
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
    if any(ord(c) >= 0x80 and not 0xDC80 <= ord(c) <= 0xDCFF for c in raw.decode("utf-8", "surrogateescape")):
        raise DataError(f"{name} line {line}: not UTF-8, while other lines are", "save the table as UTF-8")
    return _strict(raw, "cp1252", name), "is not UTF-8 and is read as Windows-1252"


def _strict(raw: bytes, encoding: str, name: str) -> str:
    try:
        return raw.decode(encoding)
    except UnicodeDecodeError as error:
        line = raw[: error.start].decode(encoding, "replace").count("\n") + 1
        raise DataError(f"{name} line {line}: not {encoding} text", "save the table as UTF-8") from error


def _utf16_without_mark(raw: bytes) -> str | None:
    """UTF-16 of mostly Latin text has a NUL in every other byte."""
    head = raw[:4096]
    half = max(len(head) // 2, 1)
    if head[1::2].count(0) > 0.7 * half and head[0::2].count(0) < 0.1 * half:
        return "utf-16-le"
    if head[0::2].count(0) > 0.7 * half and head[1::2].count(0) < 0.1 * half:
        return "utf-16-be"
    return None


def _line(text: str, at: int) -> int:
    return text.count("\n", 0, at) + 1
