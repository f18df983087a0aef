"""A data set as its layout says it is, before anybody looked inside an image."""

from __future__ import annotations

from dataclasses import dataclass, field

from .annotations import Annotations
from .records import QUARANTINED, Content, Contents, Problem, Record


@dataclass(frozen=True)
class Source:
    """A data set as found: `kind` is "image-folder", "flat-folder", "flat-folder+csv", "csv", "idx", "parquet", "digits",
    "masks", "coco" or "voc"; `classes` in index order; `emptied` are classes all of whose items were refused;
    `given_splits` those that are spoken of, also where none of their items became a record; `notes` are sentences to say
    before training; `problems` name what could not become a record: those with action "quarantined" count in the total,
    once each; `annotations` where more is known of an image than its class."""

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

    def __len__(self) -> int:
        """All items that were found, quarantined ones included."""
        return len(self.records) + sum(p.action == QUARANTINED for p in self.problems)

    def load(self, record: Record) -> Content:
        """What `Contents.load` gives."""
        return self.contents.load(record)
