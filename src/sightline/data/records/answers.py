"""Several labels for each image, or numbers: what a table says of an image when it is not one class.

Each image has one value for each class (1: it has that label, 0: it has not) or for each target (a measurement in the units
of the data); NaN where the data do not say. An image about which nothing is known is out of use.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, final

import numpy as np
from jaxtyping import Bool, Float

from sightline.storage.text import printable
from sightline.structures.heads import Head

from .annotations import Annotations, Inspection
from .records import QUARANTINED, Problem, Record
from .upright import Stored


@final
@dataclass(frozen=True, eq=False)
class AnswerTable(Annotations):
    """`values` (n, k), a row for each record; `text` what was written for it, one class of which it may be; `absent` the
    answer about a class that is not in the list: 0 where lists name all labels of an image, NaN where each has a column;
    `heads` are the questions of several columns."""

    knows: Literal["tags", "numbers", "columns"]
    values: Float[np.ndarray, "n k"]
    text: tuple[str, ...] = ()
    absent: float = np.nan
    heads: tuple[Head, ...] = ()

    @property
    def unit(self) -> Literal["labels", "values"]:  # type: ignore[override]
        return "labels" if self.knows == "tags" else "values"

    def _measured(self) -> Bool[np.ndarray, "k"]:
        """The entries that are numbers."""
        if self.knows != "columns":
            return np.full(self.values.shape[1], self.knows == "numbers")
        return np.repeat([head.kind == "number" for head in self.heads], [len(head.answers) for head in self.heads])

    def truth(self, record: Record) -> Float[np.ndarray, "k"]:
        row: Float[np.ndarray, "k"] = self.values[record.id]
        return row

    def inspect(
        self, records: Sequence[Record], sizes: Sequence[Stored], *, workers: int, cache_dir: Path | None
    ) -> list[Inspection]:
        return [self._inspect(record) for record in records]

    def _inspect(self, record: Record) -> Inspection:
        row = self.values[record.id]
        known = ~np.isnan(row)
        amount = np.where(self._measured(), known, row == 1).astype(np.int64)
        if not known.any():
            reason, fix = "no-label: nothing is known of this image", "fill it in, or remove the row"
            return Inspection("", amount, (Problem(printable(record.name), None, reason, fix, QUARANTINED, record.id),))
        return Inspection(hashlib.sha256(np.where(known, row, np.nan).tobytes()).hexdigest(), amount)
