"""Which anchors and regions a region network looks at: pure functions of what it said and, to learn, of the truth.

Ren et al. 2015, arXiv:1506.01497. Numbers and thresholds are torchvision's. Two things differ: what is drawn to learn from
is keyed by the image's place in the training stream, so a run repeats to the bit; and what lies inside an ignored
region (a crowd) is never drawn as background.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from sightline.decoding.suppression import nms_by_label
from sightline.layers.boxes.anchors import decode
from sightline.layers.boxes.matching import match, sample, set_aside
from sightline.structures.boxes import clipped, iou
from sightline.structures.regions import Drawn, RegionTargets

_SMALLEST = 1e-3  # pixels: thinner proposals are dropped
_SUPPRESSION = 0.7


class Draw(NamedTuple):
    """`number` are drawn an image, at most a `share` of them objects: those with an IoU from `high` on; below `low` is
    background. `rescue`: an object's best anchors find it however low their IoU. `stage` keeps two draws apart."""

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
    """The most object-like boxes of each image, and their image: the best `limit` of every level, suppressed level by level
    at an IoU of 0.7, and the best `limit` of what remains. No gradient flows through them."""
    scores, boxes, levels = [], [], []
    for level, (scored, moved, at) in enumerate(zip(logits, deltas, anchors, strict=True)):
        best, index = scored.detach().topk(min(limit, scored.shape[1]), dim=1)  # (b, n)
        moves = moved.detach().gather(1, index[:, :, None].expand(-1, -1, 4))  # (b, n, 4)
        boxes.append(decode(moves, at[index]))  # (b, n, 4)
        scores.append(best)
        levels.append(torch.full_like(index, level))
    score, box, level_of = (torch.cat(parts, 1) for parts in (scores, boxes, levels))  # (b, m), (b, m, 4), (b, m)
    proposals, images = [], []
    for image, (height, width) in enumerate(size.tolist()):
        inside = clipped(box[image], (height, width))
        wide = ((inside[:, 2:] - inside[:, :2]) >= _SMALLEST).all(1)
        inside, sure, level_here = inside[wide], score[image][wide].sigmoid(), level_of[image][wide]
        proposals.append(inside[nms_by_label(inside, sure, level_here, _SUPPRESSION)[:limit]])
        images.append(size.new_full((len(proposals[-1]),), image))
    return torch.cat(proposals), torch.cat(images)


def draw(candidates: list[Float[Tensor, "_ 4"]], targets: RegionTargets, rule: Draw) -> Drawn:
    """Of each image's candidates those to learn from; indices count through all images' candidates in order."""
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
    return Drawn(torch.cat(indices), torch.cat(images), torch.cat(truths))


def draw_regions(
    proposals: Float[Tensor, "r 4"], image_of: Int[Tensor, "r"], targets: RegionTargets, rule: Draw
) -> tuple[Float[Tensor, "s 4"], Drawn]:
    """Regions to learn from: of the proposals and of the true boxes themselves, which are sure to show objects."""
    candidates = []
    for image in range(len(targets.key)):
        true = targets.boxes[(targets.sample == image) & ~targets.ignore]
        candidates.append(torch.cat((proposals[image_of == image], true.to(proposals.dtype))))
    drawn = draw(candidates, targets, rule)
    return torch.cat(candidates)[drawn.place], drawn
