"""Every image on its way from input to row: predict it, choose what is reported, write its mask."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np

from sightline.drawing.png import png_bytes
from sightline.errors import UsageError
from sightline.runtime.choosing import ALL, Choice, chosen_classes
from sightline.runtime.model import Source
from sightline.sampling.marks import translated
from sightline.storage.files import replace_file

from .answering import Answering, Row
from .inputs import Item
from .naming import place_of


class Predicted(NamedTuple):
    """One image, its row, and the class of each pixel where there are masks."""

    item: Item
    row: Row
    mask: np.ndarray | None


@dataclass
class Stream:
    """Predictions of items, in order; iterate once.

    masks    the folder that gets the mask of each image as a PNG; None: none are written
    keep     whether masks are handed on with the rows
    waiting  the items between being read and being answered: as many as are read ahead
    """

    answering: Answering
    items: Iterable[Item]
    choice: Choice = ALL
    masks: Path | None = None
    keep: bool = False
    waiting: dict[int, Item] = field(default_factory=dict)
    _kept: dict[int, np.ndarray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        artificial = self.answering.answers.artificial
        self._text = translated(self.answering.folder.name) if artificial else None

    def __iter__(self) -> Iterator[Predicted]:
        choose = self.answering.answers.choose
        for number, row in enumerate(self.answering.rows(self._sources(), self._keep)):
            item = self.waiting.pop(number)
            row = {"error": item.error} if item.error else row
            if choose is not None and "error" not in row and self.choice != ALL:
                row = choose(row, self.choice)
            yield Predicted(item, {**item.head, **row}, self._kept.pop(number, None))

    def _sources(self) -> Iterator[Source]:
        for number, item in enumerate(self.items):
            self.waiting[number] = item
            yield item.source

    def _keep(self, number: int, mask: np.ndarray) -> str | None:
        mask = self.answering.answers.select(mask, self.choice, self.answering.classes)
        if self.keep:
            self._kept[number] = mask
        if self.masks is None:
            return None
        file = place_of(self.masks, self.waiting[number], mask=True)
        replace_file(file, png_bytes(mask, self._text))
        return str(file)


def choice_of(answering: Answering, conf: float | None, classes: str | Iterable[str] | None) -> Choice:
    """What `conf` and `classes` ask for. UsageError where they mean nothing to these predictions, or name no class."""
    answers = answering.answers
    if conf is not None and (answers.choose is None or not answers.confident):
        raise UsageError(f"--conf does not apply to {answering.kind}", "leave it out")
    if classes is not None and answers.choose is None:
        raise UsageError(f"--classes does not apply to {answering.kind}", "leave it out")
    names = chosen_classes(classes if classes is None or isinstance(classes, str) else list(classes), answering.classes)
    if conf is None and answering.score is not None:
        conf = answering.score[0]
    return Choice(conf, names)
