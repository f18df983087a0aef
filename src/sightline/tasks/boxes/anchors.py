"""Objects as boxes with a class and a score, each learned by one anchor (Redmon & Farhadi 2018, arXiv:1804.02767)."""

from __future__ import annotations

from sightline.layers.boxes.anchor_cells import anchor_targets
from sightline.losses.detection.yolo_v3 import anchor_loss
from sightline.structures.batch import Batch
from sightline.structures.grids import AnchorOutputs, AnchorTargets

from ..regions import boxes_of
from ..task import Loss
from .detecting import PlaceDetector, sum_of_parts


class AnchorDetection(PlaceDetector):
    """`model` is YOLOv3: (images in 0-255 units, sizes) → AnchorOutputs."""

    def loss(self, batch: Batch, turn: str = "model") -> Loss:
        outputs: AnchorOutputs = self.model(batch.image, batch.size)
        parts, weight = anchor_loss(outputs.predicted, self.targets(outputs, batch))
        return sum_of_parts(parts, weight)

    def targets(self, outputs: AnchorOutputs, batch: Batch) -> AnchorTargets:
        """The anchor of each object of a batch."""
        true, predicted = boxes_of(batch), outputs.predicted
        size = (batch.image.shape[2], batch.image.shape[3])
        objects = true.boxes.float(), true.label, true.sample, true.ignore
        return anchor_targets(*objects, predicted.anchors, predicted.strides, images=len(batch), size=size)
