"""Objects as a set of boxes, each with a class and a score (Carion et al. 2020, arXiv:2005.12872)."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from sightline.decoding.places import place_detections
from sightline.losses.detection.set_matching import places_of
from sightline.losses.detection.sets import set_loss
from sightline.metrics.detection import detection_metrics
from sightline.structures.batch import Batch
from sightline.structures.detection_rows import DetectionRows
from sightline.structures.outputs.sets import SetOutputs
from sightline.structures.predictions import Detections, Prediction
from sightline.structures.regions import SelectionRule
from sightline.tasks.regions import boxes_of, detection_rows
from sightline.tasks.task import Loss, Task


class SetDetection(Task):
    """`model` is DETR: (images in 0-255 units, sizes) → SetOutputs.

    A prediction keeps the best `limit` boxes of an image that score above `score_threshold`. Nothing is suppressed
    (`nms_threshold` 1): a second box for an object is a mistake that the network has to learn to avoid. Ignored regions are
    no objects, so boxes on them learn to be none.
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        classes: int,
        score_threshold: float = 0.01,
        nms_threshold: float = 1.0,
        limit: int = 100,
    ) -> None:
        super().__init__()
        self.model = model
        self.classes = classes
        self.selection_rule = SelectionRule(score_threshold, nms_threshold, limit)

    def loss(self, batch: Batch, turn: str = "model") -> Loss:
        outputs: SetOutputs = self.model(batch.image, batch.size)
        true = boxes_of(batch)
        true = true.take(~true.ignore)
        wanted = places_of(true.boxes.float(), batch.size[true.sample])
        parts, weight = set_loss(outputs.logits, outputs.places, true.label, wanted, true.sample)
        total = torch.stack(list(parts.values())).sum()
        reported = {"loss": total.detach(), **{name: part.detach() for name, part in parts.items()}}
        return Loss(total, weight, reported)

    def predict(self, batch: Batch) -> Detections:
        outputs: SetOutputs = self.model(batch.image, batch.size)
        return Detections(*place_detections(outputs.boxes, outputs.score, batch.size, self.selection_rule))

    def rows(self, batch: Batch, prediction: Prediction) -> DetectionRows:
        assert isinstance(prediction, Detections)
        return detection_rows(batch, prediction)

    def metrics(self, rows: Any) -> dict[str, float | None]:
        return detection_metrics(rows, self.classes)
