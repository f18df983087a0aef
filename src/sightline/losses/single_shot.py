"""Losses of a single-shot detector without anchors (Ge et al. 2021, arXiv:2107.08430; terms as in Megvii's code).

    box          1 - IoU² of each place that learns an object
    objectness   binary cross-entropy at all places: is an object learned here?
    class        binary cross-entropy at the places with an object; the true class should have the IoU as its probability
    shift        L1 of the four numbers of a box

Each returns the sum over places. The task divides by the number of places with an object.
"""

from __future__ import annotations

from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F

from sightline.structures.boxes import paired_iou

from .means import in_32_bits


def box_overlap_loss(predicted: Float[Tensor, "p 4"], target: Float[Tensor, "p 4"]) -> Float[Tensor, ""]:
    """Σ 1 - IoU² of pairs of boxes xyxy. The square makes the gradient small where boxes hardly touch, and large where they
    almost fit."""
    return (1 - paired_iou(predicted, target).square()).sum()


def place_objectness(
    logits: Float[Tensor, "b n"], positive: Bool[Tensor, "b n"], ignored: Bool[Tensor, "b n"]
) -> Float[Tensor, ""]:
    """Σ of the cross-entropy of places: object or background; `ignored` ones count for nothing."""
    scores = in_32_bits(logits)
    terms = F.binary_cross_entropy_with_logits(scores, positive.to(scores.dtype), reduction="none")
    return terms.where(~ignored, 0.0).sum()


def place_class(logits: Float[Tensor, "p k"], label: Int[Tensor, "p"], iou: Float[Tensor, "p"]) -> Float[Tensor, ""]:
    """Σ over places with an object and classes of the cross-entropy; the target of the true class is the IoU, of others 0."""
    scores = in_32_bits(logits)
    target = F.one_hot(label, scores.shape[1]).to(scores.dtype) * iou[:, None].to(scores.dtype)
    return F.binary_cross_entropy_with_logits(scores, target, reduction="sum")


def shift_distance(predicted: Float[Tensor, "p 4"], target: Float[Tensor, "p 4"]) -> Float[Tensor, ""]:
    """Σ |predicted - target| of the four numbers of boxes at their places."""
    return (in_32_bits(predicted) - target).abs().sum()
