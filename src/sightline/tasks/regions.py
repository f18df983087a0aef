"""Code shared by detection and instance segmentation with region networks: targets, losses, rows in the original frame.

Ren et al. 2015, arXiv:1506.01497      He et al. 2017, arXiv:1703.06870
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from sightline.decoding.frames import original_boxes
from sightline.layers.boxes.anchors import encode
from sightline.layers.boxes.regions import roi_align
from sightline.losses.regions import class_of, mask_pixels, objectness, region_class, shifts
from sightline.structures.batch import Batch
from sightline.structures.detection_rows import DetectionRows
from sightline.structures.predictions import Detections
from sightline.structures.regions import BOX_UNITS, RegionOutputs, RegionSamples, RegionTargets
from sightline.structures.targets import Boxes, Outlines

from .task import Loss


def boxes_of(batch: Batch) -> Boxes:
    """The true boxes of a batch, with or without masks."""
    target = batch.target.boxes if isinstance(batch.target, Outlines) else batch.target
    if not isinstance(target, Boxes):
        raise TypeError(f"a region network needs Boxes or Outlines, but the batch has {type(target).__name__}")
    return target


def region_targets(batch: Batch) -> RegionTargets:
    """The targets as tensors for the network. Sampling is keyed by the positions of the images in the stream."""
    true, mask = boxes_of(batch), batch.target.mask if isinstance(batch.target, Outlines) else None
    return RegionTargets(true.boxes, true.label, true.sample, true.ignore, batch.position, mask)


def region_loss(outputs: RegionOutputs, targets: RegionTargets, *, masks: bool) -> Loss:
    """The sum of the four losses of Faster R-CNN and, with `masks`, of the mask loss; the weight is the number of images."""
    anchors, regions = outputs.anchor_draw, outputs.region_draw
    if anchors is None or regions is None:
        raise TypeError("the network got targets but sampled no regions for the loss")
    images = len(outputs.logits)
    parts = {
        "objectness": objectness(outputs.logits, anchors),
        "anchor_boxes": _anchor_shifts(outputs, anchors, targets, images),
        "class": region_class(outputs.class_logits, regions, targets.label, images),
        "boxes": _region_shifts(outputs, regions, targets, images),
    }
    if masks:
        parts["masks"] = _mask_loss(outputs, regions, targets, images)
    total = torch.stack([mean for mean, _ in parts.values()]).sum()
    reported = {"loss": total.detach()} | {name: mean.detach() for name, (mean, _) in parts.items()}
    return Loss(total, parts["class"][1], reported)


Mean = tuple[Float[Tensor, ""], Float[Tensor, ""]]


def _anchor_shifts(outputs: RegionOutputs, samples: RegionSamples, targets: RegionTargets, images: int) -> Mean:
    objects = samples.truth >= 0
    place, truth = samples.place[objects], samples.truth[objects]
    expected = encode(targets.boxes[truth], outputs.anchors[place % len(outputs.anchors)])
    predicted = outputs.deltas.flatten(0, 1)[place]  # (b, a, 4) → (p, 4)
    return shifts(predicted, expected, samples.sample[objects], samples, images)


def _region_shifts(outputs: RegionOutputs, samples: RegionSamples, targets: RegionTargets, images: int) -> Mean:
    objects = (samples.truth >= 0).nonzero().flatten()
    truth = samples.truth[objects]
    expected = encode(targets.boxes[truth], outputs.proposals[objects], BOX_UNITS)
    own = class_of(samples, targets.label)[objects]
    predicted = outputs.box_deltas[objects, own]  # (p, 4), those of the true class
    return shifts(predicted, expected, samples.sample[objects], samples, images)


def _mask_loss(outputs: RegionOutputs, samples: RegionSamples, targets: RegionTargets, images: int) -> Mean:
    objects = samples.truth >= 0
    truth, logits = samples.truth[objects], outputs.mask_logits
    if logits is None or targets.mask is None:
        raise TypeError("the mask loss needs a network with a mask head and a batch with Outlines")
    used, place = truth.unique(return_inverse=True)
    expected = crop_masks(targets.mask[used], outputs.proposals[objects], place, logits.shape[-1])
    own = logits[torch.arange(len(truth), device=truth.device), targets.label[truth] + 1]  # (p, m, m)
    return mask_pixels(own, expected, samples.sample[objects], images)


def crop_masks(
    mask: Bool[Tensor, "t h w"],
    boxes: Float[Tensor, "p 4"],
    which: Int[Tensor, "p"],
    cells: int,
    *,
    aligned: bool = True,
) -> Float[Tensor, "p m m"]:
    """The part of mask `which[i]` inside box i, averaged to `cells` x `cells`: the target of a mask head.

    torchvision omits `aligned`, so its masks learn a shift of half a pixel up and to the left.
    """
    return roi_align(mask[:, None].to(boxes.dtype), boxes, which, output=cells, scale=1.0, aligned=aligned)[:, 0]


def detection_rows(batch: Batch, detections: Detections) -> DetectionRows:
    """Predicted and true boxes in the original frame; no masks."""
    true = boxes_of(batch)
    return DetectionRows(
        id=batch.id.cpu().numpy(),
        size=batch.natural.cpu().numpy(),
        boxes=original_boxes(detections.boxes, detections.sample, batch),
        label=detections.label.cpu().numpy(),
        score=detections.score.cpu().double().numpy(),
        image=detections.sample.cpu().numpy(),
        true_boxes=original_boxes(true.boxes, true.sample, batch),
        true_label=true.label.cpu().numpy(),
        true_image=true.sample.cpu().numpy(),
        true_ignore=true.ignore.cpu().numpy(),
    )
