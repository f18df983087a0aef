"""What every detector's task shares: which boxes a prediction keeps, its rows and its metrics."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from sightline.decoding.places import place_detections
from sightline.metrics.detection import detection_metrics
from sightline.structures.batch import Batch
from sightline.structures.detection_rows import DetectionRows
from sightline.structures.predictions import Detections, Prediction
from sightline.structures.regions import SelectionRule

from ..regions import detection_rows
from ..task import Loss, Task


class Detector(Task):
    """A task whose predictions are boxes with a class and a score.

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

    def rows(self, batch: Batch, prediction: Prediction) -> DetectionRows:
        assert isinstance(prediction, Detections)
        return detection_rows(batch, prediction)

    def metrics(self, rows: Any) -> dict[str, float | None]:
        return detection_metrics(rows, self.classes)


class PlaceDetector(Detector):
    """A detector whose network answers at every place of the image at once: (images in 0-255 units, sizes) → an object with
    `boxes` (b, n, 4) in pixels and `score` (b, n, k)."""

    def predict(self, batch: Batch) -> Detections:
        outputs = self.model(batch.image, batch.size)
        return Detections(*place_detections(outputs.boxes, outputs.score, batch.size, self.selection_rule))


def sum_of_parts(parts: Mapping[str, Tensor], weight: Tensor) -> Loss:
    """The loss that is the sum of `parts`, all of them reported."""
    total = torch.stack(list(parts.values())).sum()
    return Loss(total, weight, {"loss": total.detach(), **{name: part.detach() for name, part in parts.items()}})
