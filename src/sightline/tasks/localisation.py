"""The class and the box of the one object in each image (Sermanet et al. 2013, arXiv:1312.6229)."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from sightline.decoding.detections import MIN_SIDE
from sightline.losses.localisation import localisation_loss
from sightline.metrics.localisation import localisation_metrics
from sightline.structures.batch import Batch
from sightline.structures.detection_rows import DetectionRows
from sightline.structures.predictions import Detections, Prediction

from .regions import boxes_of, detection_rows
from .task import Loss, Task

CORNERS = 4


class Localisation(Task):
    """`model` maps images (b, c, h, w) in 0-255 units to (b, k + 1 + 4): scores of k classes and of no object, then corners as
    shares of the frame. A prediction has one box, or none where no object is the most probable.

    classes       k
    box_weight    of the squared distance of the corners beside the cross-entropy of the class
    """

    def __init__(self, model: nn.Module, *, classes: int, box_weight: float = 10.0) -> None:
        super().__init__()
        self.model = model
        self.classes = classes
        self.box_weight = box_weight

    def loss(self, batch: Batch, turn: str = "model") -> Loss:
        outputs = self.model(batch.image).float()
        label, truth, known = self._truths(batch)
        loss = localisation_loss(outputs[:, :-CORNERS], outputs[:, -CORNERS:], label, truth, known)
        total = loss.classes + self.box_weight * loss.corners
        parts = {"loss": total.detach(), "class": loss.classes.detach(), "corners": loss.corners.detach()}
        return Loss(total, loss.weight, parts)

    def predict(self, batch: Batch) -> Detections:
        outputs = self.model(batch.image).float()
        frame = self._frame(batch, outputs)
        score, label = outputs[:, :-CORNERS].softmax(1).max(1)  # (b,)
        boxes = outputs[:, -CORNERS:].clamp(0, 1) * frame
        wide = ((boxes[:, 2:] - boxes[:, :2]) >= MIN_SIDE).all(1)
        there = torch.nonzero((label < self.classes) & wide)[:, 0]
        return Detections(boxes[there], label[there], score[there], there)

    def rows(self, batch: Batch, prediction: Prediction) -> DetectionRows:
        assert isinstance(prediction, Detections)
        return detection_rows(batch, prediction)

    def metrics(self, rows: Any) -> dict[str, float | None]:
        return localisation_metrics(rows, self.classes)

    def _truths(self, batch: Batch) -> tuple[Int[Tensor, "b"], Float[Tensor, "b 4"], Bool[Tensor, "b"]]:
        """Class (k: no object), corners as shares of the frame, and whether the image counts: it does not where its only object
        is to be ignored."""
        true, n = boxes_of(batch), len(batch)
        own = true.take(~true.ignore)
        label = own.label.new_full((n,), self.classes)
        corners = batch.image.new_zeros((n, CORNERS), dtype=torch.float32)
        label[own.sample], corners[own.sample] = own.label, own.boxes.float()
        known = torch.ones_like(label, dtype=torch.bool)
        known[true.sample[true.ignore]] = False
        known[own.sample] = True
        return label, corners / self._frame(batch, corners), known

    @staticmethod
    def _frame(batch: Batch, like: Tensor) -> Float[Tensor, "4"]:
        height, width = batch.image.shape[2:]
        return like.new_tensor([width, height, width, height])
