"""Texts as data: what is written of each image, or sentences with what belongs to each of them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import final

import numpy as np
from jaxtyping import UInt8

from .annotations import Annotations, Inspection
from .records import Contents, Record
from .source import Source
from .upright import Stored

SENTENCES = "sentences"  # the kind of a source whose samples are texts


@dataclass(frozen=True)
class Sentences(Contents):
    """Record i is `text[i]`. Its bytes take the place of pixels, one row of them: copies, leaks between splits and changes
    are then known as those of images are."""

    text: tuple[str, ...]

    def load(self, record: Record) -> UInt8[np.ndarray, "1 n"]:
        return np.frombuffer(self.text[record.id].encode(), np.uint8)[None]

    def stamp(self, record: Record) -> None:
        return None


@final
@dataclass(frozen=True, eq=False)
class TextTable(Annotations):
    """`texts`: what belongs to each record, in one or several wordings; `classes` are those of its records' labels."""

    texts: tuple[tuple[str, ...], ...]
    classes: tuple[str, ...] = ()
    knows = "texts"
    unit = "labels"

    def truth(self, record: Record) -> tuple[str, ...]:
        return self.texts[record.id]

    def inspect(
        self, records: Sequence[Record], sizes: Sequence[Stored], *, workers: int, cache_dir: Path | None
    ) -> list[Inspection]:
        return [self._inspect(record) for record in records]

    def _inspect(self, record: Record) -> Inspection:
        amount = np.array([name == record.label for name in self.classes], np.int64)
        content = json.dumps([record.label, *self.texts[record.id]])
        return Inspection(hashlib.sha256(content.encode()).hexdigest(), amount)


def with_texts(source: Source, texts: Sequence[Sequence[str]], reading: str) -> Source:
    """The source with these texts for each record, and without classes."""
    records = tuple(replace(record, label=None) for record in source.records)
    table = TextTable(tuple(tuple(each) for each in texts))
    return replace(source, records=records, classes=(), annotations=table, reading=reading)


def texts_of_images(source: Source) -> Source | None:
    """Images with what is written of them: captions, or else their labels, or else the names of their files without folder
    and suffix. None for other data."""
    table = source.annotations
    if isinstance(table, TextTable):
        return None if source.kind == SENTENCES else source
    if table is not None:
        return None
    if source.classes:
        texts = [() if record.label is None else (record.label,) for record in source.records]
        return with_texts(source, texts, "the label of each image is its text")
    stems = [record.name.rsplit("/", 1)[-1].rsplit(".", 1)[0] for record in source.records]
    return with_texts(source, [(stem,) for stem in stems], "the name of each file is the text of its image")
