"""Objects as a set of boxes, each with a class and a score (Carion et al. 2020, arXiv:2005.12872)."""

from __future__ import annotations

from typing import Any

from torch import nn

from sightline.losses.detection.set_matching import places_of
from sightline.losses.detection.sets import set_loss
from sightline.structures.batch import Batch
from sightline.structures.outputs.sets import SetOutputs

from ..regions import boxes_of
from ..task import Loss
from .detecting import PlaceDetector, sum_of_parts


class SetDetection(PlaceDetector):
    """`model` is DETR: (images in 0-255 units, sizes) → SetOutputs.

    A prediction keeps the best `limit` boxes of an image that score above `score_threshold`. Nothing is suppressed
    (`nms_threshold` 1): a second box for an object is a mistake that the network has to learn to avoid. Ignored regions are
    no objects, so boxes on them learn to be none.
    """

    def __init__(self, model: nn.Module, *, classes: int, nms_threshold: float = 1.0, **selection: Any) -> None:
        super().__init__(model, classes=classes, nms_threshold=nms_threshold, **selection)

    def loss(self, batch: Batch, turn: str = "model") -> Loss:
        outputs: SetOutputs = self.model(batch.image, batch.size)
        true = boxes_of(batch)
        true = true.take(~true.ignore)
        wanted = places_of(true.boxes.float(), batch.size[true.sample])
        parts, weight = set_loss(outputs.logits, outputs.places, true.label, wanted, true.sample)
        return sum_of_parts(parts, weight)
