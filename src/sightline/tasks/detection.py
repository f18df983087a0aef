"""Objects as boxes with a class and a score, by a region network (Ren et al. 2015, arXiv:1506.01497)."""

from __future__ import annotations

from sightline.structures.batch import Batch
from sightline.structures.predictions import Detections

from .boxes.detecting import Detector
from .regions import region_loss, region_targets
from .task import Loss


class Detection(Detector):
    """`model` is a region network: (images in 0-255 units, sizes, RegionTargets | None, SelectionRule) → RegionOutputs."""

    def loss(self, batch: Batch, turn: str = "model") -> Loss:
        targets = region_targets(batch)._replace(mask=None)
        return region_loss(self.model(batch.image, batch.size, targets), targets, masks=False)

    def predict(self, batch: Batch) -> Detections:
        return Detections(*self.model(batch.image, batch.size, None, self.selection_rule).detections)
