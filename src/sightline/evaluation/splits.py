"""The rows of a whole split, with one batch of predictions in memory at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from sightline.engine.predicting import predictions
from sightline.structures.batch import Batch
from sightline.tasks.task import Task


class Interrupted(Exception):
    """Raised when a measurement is stopped between two batches."""


def rows_of(task: Task, batches: Iterable[Batch], device: str, *, stop: Callable[[], bool] = lambda: False) -> Any:
    """A row for every sample, in order. Raises Interrupted as soon as `stop()` is true."""
    parts = [task.rows(batch, prediction) for batch, prediction in predictions(task, _until(stop, batches), device)]
    return type(parts[0]).join(parts)


def _until(stop: Callable[[], bool], batches: Iterable[Batch]) -> Iterator[Batch]:
    for batch in batches:
        if stop():
            raise Interrupted
        yield batch
