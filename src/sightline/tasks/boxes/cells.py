"""Objects as boxes with a class and a score, each learned by one cell of a grid (Redmon et al. 2016, arXiv:1506.02640)."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from sightline.decoding.places import place_detections
from sightline.layers.boxes.cells import cell_targets
from sightline.losses.detection.yolo_v1 import mean_cell_loss
from sightline.metrics.detection import detection_metrics
from sightline.structures.batch import Batch
from sightline.structures.detection_rows import DetectionRows
from sightline.structures.grids import CellOutputs, CellTargets
from sightline.structures.predictions import Detections, Prediction
from sightline.structures.regions import SelectionRule
from sightline.tasks.regions import boxes_of, detection_rows
from sightline.tasks.task import Loss, Task


class CellDetection(Task):
    """`model` is YOLO v1: (images in 0-255 units, sizes) → CellOutputs.

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
        outputs: CellOutputs = self.model(batch.image, batch.size)
        parts, weight = mean_cell_loss(outputs.predicted, self.targets(outputs, batch))
        total = torch.stack(list(parts.values())).sum()
        reported = {"loss": total.detach(), **{name: part.detach() for name, part in parts.items()}}
        return Loss(total, weight, reported)

    def targets(self, outputs: CellOutputs, batch: Batch) -> CellTargets:
        """The cell of each object of a batch."""
        true = boxes_of(batch)
        images, rows, columns = outputs.predicted.confidence.shape[:3]
        size = (batch.image.shape[2], batch.image.shape[3])
        objects = true.boxes.float(), true.label, true.sample, true.ignore
        return cell_targets(*objects, images=images, size=size, grid=(rows, columns))

    def predict(self, batch: Batch) -> Detections:
        outputs: CellOutputs = self.model(batch.image, batch.size)
        return Detections(*place_detections(outputs.boxes, outputs.score, batch.size, self.selection_rule))

    def rows(self, batch: Batch, prediction: Prediction) -> DetectionRows:
        assert isinstance(prediction, Detections)
        return detection_rows(batch, prediction)

    def metrics(self, rows: Any) -> dict[str, float | None]:
        return detection_metrics(rows, self.classes)
