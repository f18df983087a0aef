"""The loss of YOLOv3: Redmon & Farhadi 2018, arXiv:1804.02767, section 2.

For the anchor of each object, with targets t̂ and predictions t:

    xy          binary cross-entropy of σ(t) with the place inside the cell: its gradient is σ(t) - t̂, as the paper has it
    wh          ½ (t - t̂)² of the logarithms of the sizes
    objectness  binary cross-entropy: 1 for the anchors of objects, 0 for all others but the ignored ones
    class       binary cross-entropy of every class, independent of each other

xy and wh are multiplied by 2 - w · h, the object's share of the image, as the authors' program does, so that small
objects count as much as large ones. Sums over anchors, means over images.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from sightline.losses.means import in_32_bits, mean_over
from sightline.structures.grids import AnchorPredictions, AnchorTargets


def anchor_loss(
    predicted: AnchorPredictions, targets: AnchorTargets
) -> tuple[dict[str, Float[Tensor, ""]], Float[Tensor, ""]]:
    """The mean of each term over the images, and their number. The loss is the sum of the means."""
    deltas, objectness, classes = (in_32_bits(part) for part in predicted[:3])
    at = targets.image, targets.place
    own, scale = deltas[at], (2 - targets.share)[:, None]
    wanted = torch.zeros_like(objectness).index_put(at, objectness.new_ones(()))
    counted = (~targets.ignored).to(objectness.dtype)
    true = F.one_hot(targets.label, classes.shape[-1]).to(classes.dtype)
    xy = F.binary_cross_entropy_with_logits(own[:, :2], targets.deltas[:, :2], reduction="none")
    sums = {
        "xy": (scale * xy).sum(),
        "wh": (scale * 0.5 * (own[:, 2:] - targets.deltas[:, 2:]).square()).sum(),
        "objectness": (counted * F.binary_cross_entropy_with_logits(objectness, wanted, reduction="none")).sum(),
        "class": F.binary_cross_entropy_with_logits(classes[at], true, reduction="sum"),
    }
    weight = objectness.new_tensor(float(len(objectness)))
    return {name: mean_over(total, weight)[0] for name, total in sums.items()}, weight
