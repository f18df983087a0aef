"""A data set as described by its files, before any image is decoded."""

from __future__ import annotations

from dataclasses import dataclass, field

from .annotations import Annotations
from .records import QUARANTINED, Content, Contents, Problem, Record

UNLABELLED = "the images have no labels"  # how the note about it begins


@dataclass(frozen=True)
class Source:
    """`kind` is "image-folder", "flat-folder", "flat-folder+csv", "csv", "idx", "parquet", "digits", "masks", "coco",
    "voc", "webdataset", "captions" or "sentences"; `classes` in index order; `emptied` are classes all of whose items
    were refused; `given_splits` the splits that the data name, also those whose items were all refused; `notes` are
    sentences to show before training; `problems` are items that could not become records: those with the action
    "quarantined" count as one item each; `annotations` if more than one class per image is known; `column` is the one
    that holds the labels, `reading` how they were read and why, where that is no matter of course; `synsets` are the
    folders of the classes, where a file names these; `columns` name the metadata of the records."""

    name: str
    kind: str
    root: str
    records: tuple[Record, ...]
    classes: tuple[str, ...]
    contents: Contents
    emptied: tuple[str, ...] = ()
    given_splits: frozenset[str] = frozenset()
    notes: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()
    annotations: Annotations | None = field(default=None, compare=False)
    column: str = ""
    reading: str = ""
    synsets: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()

    def __len__(self) -> int:
        """The number of all items, quarantined ones included."""
        return len(self.records) + sum(p.action == QUARANTINED for p in self.problems)

    @property
    def items(self) -> str:
        """What its records are, in the plural."""
        return self.kind if self.kind == "sentences" else "images"

    def load(self, record: Record) -> Content:
        """As `Contents.load`."""
        return self.contents.load(record)
