"""Proposals, and the anchors and regions that enter the loss: pure functions of the network's outputs and of the
targets.

Ren et al. 2015, arXiv:1506.01497. Constants and thresholds are torchvision's. Two things differ: samples are drawn by a
key, the image's position in the training stream, so a run is reproducible to the bit; and candidates inside an ignored
region (a crowd) are never drawn as background.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from sightline.decoding.suppression import nms_by_label
from sightline.layers.boxes.anchors import decode
from sightline.layers.boxes.matching import match, sample, set_aside
from sightline.structures.boxes import clip, iou
from sightline.structures.regions import RegionSamples, RegionTargets

SMALLEST = 1e-3  # pixels: proposals with a shorter side are dropped
SUPPRESSION = 0.7


class Draw(NamedTuple):
    """The rule for sampling `number` candidates per image, at most a `share` of them positive.

    high, low   a candidate with an IoU ≥ `high` is positive, < `low` background
    rescue      an object's best anchors are positive however low their IoU
    stage       distinguishes the keys of two draws
    """

    stage: int
    number: int
    share: float
    high: float
    low: float
    rescue: bool


def propose(
    logits: list[Float[Tensor, "b _"]],
    deltas: list[Float[Tensor, "b _ 4"]],
    anchors: list[Float[Tensor, "_ 4"]],
    size: Int[Tensor, "b 2"],
    limit: int,
) -> tuple[Float[Tensor, "r 4"], Int[Tensor, "r"]]:
    """Proposals and the image index of each: the best `limit` anchors of every level, after non-maximum suppression within the
    level at an IoU of 0.7 the best `limit` of all. Without gradient."""
    score, box, level_of = best_anchors(logits, deltas, anchors, limit)
    proposals, images = [], []
    for image, (height, width) in enumerate(size.tolist()):
        inside = clip(box[image], (height, width))
        wide = ((inside[:, 2:] - inside[:, :2]) >= SMALLEST).all(1)
        inside, probability, level_here = inside[wide], score[image][wide].sigmoid(), level_of[wide]
        proposals.append(inside[nms_by_label(inside, probability, level_here, SUPPRESSION)[:limit]])
        images.append(size.new_full((len(proposals[-1]),), image))
    return torch.cat(proposals), torch.cat(images)


def best_anchors(
    logits: list[Float[Tensor, "b _"]],
    deltas: list[Float[Tensor, "b _ 4"]],
    anchors: list[Float[Tensor, "_ 4"]],
    limit: int,
) -> tuple[Float[Tensor, "b m"], Float[Tensor, "b m 4"], Int[Tensor, "m"]]:
    """The best `limit` anchors of every level: objectness logits, boxes and levels. Without gradient."""
    scores, boxes, levels = [], [], []
    for level, (objectness, shifts, level_anchors) in enumerate(zip(logits, deltas, anchors, strict=True)):
        best, index = objectness.detach().topk(min(limit, objectness.shape[1]), dim=1)  # (b, n)
        moves = shifts.detach().gather(1, index[:, :, None].expand(-1, -1, 4))  # (b, n, 4)
        boxes.append(decode(moves, level_anchors[index]))  # (b, n, 4)
        scores.append(best)
        levels.append(torch.full((best.shape[1],), level, device=best.device))
    return torch.cat(scores, 1), torch.cat(boxes, 1), torch.cat(levels)


def draw(candidates: list[Float[Tensor, "_ 4"]], targets: RegionTargets, rule: Draw) -> RegionSamples:
    """Sample each image's candidates for the loss; indices count the candidates of all images in order."""
    indices, images, truths, first = [], [], [], 0
    for image, (boxes, key) in enumerate(zip(candidates, targets.key.tolist(), strict=True)):
        mine = targets.sample == image
        rows = (mine & ~targets.ignore).nonzero().flatten()
        quality = iou(targets.boxes[rows], boxes)  # (t_i, n)
        matched = match(quality, high=rule.high, low=rule.low, allow_low_quality=rule.rescue)  # (n,)
        matched = set_aside(matched, boxes, targets.boxes[mine & targets.ignore])
        drawn = sample(matched, count=rule.number, positive_share=rule.share, seed=0, key=(rule.stage, key))
        index = torch.cat(drawn).sort().values
        truths.append(torch.cat((rows, rows.new_tensor([-1])))[matched[index]])  # -1, background, stays -1
        indices.append(index + first)
        images.append(torch.full_like(index, image))
        first += len(boxes)
    return RegionSamples(torch.cat(indices), torch.cat(images), torch.cat(truths))


def draw_regions(
    proposals: Float[Tensor, "r 4"], image_of: Int[Tensor, "r"], targets: RegionTargets, rule: Draw
) -> tuple[Float[Tensor, "s 4"], RegionSamples]:
    """Sample regions for the loss from the proposals and the true boxes, which guarantee positives in the first steps."""
    candidates = []
    for image in range(len(targets.key)):
        true = targets.boxes[(targets.sample == image) & ~targets.ignore]
        candidates.append(torch.cat((proposals[image_of == image], true.to(proposals.dtype))))
    drawn = draw(candidates, targets, rule)
    return torch.cat(candidates)[drawn.place], drawn
