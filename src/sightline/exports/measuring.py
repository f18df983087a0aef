"""What a reduced precision costs and gains: the run's own metric on its validation images, and the time of a batch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from sightline.data.loaders import Images, in_order
from sightline.evaluation.intervals import interval
from sightline.runtime.model import Model
from sightline.tasks.task import Task

from .latency import median_ms
from .plan import Export

BATCH = 8
RESAMPLES = 200


@dataclass(frozen=True)
class Validation:
    """The images on which precisions are compared: all of a `split`, with their truth. `metric` is the run's headline."""

    images: Images
    split: str
    metric: str


@dataclass(frozen=True)
class Comparison:
    """`full` and `reduced` are the metric with either precision, `lost` their difference in points with its 95 % `interval`,
    `speedup` the ratio of times of a batch."""

    metric: str
    split: str
    images: int
    full: float
    reduced: float
    lost: float
    interval: tuple[float, float] | None
    full_ms: float
    reduced_ms: float

    @property
    def speedup(self) -> float:
        return self.full_ms / self.reduced_ms

    def to_json(self) -> dict[str, Any]:
        values = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return {**values, "speedup": self.speedup, "batch": BATCH}

    def words(self) -> str:
        spread = f" ({self.interval[0]:+.2f} to {self.interval[1]:+.2f})" if self.interval else ""
        return (
            f"{self.speedup:.2f} times as fast, {self.metric} {self.full:.4f} → {self.reduced:.4f} on {self.images:,} "
            f"{self.split} images, {self.lost:+.2f}{spread} points lost"
        )


def compare(full: Model, reduced: Model, task: Task, export: Export, validation: Validation) -> Comparison:
    """Both exports on the same images; resamples draw the same images for both."""
    rows = [_rows(model, task, export, validation) for model in (full, reduced)]
    metric = _metric(task, validation.metric)
    values, n = [metric(one) for one in rows], len(rows[0])
    random = np.random.default_rng(0)
    drawn = [random.integers(0, n, n) for _ in range(RESAMPLES)]
    lost = np.array([100 * (metric(rows[0].take(which)) - metric(rows[1].take(which))) for which in drawn])
    places = np.arange(min(BATCH, len(validation.images)))
    image = next(in_order(validation.images, BATCH)).image[places].numpy()
    times = [median_ms(partial(model.decoding.run, model.graphs, image)) for model in (full, reduced)]
    gap = 100 * (values[0] - values[1])
    return Comparison(
        validation.metric, validation.split, n, values[0], values[1], gap, interval(lost), times[0], times[1]
    )


def _rows(model: Model, task: Task, export: Export, validation: Validation) -> Any:
    parts = []
    for batch in in_order(validation.images, BATCH):
        outputs = model.decoding.run(model.graphs, np.ascontiguousarray(batch.image.numpy()))
        parts.append(task.rows(batch, export.prediction(outputs)))
    return type(parts[0]).join(parts)


def _metric(task: Task, name: str) -> Callable[[Any], float]:
    def value(rows: Any) -> float:
        found = task.metrics(rows)[name]
        return float("nan") if found is None else float(found)

    return value
