"""One of k classes for each image: cross-entropy, the multiclass hinge or the focal loss, label smoothing, class weights."""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sightline.losses.adversarial import Adversary
from sightline.losses.classification import cross_entropy, focal_of_classes, multiclass_hinge
from sightline.metrics.classification import classification_metrics
from sightline.structures.batch import Batch
from sightline.structures.predictions import Classes, ClassRows, Prediction
from sightline.structures.targets import Labels

from .task import Loss, Task


class Classification(Task):
    """`model` maps images (b, c, h, w) in 0-255 units to scores (b, k). In training it may return a NamedTuple instead: the
    scores, followed by those of auxiliary heads, whose losses are added with weight `aux_weight` (Szegedy et al. 2014,
    arXiv:1409.4842: 0.3).

    The reported loss is always plain cross-entropy, so it can be compared with validation, whatever loss is minimised.
    With an `adversary`, training learns from images that were attacked first; validation is on the images as they are.
    The focal loss has γ = 2. With the hinge loss, probabilities are the softmax of the scores: their order is right, but they
    are not calibrated.
    """

    class_weight: Tensor | None

    def __init__(
        self,
        model: nn.Module,
        *,
        loss: Literal["cross_entropy", "hinge", "focal"] = "cross_entropy",
        label_smoothing: float = 0.0,
        class_weight: Float[Tensor, "k"] | None = None,
        aux_weight: float = 0.3,
        adversary: Adversary | None = None,
    ) -> None:
        super().__init__()
        self.model = model
        self.kind = loss
        self.label_smoothing = label_smoothing
        self.aux_weight = aux_weight
        self.adversary = adversary
        self.register_buffer("class_weight", class_weight, persistent=False)

    def loss(self, batch: Batch, turn: str = "model") -> Loss:
        labels = _labels(batch)
        outputs = self.model(self._attacked(batch, labels))
        scores, *auxiliary = outputs if isinstance(outputs, tuple) else (outputs,)  # (b, k) each
        mean, weight = self._criterion(scores, labels)
        total = mean + sum(self.aux_weight * self._criterion(extra, labels)[0] for extra in auxiliary)
        with torch.no_grad():
            right = ((scores.argmax(1) == labels.index) & labels.known).float().sum()
            known = labels.known.sum()
            plain = self.kind == "cross_entropy" and not self.label_smoothing and self.class_weight is None
            reported = (mean.detach(), weight.detach()) if plain else cross_entropy(scores, labels)
        return Loss(total, weight, {"loss": reported, "accuracy": (right / known.clamp(min=1), known)})

    def _attacked(self, batch: Batch, labels: Labels) -> Tensor:
        """The images that the step learns from."""
        if self.adversary is None or not self.training:
            return batch.image

        def total(scores: Tensor) -> Tensor:
            mean, weight = cross_entropy(scores, labels)
            return mean * weight

        return self.adversary(self.model, batch.image, batch.position, total)

    def predict(self, batch: Batch) -> Classes:
        return Classes(self.model(batch.image).float().softmax(-1))

    def rows(self, batch: Batch, prediction: Prediction) -> ClassRows:
        assert isinstance(prediction, Classes)
        labels = _labels(batch)
        target = torch.where(labels.known, labels.index, -1)
        return ClassRows(batch.id.cpu().numpy(), target.cpu().numpy(), prediction.probability.cpu().double().numpy())

    def metrics(self, rows: ClassRows) -> dict[str, float | None]:
        return classification_metrics(rows.target, rows.probability)

    def _criterion(self, scores: Float[Tensor, "b k"], labels: Labels) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
        """(mean, weight) of the loss."""
        if self.kind == "hinge":
            return multiclass_hinge(scores, labels, class_weight=self.class_weight)
        if self.kind == "focal":
            return focal_of_classes(scores, labels, class_weight=self.class_weight)
        return cross_entropy(scores, labels, smoothing=self.label_smoothing, class_weight=self.class_weight)


def _labels(batch: Batch) -> Labels:
    if not isinstance(batch.target, Labels):
        raise TypeError(f"Classification needs Labels, but the batch has {type(batch.target).__name__}")
    return batch.target
