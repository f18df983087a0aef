"""Rows and measurements of a split → its slices, the temperature, the shift from training: `diagnosis/<split>.json` of a
run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from sightline.evaluation.diagnosis.conditions import CLUSTER
from sightline.evaluation.diagnosis.images import ImageTable, Measuring
from sightline.evaluation.diagnosis.shift import shifts
from sightline.evaluation.diagnosis.slices import find_slices
from sightline.evaluation.diagnosis.temperature import scale
from sightline.kinds.kind import Scoring
from sightline.structures.batch import Batch
from sightline.tasks.task import Task

from .grouping import Grouping


@dataclass
class Noting:
    """Measures images and notes their vectors while they are predicted: `over` the batches, then `table`."""

    task: Task
    classes: int
    measuring: Measuring = field(default_factory=Measuring)
    grouping: Grouping = field(init=False)

    def __post_init__(self) -> None:
        self.grouping = Grouping(self.task, self.classes)

    def over(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        """The same batches."""
        return self.grouping.over(self.measuring.over(batches))

    def table(self) -> ImageTable:
        """The measurements, and the group of each image where the network has a layer of scores."""
        table, groups = self.measuring.table(), self.grouping.groups()
        if groups is None or not np.array_equal(groups[0], table.id):
            return table
        return replace(table, words={**table.words, CLUSTER: groups[1]})


def diagnose(
    scoring: Scoring,
    rows: Any,
    judgement: Any,
    table: ImageTable,
    *,
    val: Any = None,
    tables: Mapping[str, ImageTable] | None = None,
) -> dict[str, Any]:
    """What the rows of a split say, ready for JSON: `slices`; `temperature` chosen on the rows `val`; `shifts` of its images
    from those of training (`tables` by split)."""
    facts: dict[str, Any] = {}
    if scoring.per_image is not None:
        facts["slices"] = find_slices(scoring.per_image(rows, judgement), table).to_json()
    if val is not None and scoring.probabilities is not None:
        scaled = scale(scoring.probabilities(val), scoring.probabilities(rows))
        facts["temperature"] = None if scaled is None else scaled.to_json()
    train = (tables or {}).get("train")
    if train is not None:
        facts["shifts"] = [shift.to_json() for shift in shifts(train, table)]
    return facts
