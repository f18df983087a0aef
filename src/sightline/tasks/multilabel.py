"""Any of k labels for each image: binary cross-entropy of each, independent of the others."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sightline.losses.classification import binary_cross_entropy
from sightline.metrics.multilabel import label_metrics
from sightline.structures.batch import Batch
from sightline.structures.predictions import LabelScores, Prediction
from sightline.structures.rows.labels import LabelRows
from sightline.structures.targets import Values

from .task import Loss, Task


class Multilabel(Task):
    """`model` maps images (b, c, h, w) in 0-255 units to scores (b, k), whose sigmoid is the probability of each label. In
    training it may return a NamedTuple instead: the scores, followed by those of auxiliary heads (see `Classification`).

    The loss is the mean over all entries whose label is known; the others have no gradient. `threshold` is the probability
    from which an image is said to have a label.
    """

    def __init__(self, model: nn.Module, *, threshold: float = 0.5, aux_weight: float = 0.3) -> None:
        super().__init__()
        self.model = model
        self.threshold = threshold
        self.aux_weight = aux_weight

    def loss(self, batch: Batch, turn: str = "model") -> Loss:
        labels = _values(batch)
        outputs = self.model(batch.image)
        scores, *auxiliary = outputs if isinstance(outputs, tuple) else (outputs,)  # (b, k) each
        mean, weight = self._criterion(scores, labels)
        total = mean + sum(self.aux_weight * self._criterion(extra, labels)[0] for extra in auxiliary)
        return Loss(total, weight, {"loss": (mean.detach(), weight.detach())})

    def predict(self, batch: Batch) -> LabelScores:
        return LabelScores(self.model(batch.image).float().sigmoid())

    def rows(self, batch: Batch, prediction: Prediction) -> LabelRows:
        assert isinstance(prediction, LabelScores)
        labels = _values(batch)
        target = torch.where(labels.known, labels.value, torch.nan).cpu().double().numpy()
        return LabelRows(
            batch.id.cpu().numpy(), target, prediction.probability.cpu().double().numpy(), float(self.threshold)
        )

    def metrics(self, rows: LabelRows) -> dict[str, float | None]:
        return label_metrics(rows.target, rows.probability, rows.threshold)

    def _criterion(self, scores: Float[Tensor, "b k"], labels: Values) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
        return binary_cross_entropy(scores, labels.value, known=labels.known)


def _values(batch: Batch) -> Values:
    if not isinstance(batch.target, Values):
        raise TypeError(f"Multilabel needs Values, but the batch has {type(batch.target).__name__}")
    return batch.target
