"""An image of a batch with what is known, or said, drawn on it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import UInt8

from sightline.decoding.detections import pasted
from sightline.drawing.overlay import MISSED, RIGHT, WRONG, colour, framed, outlined, tinted
from sightline.metrics.matching import HIT, IGNORED, box_overlap, match
from sightline.structures.batch import Batch
from sightline.structures.predictions import Detections, Instances, Prediction, Segments
from sightline.structures.targets import Boxes, Labels, Masks, Outlines, Target

Picture = UInt8[np.ndarray, "h w c"]


def plain(batch: Batch, row: int) -> Picture:
    """The pixels as the network gets them, without what the batch added to the right and below."""
    height, width = batch.size[row].tolist()
    return batch.image[row, :, :height, :width].permute(1, 2, 0).cpu().numpy()  # (c, h, w) → (h, w, c)


def truth_drawn(batch: Batch, row: int) -> Picture:
    """The image with its target."""
    picture, target = plain(batch, row), batch.target
    height, width, _ = picture.shape
    if isinstance(target, Masks):
        return tinted(picture, target.index[row, :height, :width].cpu().numpy())
    if isinstance(target, Boxes):
        mine = target.take(target.sample == row)
        return framed(
            picture, mine.boxes.cpu().numpy(), [colour(c) for c in mine.label.tolist()], thick=_thick(picture)
        )
    if isinstance(target, Outlines):
        own = target.take(target.boxes.sample == row)
        masks = own.mask[:, :height, :width].cpu().numpy()
        return outlined(picture, masks, [colour(c + i) for i, c in enumerate(own.boxes.label.tolist())])
    return picture


def told(target: Target, row: int, classes: Sequence[str]) -> str | None:
    """The target in words: a class, or which objects and how many."""
    if isinstance(target, Labels):
        return classes[int(target.index[row])] if target.known[row] else None
    boxes = target.boxes if isinstance(target, Outlines) else target
    if not isinstance(boxes, Boxes):
        return None
    counted = Counter(classes[c] for c in boxes.label[boxes.sample == row].tolist())
    return ", ".join(f"{n} {name}" for name, n in counted.most_common()) or "nothing"


def answer_drawn(batch: Batch, row: int, prediction: Prediction, threshold: float) -> Picture:
    """The image with what was said: classes as tints; of objects with at least the score `threshold`, those that find
    one of their class (IoU 0.5) green, the others red, and what was missed yellow."""
    picture = plain(batch, row)
    height, width, _ = picture.shape
    if isinstance(prediction, Segments):
        return tinted(picture, prediction.score[row, :, :height, :width].argmax(0).cpu().numpy())
    if isinstance(prediction, Detections | Instances):
        return _found_drawn(picture, batch, row, prediction, threshold)
    return picture


def _found_drawn(
    picture: Picture, batch: Batch, row: int, prediction: Detections | Instances, threshold: float
) -> Picture:
    found = prediction.found if isinstance(prediction, Instances) else prediction
    target = batch.target.boxes if isinstance(batch.target, Outlines) else batch.target
    assert isinstance(target, Boxes)
    which = (found.sample == row) & (found.score >= threshold)
    which = which.nonzero()[:, 0][found.score[which].argsort(descending=True, stable=True)]  # the surest chooses first
    boxes, label = found.boxes[which], found.label[which]
    true = target.take(target.sample == row)
    overlap = box_overlap(boxes.cpu().numpy(), true.boxes.cpu().numpy(), true.ignore.cpu().numpy())
    overlap = overlap * (label[:, None] == true.label[None]).cpu().numpy()
    outcome, met = (one[0] for one in match(overlap, true.ignore.cpu().numpy(), np.array([0.5])))
    counted = outcome != IGNORED  # what falls on an ignored region is neither right nor wrong
    which, boxes = which[torch.from_numpy(counted)], boxes[torch.from_numpy(counted)]
    hues = [RIGHT if one == HIT else WRONG for one in outcome[counted]]
    left = ~true.ignore.cpu().numpy()
    left[met[met >= 0]] = False
    missed = true.boxes.cpu().numpy()[left]
    if isinstance(prediction, Instances):
        height, width, _ = picture.shape
        masks = pasted(prediction.mask[which], boxes, (height, width))
        picture = outlined(picture, masks.cpu().numpy(), hues)
    else:
        picture = framed(picture, boxes.cpu().numpy(), hues, thick=_thick(picture))
    return framed(picture, missed, [MISSED] * len(missed), thick=_thick(picture))


def _thick(picture: Picture) -> int:
    return max(1, min(picture.shape[:2]) // 128)
