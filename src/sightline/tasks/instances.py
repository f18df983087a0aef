"""Objects as boxes with a mask each: Mask R-CNN (He et al. 2017, arXiv:1703.06870)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from sightline.decoding.detections import paste_masks
from sightline.decoding.run_lengths import run_lengths
from sightline.errors import DataError
from sightline.structures.batch import Batch
from sightline.structures.detection_rows import DetectionRows
from sightline.structures.predictions import Detections, Instances, Prediction
from sightline.structures.targets import Outlines

from .boxes.detecting import Detector
from .regions import detection_rows, region_loss, region_targets
from .task import Loss


class InstanceSegmentation(Detector):
    """`model` is a region network with a mask head: (images in 0-255 units, sizes, RegionTargets | None, SelectionRule) →
    RegionOutputs. The thresholds are those of `Detection`."""

    def loss(self, batch: Batch, turn: str = "model") -> Loss:
        targets = region_targets(batch)
        return region_loss(self.model(batch.image, batch.size, targets), targets, masks=True)

    def predict(self, batch: Batch) -> Instances:
        outputs = self.model(batch.image, batch.size, None, self.selection_rule)
        detections = Detections(*outputs.detections)
        row = torch.arange(len(detections.label), device=detections.label.device)
        logits = outputs.mask_logits[row, detections.label + 1]  # mask 0 is that of the background
        return Instances(detections, logits.float().sigmoid())

    def rows(self, batch: Batch, prediction: Prediction) -> DetectionRows:
        assert isinstance(prediction, Instances)
        rows = detection_rows(batch, prediction.detections)
        mask, boxes = prediction.mask.cpu(), torch.from_numpy(rows.boxes).float()
        sizes = [tuple(size) for size in batch.natural.tolist()]
        found_rle = [
            run_lengths(paste_masks(mask[i : i + 1], boxes[i : i + 1], sizes[image]).numpy())[0]
            for i, image in enumerate(rows.image)
        ]  # one at a time: the masks of large images together take gigabytes
        true_rle = _true_rle(batch)
        if len(true_rle) != len(rows.true_label):
            return rows  # without true masks only the boxes can be evaluated
        return replace(rows, found_rle=tuple(found_rle), true_rle=true_rle)


def _true_rle(batch: Batch) -> tuple[bytes, ...]:
    """The original masks in the order of the boxes; none if the batch has none."""
    target = batch.target
    if not isinstance(target, Outlines) or not target.natural:
        return ()
    order = np.argsort(target.boxes.sample.cpu().numpy(), kind="stable")
    counts = torch.bincount(target.boxes.sample, minlength=len(batch)).tolist()
    packed: list[bytes] = []
    for image, (masks, count) in enumerate(zip(target.natural, counts, strict=True)):
        if len(masks) != count:
            raise DataError(
                f"image {int(batch.id[image])} has {len(masks)} masks but {count} boxes in the network's frame",
                "use letterbox or stretch, which keep the whole image",
            )
        packed += run_lengths(masks.cpu().numpy())
    return tuple(packed[i] for i in np.argsort(order, kind="stable"))
