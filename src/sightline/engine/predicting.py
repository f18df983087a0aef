"""Predictions for batches: the one path that validation, evaluation, `predict` and reports share."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch

from sightline.structures.batch import Batch
from sightline.structures.predictions import Prediction
from sightline.tasks.task import Task

from .devices import unwrapped


def predictions(
    task: Task, batches: Iterable[Batch], device: torch.device | str = "cpu"
) -> Iterator[tuple[Batch, Prediction]]:
    """Yield (batch, prediction) in full precision, in eval mode, without gradients. The task's mode is restored
    afterwards; it stays on `device`."""
    training = task.training
    task.to(device).eval()
    try:
        for batch in batches:
            with torch.inference_mode(), unwrapped(task):
                moved = batch.to(device, non_blocking=True)
                prediction = task.predict(moved)
            yield moved, prediction
    finally:
        task.train(training)
