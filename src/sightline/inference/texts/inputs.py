"""What `predict` is asked about where a run reads texts: texts themselves, files with one a line, tables of texts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

import numpy as np
import torch

from sightline.data.files.encodings import read_text
from sightline.data.formats.texts.sentences import read_texts, text_tables
from sightline.data.records.names import suffix
from sightline.data.records.texts import Sentences
from sightline.errors import DataError, UsageError
from sightline.runtime.model import Source
from sightline.structures.batch import Batch
from sightline.structures.inputs import Texts
from sightline.structures.targets import Wordings

from ..inputs import Item, Skipped

SHORT = 60  # characters of a text that names its row


@dataclass
class TextInputs:
    """The texts of some arguments: a .txt file has one a line, a table those of its column, and anything else is a text."""

    paths: Sequence[str | Path]
    skipped: Skipped = field(default_factory=Skipped)
    moving = False

    def __post_init__(self) -> None:
        self.roots = [str(path) for path in self.paths if _is_file(path)]
        if not self.paths:
            raise UsageError("no texts are named", "pass texts in quotes, .txt files with one a line, or tables")

    def first(self) -> Iterable[Item]:
        """The items, of which there is one. Raises DataError where there is none."""
        items = iter(self._items())
        head = next(items, None)
        if head is None:
            raise DataError("the files hold no text", "write one text a line")
        return chain((head,), items)

    def _items(self) -> Iterator[Item]:
        for path in self.paths:
            if not _is_file(path):
                yield item_of(str(path))
                continue
            for line in _lines(Path(path)):
                yield item_of(line)


def _is_file(path: str | Path) -> bool:
    try:
        return Path(path).is_file()
    except (OSError, ValueError):  # a text that is too long for a name, or has a NUL
        return False


def _lines(path: Path) -> Iterable[str]:
    if suffix(path.name) in (".csv", ".tsv", ".jsonl"):
        if not text_tables(path):
            raise DataError(f"{path} has no column of texts", "name it `text` or `source` in the header")
        contents = read_texts([path], path.parent).contents
        return contents.text if isinstance(contents, Sentences) else ()
    text, _ = read_text(path)
    return [line.strip() for line in text.splitlines() if line.strip()]


def item_of(text: str) -> Item:
    """A text as an item: its bytes are its source, as in `data.records.texts`."""
    name = text if len(text) <= SHORT else text[: SHORT - 1] + "…"
    return Item(name, np.frombuffer(text.encode("utf-8", "replace"), np.uint8)[None], name)


def batch_of_texts(part: Sequence[tuple[int, Source]], name: str) -> Batch:
    """A batch of texts under that name, without truths; `part` are numbers and sources of `item_of`."""
    ids = torch.tensor([number for number, _ in part])
    texts = []
    for _, source in part:
        assert isinstance(source, np.ndarray)
        texts.append(source.tobytes().decode())
    return Batch({name: Texts(tuple(texts))}, ids, ids, Wordings(((),) * len(texts)))
