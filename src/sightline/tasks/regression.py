"""One or several numbers for each image: squared, absolute or Huber's error of standardised values."""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sightline.losses.means import in_32_bits, mean_of_known
from sightline.losses.regression import smooth_l1, squared_error
from sightline.metrics.regression import number_metrics
from sightline.structures.batch import Batch
from sightline.structures.predictions import Numbers, Prediction
from sightline.structures.rows.labels import NumberRows
from sightline.structures.targets import Values

from .task import Loss, Task

RegressionLoss = Literal["l2", "l1", "huber"]


class Regression(Task):
    """`model` maps images (b, c, h, w) in 0-255 units to outputs (b, t); the prediction is mean + std · output, in the units of
    the data, with `mean` (t,) and `std` (t,) those of the training images. In training the network may return a NamedTuple:
    the outputs, followed by those of auxiliary heads (see `Classification`).

    The loss is computed on standardised values, so that targets of all units weigh the same and one learning rate fits all;
    it is the mean over the known entries. l2: squared error; l1: absolute error; huber: smooth L1 with β = 1 standard
    deviation (Huber 1964). The reported loss is always the squared error, so that it can be compared with validation; the
    reported `mae` is in the data's units, the mean over the targets.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        model: nn.Module,
        *,
        mean: Float[Tensor, "t"],
        std: Float[Tensor, "t"],
        loss: RegressionLoss = "l2",
        aux_weight: float = 0.3,
    ) -> None:
        super().__init__()
        self.model = model
        self.kind = loss
        self.aux_weight = aux_weight
        self.register_buffer("mean", mean, persistent=False)
        self.register_buffer("std", std, persistent=False)

    def loss(self, batch: Batch, turn: str = "model") -> Loss:
        values = _values(batch)
        outputs = self.model(batch.image)
        scores, *auxiliary = outputs if isinstance(outputs, tuple) else (outputs,)  # (b, t) each
        target = (values.value - self.mean) / self.std
        mean, weight = self._criterion(scores, target, values)
        total = mean + sum(self.aux_weight * self._criterion(extra, target, values)[0] for extra in auxiliary)
        with torch.no_grad():
            error = (in_32_bits(scores) - target).abs() * self.std
            squares = squared_error(scores, target, known=values.known)
        return Loss(total, weight, {"loss": squares, "mae": mean_of_known(error, values.known)})

    def predict(self, batch: Batch) -> Numbers:
        return Numbers(self.model(batch.image).float() * self.std + self.mean)

    def rows(self, batch: Batch, prediction: Prediction) -> NumberRows:
        assert isinstance(prediction, Numbers)
        values = _values(batch)
        target = torch.where(values.known, values.value.double(), torch.nan).cpu().numpy()
        constant, scale = (x.cpu().double().numpy() for x in (self.mean, self.std))
        return NumberRows(batch.id.cpu().numpy(), target, prediction.value.cpu().double().numpy(), constant, scale)

    def metrics(self, rows: NumberRows) -> dict[str, float | None]:
        return number_metrics(rows.target, rows.prediction, rows.constant, rows.scale)

    def _criterion(
        self, outputs: Float[Tensor, "b t"], target: Float[Tensor, "b t"], values: Values
    ) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
        if self.kind == "l1":
            return mean_of_known((in_32_bits(outputs) - target).abs(), values.known)
        if self.kind == "huber":
            return smooth_l1(outputs, target, known=values.known)
        return squared_error(outputs, target, known=values.known)


def _values(batch: Batch) -> Values:
    if not isinstance(batch.target, Values):
        raise TypeError(f"Regression needs Values, but the batch has {type(batch.target).__name__}")
    return batch.target
