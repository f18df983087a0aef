"""The last hidden layer of a network, noted while a split is predicted: what groups of similar images are made of."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from torch import nn

from sightline.errors import UsageError
from sightline.evaluation.diagnosis.clusters import clusters
from sightline.inference.embedding import head_of, inputs_of
from sightline.structures.batch import IMAGE, Batch
from sightline.structures.inputs import Pixels
from sightline.tasks.task import Task

MAIN = "model"


@dataclass
class Grouping:
    """Notes the vector of each image as its batch is predicted. A network without a layer of scores is left alone."""

    task: Task
    classes: int
    _id: list[Int[np.ndarray, "b"]] = field(default_factory=list)
    _vectors: list[Float[np.ndarray, "b d"]] = field(default_factory=list)

    def over(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        """The same batches; each must be predicted, in eval mode, before the next one is taken."""
        hook: AbstractContextManager[Any] | None = None
        taken, tried = None, False
        try:
            for batch in batches:
                if not tried:
                    tried, head = True, self._head(batch)
                    hook = inputs_of(head) if head is not None else None
                    taken = hook.__enter__() if hook is not None else None
                yield batch
                if taken is not None:
                    vectors = taken()
                    if len(vectors) == len(batch):
                        self._id.append(batch.id.cpu().numpy())
                        self._vectors.append(vectors.float().cpu().numpy())
        finally:
            if hook is not None:
                hook.__exit__(None, None, None)

    def groups(self) -> tuple[Int[np.ndarray, "n"], list[str]] | None:
        """The ids and the group of each in words; None where there are none."""
        if not self._id:
            return None
        found = clusters(np.concatenate(self._vectors))
        return None if found is None else (np.concatenate(self._id), [f"group {i + 1}" for i in found.tolist()])

    def _head(self, batch: Batch) -> nn.Module | None:
        network, pixels = getattr(self.task, MAIN, None), batch.inputs.get(IMAGE)
        if not isinstance(network, nn.Module) or not isinstance(pixels, Pixels):
            return None
        parameter = next(network.parameters(), None)
        if parameter is None:
            return None
        try:
            return head_of(network, pixels.image[:1].to(parameter.device), self.classes)
        except UsageError:
            return None
