"""Encoded images that memory cannot hold, in a nameless file: a row group is unpacked once, an image is then one read.

Parquet gives a row group at a time or nothing; images that are drawn in random order would unpack one for nearly each.
The file lies in the cache folder and is gone with the process, however that ends.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from jaxtyping import Int


class Spill:
    """Bytes by key and place. Not safe for threads: the caller holds a lock."""

    def __init__(self, folder: Path) -> None:
        """Raises OSError where the folder takes no file."""
        folder.mkdir(parents=True, exist_ok=True)
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 — it lives as long as this object
        self._starts: dict[tuple[int, int], Int[np.ndarray, "m"]] = {}
        self._end = 0

    def __contains__(self, key: tuple[int, int]) -> bool:
        return key in self._starts

    def put(self, key: tuple[int, int], values: Iterable[bytes | None]) -> None:
        """Keep the values under a key, None as nothing. Raises OSError where the disk is full; nothing is kept then."""
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
