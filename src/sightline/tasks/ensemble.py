"""Several trained tasks of one kind as one: the mean of their probabilities, or of their numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from sightline.structures.batch import Batch
from sightline.structures.predictions import Classes, LabelScores, Numbers, Prediction, Segments

from .task import Loss, Task


class Ensemble(Task):
    """`members` predict batches in the same frame; each normalises them in its own way. It is not trained."""

    turns = ()

    def __init__(self, members: Sequence[Task]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)

    def loss(self, batch: Batch, turn: str) -> Loss:
        raise TypeError("an ensemble is not trained, its members are")

    def predict(self, batch: Batch) -> Prediction:
        return mean_prediction([self._member(i).predict(batch) for i in range(len(self.members))])

    def rows(self, batch: Batch, prediction: Prediction) -> Any:
        return self.first.rows(batch, prediction)

    def metrics(self, rows: Any) -> dict[str, float | None]:
        return self.first.metrics(rows)

    @property
    def first(self) -> Task:
        """The member whose settings (a threshold, the units of a number) are those of the whole."""
        return self._member(0)

    def _member(self, i: int) -> Task:
        member = self.members[i]
        assert isinstance(member, Task)
        return member


def mean_prediction(members: Sequence[Prediction]) -> Prediction:
    """The mean of probabilities or numbers; of pixels, the logarithm of the mean probabilities, which are scores again.
    TypeError for predictions that have no mean, such as boxes."""
    first = members[0]
    if isinstance(first, Classes | LabelScores):
        return type(first)(torch.stack([one.probability for one in members]).mean(0))  # type: ignore[union-attr]
    if isinstance(first, Numbers):
        return Numbers(torch.stack([one.value for one in members]).mean(0))  # type: ignore[union-attr]
    if isinstance(first, Segments):
        shares = torch.stack([one.score.softmax(1) for one in members]).mean(0)  # type: ignore[union-attr]
        return Segments(shares.clamp(min=1e-12).log())
    raise TypeError(f"{type(first).__name__} have no mean")
