"""A data set before any image is decoded: records, where their bytes are, and what was refused.

The id of a record is its row in the manifest, which is sorted by name; everything else refers to images by that id.
Names are never derived from labels, nor labels from names.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

Content = bytes | Path | UInt8[np.ndarray, "..."]
# (size, mtime_ns, ctime_ns, inode) of the file that holds an image. Size and mtime can be set by whoever exchanges a file,
# and copying tools do; the change time cannot, and another file has another inode.
Stamp = tuple[int, int, int, int] | None
QUARANTINED = "quarantined"  # the action of every problem that takes one item out of use
KEPT = "kept"
DROPPED = "dropped"  # one object is dropped; its image stays in use
IGNORED = "ignored"  # so many pixels, or the place of one object, are neither objects nor background
CLIPPED = "clipped"  # one box is cut to its image
REPAIRED = "repaired"  # one object lost a part that could not be used, and stays


@dataclass(frozen=True, slots=True)
class Record:
    """One image: `id` its row, `name` a relative path (own bytes, surrogateescape) or row name, `label` a class name,
    `split` "train" | "val" | "test" where the data says so, `group` whatever must stay in one split (a patient, a plate),
    `metadata` what further columns of a table say, as text, in the order of `Source.columns`; None where a cell is empty."""

    id: int
    name: str
    label: str | None = None
    split: str | None = None
    group: str | None = None
    metadata: tuple[str | None, ...] = ()


@dataclass(frozen=True, slots=True)
class Problem:
    """One row of the quarantine report: `file` (shown) and `line`, a `reason` that begins with a code, the `fix`, and
    the `action` taken. `id` is that of the record; None if the problem prevented one."""

    file: str
    line: int | None
    reason: str
    fix: str
    action: str = QUARANTINED
    id: int | None = None

    def row(self) -> dict[str, str | int | None]:
        """The row as in `data.json` and in the output of `sightline data`."""
        return {
            "file": self.file,
            "line": self.line,
            "reason": self.reason,
            "fix": self.fix,
            "action": self.action,
        }


class Contents(ABC):
    """Where the bytes or pixels of records are."""

    @abstractmethod
    def load(self, record: Record) -> Content:
        """Encoded bytes, a path to them, or pixels (h, w) or (h, w, c) uint8. May be called from several threads."""

    @abstractmethod
    def stamp(self, record: Record) -> Stamp:
        """The content is unchanged as long as the stamp is. None: unknown, so it must be read every time."""


@dataclass(frozen=True)
class Files(Contents):
    """Each record is a file under `root`."""

    root: str

    def load(self, record: Record) -> Path:
        return Path(self.root, record.name)

    def stamp(self, record: Record) -> Stamp:
        try:
            status = os.stat(f"{self.root}/{record.name}")
        except OSError:
            return None
        return stamp_of(status)


def stamp_of(status: os.stat_result) -> tuple[int, int, int, int]:
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino


@dataclass(frozen=True)
class Arrays(Contents):
    """Pixels in memory: record i is row i of `pixels` (n, h, w) or (n, h, w, c)."""

    pixels: UInt8[np.ndarray, "n h w ..."]

    def load(self, record: Record) -> UInt8[np.ndarray, "h w ..."]:
        return self.pixels[record.id]

    def stamp(self, record: Record) -> None:  # pixels in memory are hashed faster than any cache is read
        return None
