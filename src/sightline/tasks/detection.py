"""Objects as boxes with a class and a score, by a region network (Ren et al. 2015, arXiv:1506.01497)."""

from __future__ import annotations

from typing import Any

from torch import nn

from sightline.metrics.detection import detection_metrics
from sightline.structures.batch import Batch
from sightline.structures.detection_rows import DetectionRows
from sightline.structures.predictions import Detections, Prediction
from sightline.structures.regions import SelectionRule

from .regions import detection_rows, region_loss, region_targets
from .task import Loss, Task


class Detection(Task):
    """`model` is a region network: (images in 0-255 units, sizes, RegionTargets | None, SelectionRule) → RegionOutputs.

    A prediction keeps the best `limit` boxes of an image that score above `score_threshold`; of two boxes of a class with an
    IoU above `nms_threshold`, the better one. AP needs boxes with low scores too; drawings use a higher threshold.
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
        targets = region_targets(batch)._replace(mask=None)
        return region_loss(self.model(batch.image, batch.size, targets), targets, masks=False)

    def predict(self, batch: Batch) -> Detections:
        return Detections(*self.model(batch.image, batch.size, None, self.selection_rule).detections)

    def rows(self, batch: Batch, prediction: Prediction) -> DetectionRows:
        assert isinstance(prediction, Detections)
        return detection_rows(batch, prediction)

    def metrics(self, rows: Any) -> dict[str, float | None]:
        return detection_metrics(rows, self.classes)
