"""Objects as boxes with a class and a score, each learned by one cell of a grid (Redmon et al. 2016, arXiv:1506.02640)."""

from __future__ import annotations

from sightline.layers.boxes.cells import cell_targets
from sightline.losses.detection.yolo_v1 import mean_cell_loss
from sightline.structures.batch import Batch
from sightline.structures.grids import CellOutputs, CellTargets

from ..regions import boxes_of
from ..task import Loss
from .detecting import PlaceDetector, sum_of_parts


class CellDetection(PlaceDetector):
    """`model` is YOLO v1: (images in 0-255 units, sizes) → CellOutputs."""

    def loss(self, batch: Batch, turn: str = "model") -> Loss:
        outputs: CellOutputs = self.model(batch.image, batch.size)
        parts, weight = mean_cell_loss(outputs.predicted, self.targets(outputs, batch))
        return sum_of_parts(parts, weight)

    def targets(self, outputs: CellOutputs, batch: Batch) -> CellTargets:
        """The cell of each object of a batch."""
        true = boxes_of(batch)
        images, rows, columns = outputs.predicted.confidence.shape[:3]
        size = (batch.image.shape[2], batch.image.shape[3])
        objects = true.boxes.float(), true.label, true.sample, true.ignore
        return cell_targets(*objects, images=images, size=size, grid=(rows, columns))
