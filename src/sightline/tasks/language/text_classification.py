"""One of k classes for each text: cross-entropy of the class."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sightline.losses.classification import cross_entropy
from sightline.metrics.classification import classification_metrics
from sightline.preprocessing.tokens.vocabulary import Vocabulary
from sightline.structures.batch import Batch
from sightline.structures.inputs import Texts
from sightline.structures.predictions import Classes, ClassRows
from sightline.structures.targets import Labels
from sightline.tasks.task import Loss, Task

from .tokens import Tokenised


class TextClassification(Task):
    """`model` maps tokens (b, n) and their mask to scores (b, k)."""

    def __init__(
        self, model: nn.Module, vocabulary: Vocabulary, *, longest: int, smoothing: float = 0.0, name: str = "source"
    ) -> None:
        super().__init__()
        self.model, self.name, self.smoothing = model, name, smoothing
        self.tokenised = Tokenised(vocabulary, longest)

    def _scores(self, batch: Batch) -> Float[Tensor, "b k"]:
        texts = batch.inputs[self.name]
        assert isinstance(texts, Texts)
        scores: Tensor = self.model(*self.tokenised(texts.text, batch.id.device))
        return scores

    def loss(self, batch: Batch, turn: str = "model") -> Loss:
        labels = _labels(batch)
        scores = self._scores(batch)
        plain, weight = cross_entropy(scores, labels)
        total = plain if not self.smoothing else cross_entropy(scores, labels, smoothing=self.smoothing)[0]
        with torch.no_grad():
            known = labels.known.sum().clamp(min=1)
            right = ((scores.argmax(1) == labels.index) & labels.known).float().sum() / known
        return Loss(total, weight, {"loss": plain.detach(), "accuracy": right})

    def predict(self, batch: Batch) -> Classes:
        return Classes(self._scores(batch).float().softmax(1))

    def rows(self, batch: Batch, prediction: Any) -> ClassRows:
        assert isinstance(prediction, Classes)
        labels = _labels(batch)
        target = torch.where(labels.known, labels.index, -1)
        return ClassRows(batch.id.cpu().numpy(), target.cpu().numpy(), prediction.probability.cpu().double().numpy())

    def metrics(self, rows: ClassRows) -> dict[str, float | None]:
        return classification_metrics(rows.target, rows.probability)


def _labels(batch: Batch) -> Labels:
    """The classes; unknown ones for texts that are only asked about."""
    if isinstance(batch.target, Labels):
        return batch.target
    return Labels.of(torch.full((len(batch),), -1, device=batch.id.device))
