"""Objects as boxes with a class and a score, each learned by one anchor (Redmon & Farhadi 2018, arXiv:1804.02767)."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from sightline.decoding.places import place_detections
from sightline.layers.boxes.anchor_cells import anchor_targets
from sightline.losses.detection.yolo_v3 import anchor_loss
from sightline.metrics.detection import detection_metrics
from sightline.structures.batch import Batch
from sightline.structures.detection_rows import DetectionRows
from sightline.structures.grids import AnchorOutputs, AnchorTargets
from sightline.structures.predictions import Detections, Prediction
from sightline.structures.regions import SelectionRule
from sightline.tasks.regions import boxes_of, detection_rows
from sightline.tasks.task import Loss, Task


class AnchorDetection(Task):
    """`model` is YOLOv3: (images in 0-255 units, sizes) → AnchorOutputs.

    A prediction keeps boxes by the rule of `Detection`.
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        classes: int,
        score_threshold: float = 0.01,
        nms_threshold: float = 0.5,
        limit: int = 100,
    ) -> None:
        super().__init__()
        self.model = model
        self.classes = classes
        self.selection_rule = SelectionRule(score_threshold, nms_threshold, limit)

    def loss(self, batch: Batch, turn: str = "model") -> Loss:
        outputs: AnchorOutputs = self.model(batch.image, batch.size)
        parts, weight = anchor_loss(outputs.predicted, self.targets(outputs, batch))
        total = torch.stack(list(parts.values())).sum()
        reported = {"loss": total.detach(), **{name: part.detach() for name, part in parts.items()}}
        return Loss(total, weight, reported)

    def targets(self, outputs: AnchorOutputs, batch: Batch) -> AnchorTargets:
        """The anchor of each object of a batch."""
        true, predicted = boxes_of(batch), outputs.predicted
        size = (batch.image.shape[2], batch.image.shape[3])
        objects = true.boxes.float(), true.label, true.sample, true.ignore
        return anchor_targets(*objects, predicted.anchors, predicted.strides, images=len(batch), size=size)

    def predict(self, batch: Batch) -> Detections:
        outputs: AnchorOutputs = self.model(batch.image, batch.size)
        return Detections(*place_detections(outputs.boxes, outputs.score, batch.size, self.selection_rule))

    def rows(self, batch: Batch, prediction: Prediction) -> DetectionRows:
        assert isinstance(prediction, Detections)
        return detection_rows(batch, prediction)

    def metrics(self, rows: Any) -> dict[str, float | None]:
        return detection_metrics(rows, self.classes)
