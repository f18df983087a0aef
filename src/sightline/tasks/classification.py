"""One of k classes for each image: cross-entropy or the multiclass hinge, label smoothing, class weights."""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sightline.losses.classification import cross_entropy, multiclass_hinge
from sightline.metrics.classification import classification_metrics
from sightline.structures.batch import Batch
from sightline.structures.predictions import Classes, ClassRows, Prediction
from sightline.structures.targets import Labels

from .task import Loss, Task


class Classification(Task):
    """`model` maps images (b, c, h, w) in 0-255 units to scores (b, k). While it trains it may answer with a NamedTuple
    instead: the scores, then those of auxiliary heads, each judged alike and counted `aux_weight` times (Szegedy et al.
    2014, arXiv:1409.4842: 0.3).

    What it tells as its loss is the plain cross-entropy, which validations measure, whatever it descends.
    With the hinge, probabilities are the softmax of the scores: ordered rightly, calibrated by nothing.
    """

    class_weight: Tensor | None

    def __init__(
        self,
        model: nn.Module,
        *,
        loss: Literal["cross_entropy", "hinge"] = "cross_entropy",
        label_smoothing: float = 0.0,
        class_weight: Float[Tensor, "k"] | None = None,
        aux_weight: float = 0.3,
    ) -> None:
        super().__init__()
        self.model = model
        self.kind = loss
        self.label_smoothing = label_smoothing
        self.aux_weight = aux_weight
        self.register_buffer("class_weight", class_weight, persistent=False)

    def loss(self, batch: Batch, turn: str = "model") -> Loss:
        labels = _labels(batch)
        answer = self.model(batch.image)
        scores, *auxiliary = answer if isinstance(answer, tuple) else (answer,)  # (b, k) each
        mean, weight = self._judged(scores, labels)
        total = mean + sum(self.aux_weight * self._judged(extra, labels)[0] for extra in auxiliary)
        with torch.no_grad():
            right = ((scores.argmax(1) == labels.index) & labels.known).float().sum()
            known = labels.known.sum()
            usual = self.kind == "cross_entropy" and not self.label_smoothing and self.class_weight is None
            shown = (mean.detach(), weight.detach()) if usual else cross_entropy(scores, labels)
        return Loss(total, weight, {"loss": shown, "accuracy": (right / known.clamp(min=1), known)})

    def predict(self, batch: Batch) -> Classes:
        return Classes(self.model(batch.image).float().softmax(-1))

    def rows(self, batch: Batch, prediction: Prediction) -> ClassRows:
        assert isinstance(prediction, Classes)
        labels = _labels(batch)
        target = torch.where(labels.known, labels.index, -1)
        return ClassRows(batch.id.cpu().numpy(), target.cpu().numpy(), prediction.probability.cpu().double().numpy())

    def metrics(self, rows: ClassRows) -> dict[str, float | None]:
        return classification_metrics(rows.target, rows.probability)

    def _judged(self, scores: Float[Tensor, "b k"], labels: Labels) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
        """(mean, weight) of the loss."""
        if self.kind == "hinge":
            return multiclass_hinge(scores, labels, class_weight=self.class_weight)
        return cross_entropy(scores, labels, smoothing=self.label_smoothing, class_weight=self.class_weight)


def _labels(batch: Batch) -> Labels:
    if not isinstance(batch.target, Labels):
        raise TypeError(f"Classification needs Labels, this batch has {type(batch.target).__name__}")
    return batch.target
