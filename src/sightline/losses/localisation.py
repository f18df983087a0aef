"""The loss of one object an image: softmax over the classes, squared distance over the corners (arXiv:1312.6229)."""

from __future__ import annotations

from typing import NamedTuple

from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F


class LocalisationLoss(NamedTuple):
    """Means over `weight` images: cross-entropy of the class, and squared distance of the corners, 0 without an object."""

    classes: Float[Tensor, ""]
    corners: Float[Tensor, ""]
    weight: Float[Tensor, ""]


def localisation_loss(
    scores: Float[Tensor, "b m"],
    corners: Float[Tensor, "b 4"],
    label: Int[Tensor, "b"],
    truth: Float[Tensor, "b 4"],
    known: Bool[Tensor, "b"],
) -> LocalisationLoss:
    """`scores` has a last column for no object, which is `label` m - 1 there; images that are not `known` count nowhere. All
    corners are shares of the image's sides, so that the distance does not depend on its size."""
    weight = known.sum().to(scores.dtype)
    present = known & (label < scores.shape[1] - 1)
    entropy = F.cross_entropy(scores, label, reduction="none") * known  # (b,)
    squared = (corners - truth).square().sum(1).where(present, 0.0)  # (b,)
    divisor = weight.clamp(min=1)
    return LocalisationLoss(entropy.sum() / divisor, squared.sum() / divisor, weight)
