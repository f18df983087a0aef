"""Encoded images that do not fit into memory, in an unnamed file: a row group is unpacked once, an image is then one read.

Parquet only reads whole row groups; reading images in random order would unpack one for nearly every image. The file is
in the cache folder and disappears with the process, however that ends.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from jaxtyping import Int


class Spill:
    """Bytes by key and position. Not thread-safe: the caller holds a lock."""

    def __init__(self, folder: Path) -> None:
        """Raises OSError if no file can be created in the folder."""
        folder.mkdir(parents=True, exist_ok=True)
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 — it lives as long as this object
        self._starts: dict[tuple[int, int], Int[np.ndarray, "m"]] = {}
        self._end = 0

    def __contains__(self, key: tuple[int, int]) -> bool:
        return key in self._starts

    def put(self, key: tuple[int, int], values: Iterable[bytes | None]) -> None:
        """Store the values under a key, None as no bytes. Raises OSError if the disk is full, and then stores nothing."""
        starts = [self._end]
        self._file.seek(self._end)
        for value in values:
            self._file.write(value or b"")
            starts.append(starts[-1] + len(value or b""))
        self._file.flush()
        self._starts[key] = np.array(starts, dtype=np.int64)
        self._end = starts[-1]

    def get(self, key: tuple[int, int], place: int) -> bytes:
        start, end = self._starts[key][place : place + 2].tolist()
        self._file.seek(start)
        return self._file.read(end - start)
