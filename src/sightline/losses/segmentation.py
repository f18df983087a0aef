"""Losses over pixels. Each returns (mean, weight) like the losses over classes: a mean over known pixels, each weighted
by its true class's weight (1 where none are given), and the sum of those weights.

    pixel_cross_entropy   -log of the probability of the true class (Long, Shelhamer & Darrell 2014, arXiv:1411.4038)
    focal                 Lin et al. 2017, arXiv:1708.02002: times (1 - p)^γ, which down-weights easy pixels
    soft_dice             1 - Dice of probabilities (Milletari et al. 2016, arXiv:1606.04797), with two changes, below

All three share that weight, so their sums have it too, and Σ w·L / Σ w over parts of a batch is the loss of the whole
batch.

A Dice over a whole batch would couple its images. Here each image has its own, weighted by its number of known pixels.
Classes absent from an image are left out of its Dice: their overlap is 0 whatever is predicted, and pixels wrongly
assigned to them are already missing from a class that is present. Milletari squares the probabilities in the
denominator; here they are plain, so that for hard predictions it is Dice itself.

Where no pixel is known the weight, the mean and its gradient are 0. 16-bit scores are converted to 32 bits.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F

from sightline.structures.targets import IGNORE

from .means import in_32_bits, mean_over

MeanAndWeight = tuple[Float[Tensor, ""], Float[Tensor, ""]]


def pixel_cross_entropy(
    logits: Float[Tensor, "b k h w"], index: Int[Tensor, "b h w"], *, class_weight: Float[Tensor, "k"] | None = None
) -> MeanAndWeight:
    """Cross-entropy of scores with the true class of each pixel; pixels marked IGNORE (255) have no weight."""
    terms = F.cross_entropy(in_32_bits(logits), index.long(), ignore_index=IGNORE, reduction="none")  # (b, h, w)
    weight = _weight(index, class_weight, terms.dtype)
    return mean_over((terms * weight).sum(), weight.sum())


def focal(
    logits: Float[Tensor, "b k h w"],
    index: Int[Tensor, "b h w"],
    *,
    gamma: float = 2.0,
    class_weight: Float[Tensor, "k"] | None = None,
) -> MeanAndWeight:
    """-(1 - p)^γ log p of the true class; γ = 0 is cross-entropy.

    p is a softmax, not the paper's sigmoid; its α is `class_weight`; and the sum is divided by the weights of all pixels,
    not by the number of objects.
    """
    terms = F.cross_entropy(in_32_bits(logits), index.long(), ignore_index=IGNORE, reduction="none")  # (b, h, w)
    probability = (-terms).exp()  # of the true class
    weight = _weight(index, class_weight, terms.dtype)
    # clamped away from 0, where (1 - p)^γ has infinite slope for γ < 1
    return mean_over(((1 - probability).clamp(min=1e-12) ** gamma * terms * weight).sum(), weight.sum())


def soft_dice(
    logits: Float[Tensor, "b k h w"], index: Int[Tensor, "b h w"], *, class_weight: Float[Tensor, "k"] | None = None
) -> MeanAndWeight:
    """1 - the mean over the classes of an image (weighted by `class_weight`) of 2 Σ p·y / (Σ p + Σ y)."""
    known = index != IGNORE  # (b, h, w)
    probability = in_32_bits(logits).softmax(1) * known[:, None]  # (b, k, h, w)
    truth = class_planes(index, logits.shape[1])  # (b, k, h, w)
    shared = (probability * truth).sum((2, 3))  # (b, k)
    support = truth.sum((2, 3)).to(probability.dtype)  # (b, k)
    dice = 2 * shared / (probability.sum((2, 3)) + support).clamp(min=1)  # (b, k); a present class has at least a pixel
    present = (support > 0).to(dice.dtype)
    if class_weight is not None:
        present = present * class_weight.to(dice.dtype)
    total = present.sum(1)  # (b,)
    each = 1 - (dice * present).sum(1) / total.where(total > 0, 1.0)  # (b,)
    weight = _weight(index, class_weight, dice.dtype).sum((1, 2))  # (b,)
    return mean_over((each * weight).sum(), weight.sum())


def class_planes(index: Int[Tensor, "b h w"], classes: int) -> Bool[Tensor, "b k h w"]:
    """One boolean plane for each class; ignored pixels are in none."""
    return index[:, None] == torch.arange(classes, device=index.device)[:, None, None]


def summed_cross_entropy(
    logits: Float[Tensor, "b k h w"], index: Int[Tensor, "b h w"]
) -> tuple[Float[Tensor, "b"], Int[Tensor, "b"]]:
    """Cross-entropy summed over the known pixels of each image, and their number."""
    terms = F.cross_entropy(in_32_bits(logits), index.long(), ignore_index=IGNORE, reduction="none")  # (b, h, w)
    return terms.double().sum((1, 2)), (index != IGNORE).sum((1, 2))


def _weight(
    index: Int[Tensor, "b h w"], class_weight: Float[Tensor, "k"] | None, dtype: torch.dtype
) -> Float[Tensor, "b h w"]:
    known = index != IGNORE
    if class_weight is None:
        return known.to(dtype)
    return class_weight.to(dtype)[index.long().where(known, 0)] * known
