"""What an attack increases, and what it is judged by, where an answer has places: the classes of pixels, and objects.

pixels    the mean cross-entropy of the pixels' classes (Arnab, Miksik & Torr 2018, "On the robustness of semantic
          segmentation models to adversarial attacks", arXiv:1711.09856)
objects   the mean cross-entropy of the regions that lie on them, as of Xie et al. 2017, "Adversarial examples for semantic
          segmentation and object detection" (arXiv:1703.08603), plus that of the anchors' objectness: an object is gone
          when no region is proposed for it, or when its regions are called something else
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from sightline.attacks.aim import Aim
from sightline.metrics.matching import box_overlap
from sightline.structures.batch import Batch
from sightline.structures.boxes import iou
from sightline.structures.detection_rows import DetectionRows
from sightline.structures.predictions import Detections, Instances
from sightline.structures.regions import RegionOutputs
from sightline.structures.rows.segments import SegmentRows
from sightline.structures.targets import IGNORE, Boxes, Masks
from sightline.tasks.detection import Detection
from sightline.tasks.instances import InstanceSegmentation
from sightline.tasks.regions import boxes_of
from sightline.tasks.segmentation import Segmentation
from sightline.tasks.task import Task

FOUND = 0.5  # IoU from which a box is that of an object
NEAR = 0.3  # IoU from which a region lies on an object: below FOUND, because regions move before they become boxes

Harm = Callable[[Float[Tensor, "b c h w"]], Float[Tensor, "b"]]  # pixels in levels → what an attack increases
Counts = tuple[Int[np.ndarray, "n"], Int[np.ndarray, "n"]]  # of each image: how many, out of how many


def focus_pixels(task: Task, batch: Batch, aim: Aim) -> Batch:
    """The truth without the pixels that are not attacked: other classes than the chosen one, or those of the target."""

    def kept(index: Tensor) -> Tensor:
        out = torch.zeros_like(index, dtype=torch.bool)
        if aim.region is not None:
            out |= index != aim.region
        if aim.target is not None:
            out |= index == aim.target
        return index.masked_fill(out, IGNORE)

    masks = batch.target
    assert isinstance(masks, Masks)
    return replace(batch, target=Masks(kept(masks.index), tuple(map(kept, masks.natural))))


def harm_pixels(task: Task, batch: Batch, aim: Aim) -> Harm:
    """The mean cross-entropy of each image's pixels; with a target, minus that of the target."""
    assert isinstance(task, Segmentation) and isinstance(batch.target, Masks)
    index = batch.target.index
    counted = index != IGNORE
    wanted = index if aim.target is None else torch.full_like(index, aim.target).masked_fill(~counted, IGNORE)
    sign = 1.0 if aim.target is None else -1.0

    def harm(pixels: Float[Tensor, "b c h w"]) -> Float[Tensor, "b"]:
        loss = F.cross_entropy(task.model(pixels).float(), wanted, ignore_index=IGNORE, reduction="none")  # (b, h, w)
        return sign * loss.sum((1, 2)) / counted.sum((1, 2)).clamp(min=1)

    return harm


def count_pixels(rows: SegmentRows, aim: Aim, score: float) -> Counts:
    """Pixels that are right, or that became the target, of those that are attacked."""
    hits = np.einsum("nkk->n", rows.confusion) if aim.target is None else rows.confusion[:, :, aim.target].sum(1)
    return hits, rows.confusion.sum((1, 2))


def focus_objects(task: Task, batch: Batch, aim: Aim) -> Batch:
    """The objects that are attacked; others count neither way. A single object is the network's own detection, so that it is
    found before the attack, and the attack is judged by whether it still is."""
    if aim.object is not None:
        return replace(batch, target=_detected(task, batch, aim.object))
    true = boxes_of(batch)
    out = true.ignore.clone()
    if aim.region is not None:
        out |= true.label != aim.region
    if aim.target is not None:
        out |= true.label == aim.target
    return replace(batch, target=replace(true, ignore=out))


def _detected(task: Task, batch: Batch, number: int) -> Boxes:
    """The detection with this number in each image, 0 the surest; none in images with fewer."""
    with torch.no_grad():
        prediction = task.predict(batch)
    there = prediction.detections if isinstance(prediction, Instances) else prediction
    assert isinstance(there, Detections)
    chosen = []
    for image in range(len(batch)):
        own = (there.sample == image).nonzero()[:, 0]
        order = own[there.score[own].argsort(descending=True, stable=True)]
        chosen.append(order[number : number + 1])
    which = torch.cat(chosen)
    return Boxes(there.boxes[which].float(), there.label[which], there.sample[which])


def harm_objects(task: Task, batch: Batch, aim: Aim) -> Harm:
    """The mean cross-entropy of the regions on each image's objects, plus the objectness that the anchors on them lack; with
    a target, minus the cross-entropy of the target."""
    assert isinstance(task, Detection | InstanceSegmentation)
    true = boxes_of(batch)
    true = true.take(~true.ignore)
    size = batch.size

    def harm(pixels: Float[Tensor, "b c h w"]) -> Float[Tensor, "b"]:
        outputs: RegionOutputs = task.model(pixels, size, None, task.selection_rule)
        rows = [_harm_of_image(outputs, image, true.take(true.sample == image), aim) for image in range(len(pixels))]
        return torch.stack(rows)

    return harm


def _harm_of_image(outputs: RegionOutputs, image: int, true: Boxes, aim: Aim) -> Float[Tensor, ""]:
    total = outputs.class_logits.sum() * 0  # a value that gradients can be asked of, also without objects
    if not len(true.label):
        return total
    mine = (outputs.sample == image).nonzero()[:, 0]
    overlap, which = iou(outputs.proposals[mine].detach(), true.boxes).max(1)  # (r,)
    near = overlap >= NEAR
    if bool(near.any()):
        logits, label = outputs.class_logits[mine[near]].float(), true.label[which[near]]
        wanted = label if aim.target is None else torch.full_like(label, aim.target)
        loss = F.cross_entropy(logits, wanted + 1)  # class 0 is the background
        total = total + (loss if aim.target is None else -loss)
    if aim.target is None:
        anchors = iou(outputs.anchors, true.boxes)  # (a, t)
        on = (anchors >= FOUND).any(1)
        on[anchors.argmax(0)] = True  # small objects lie between anchors
        total = total + F.softplus(-outputs.logits[image, on].float()).mean()
    return total


def count_objects(rows: DetectionRows, aim: Aim, score: float) -> Counts:
    """Objects with a box of their class, or of the target, that overlaps them by at least 0.5, of those that are attacked."""
    hits, of = np.zeros(len(rows), np.int64), np.zeros(len(rows), np.int64)
    for image in range(len(rows)):
        true = (rows.true_image == image) & ~rows.true_ignore
        of[image] = true.sum()
        own = (rows.image == image) & (rows.score >= score)
        if not true.any() or not own.any():
            continue
        wanted = rows.true_label[true] if aim.target is None else np.full(true.sum(), aim.target)
        overlap = box_overlap(rows.boxes[own], rows.true_boxes[true], np.zeros(true.sum(), bool))  # (p, t)
        hits[image] = ((overlap >= FOUND) & (rows.label[own][:, None] == wanted[None])).any(0).sum()
    return hits, of
