"""Rows into a .csv or .jsonl as they come: to a temporary file beside, which takes the name when all are there."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from sightline.errors import UsageError
from sightline.kinds.kind import Answers
from sightline.storage.files import TEMPORARY, make_folder, no_space, require_place, sync_folder
from sightline.storage.text import csv_text, json_text, printable

MOMENT = ("frame", "time_s")


class RowWriter:
    """`add` rows to a file of `replacing`. A .csv has a line for each image or object, and cells that a spreadsheet would run
    are quoted; a .jsonl is lossless."""

    def __init__(self, file: Any, csv: bool, answers: Answers, moving: bool) -> None:
        self._file, self._answers = file, answers
        self._columns = ("path", *(MOMENT if moving else ()), *answers.columns, "error") if csv else None
        if self._columns is not None:
            self._write(csv_text(self._columns, ()))

    def add(self, row: dict[str, Any]) -> None:
        if self._columns is None:
            self._write(json_text(row, indent=None) + "\n")
            return
        when = {name: row[name] for name in MOMENT if name in row}
        lines = [row] if "error" in row else self._answers.lines(row)
        cells = ([_cell({**when, **line}.get(name)) for name in self._columns] for line in lines)
        self._write(csv_text((), cells))

    def _write(self, text: str) -> None:
        data = text.encode()
        with no_space(Path(self._file.name), len(data)):
            self._file.write(data)


def _cell(value: Any) -> Any:
    return value if isinstance(value, float | int) else printable(str(value or ""))


@contextmanager
def replacing(path: Path) -> Iterator[Any]:
    """A binary file that takes the place of `path` when all was written; nothing is left of it after an error."""
    temporary = path.parent / f"{TEMPORARY}{secrets.token_hex(6)}"
    with no_space(path, 0):
        file = open(temporary, "xb")  # noqa: SIM115  # closed below, apart from what its user does with it
    try:
        yield file
        with no_space(path, 0):
            file.flush()
            os.fsync(file.fileno())
            file.close()
            os.replace(temporary, path)
            sync_folder(path.parent)
    except BaseException:
        with suppress(OSError):
            file.close()
        temporary.unlink(missing_ok=True)
        raise


def checked_place(out: Path, answers: Answers) -> Path:
    """The path to write to; a folder is made. UsageError for a format that these predictions do not have."""
    if answers.folder and not out.suffix:
        made_folder(out, "--out")
        return out
    if out.suffix.lower() not in ((".jsonl",) if answers.folder else (".csv", ".jsonl")):
        known = "a folder for masks, or a .jsonl file" if answers.folder else "a .csv or a .jsonl file"
        raise UsageError(f"cannot write predictions as {out.suffix or str(out)!r}", f"use {known}")
    require_place(out)
    return out


def made_folder(folder: Path, option: str) -> Path:
    if os.path.lexists(folder) and not os.path.isdir(folder):
        raise UsageError(f"{option} {folder} is a file", "name a folder")
    make_folder(folder)
    return folder
