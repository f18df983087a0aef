"""Losses over pixels. Each returns (mean, weight) as the losses over classes do: a mean over the known pixels, each
weighted by its true class's weight (1, where none are given), and the sum of those weights.

    pixel_cross_entropy   -log of the probability of the true class (Long, Shelhamer & Darrell 2014, arXiv:1411.4038)
    focal                 Lin et al. 2017, arXiv:1708.02002: times (1 - p)^γ, so that what is easy counts for little
    soft_dice             1 - Dice of probabilities (Milletari et al. 2016, arXiv:1606.04797), with two changes, below

All three share that weight, so their sums have it too, and Σ w·L / Σ w over parts of a batch is the loss of the whole
batch. A Dice over a whole batch would tie its images together. Here it is each image's own, and every known pixel counts
it once: an image's Dice is weighted by its pixels. A class that does not occur in an image is left out of that image's
Dice: its overlap is 0 whatever is predicted, and what is wrongly given to it is missing from a class that does occur.
Milletari squares the probabilities in the denominator; here they are plain, so for hard answers it is Dice itself.

Where nothing is known the weight is 0, the mean 0 and its gradient 0. Scores of 16 bits are judged in 32.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F

from sightline.structures.targets import IGNORE

from .means import in_32_bits, mean_over

Judged = tuple[Float[Tensor, ""], Float[Tensor, ""]]


def pixel_cross_entropy(
    logits: Float[Tensor, "b k h w"], index: Int[Tensor, "b h w"], *, class_weight: Float[Tensor, "k"] | None = None
) -> Judged:
    """Cross-entropy of scores with the true class of each pixel; IGNORE (255) counts nowhere."""
    terms = F.cross_entropy(in_32_bits(logits), index.long(), ignore_index=IGNORE, reduction="none")  # (b, h, w)
    weight = _weight(index, class_weight, terms.dtype)
    return mean_over((terms * weight).sum(), weight.sum())


def focal(
    logits: Float[Tensor, "b k h w"],
    index: Int[Tensor, "b h w"],
    *,
    gamma: float = 2.0,
    class_weight: Float[Tensor, "k"] | None = None,
) -> Judged:
    """-(1 - p)^γ log p of the true class; γ = 0 is cross-entropy. Over a softmax, not the paper's sigmoids; its α is
    `class_weight`, and the sum is divided by the weights of all pixels, not by the number of objects."""
    terms = F.cross_entropy(in_32_bits(logits), index.long(), ignore_index=IGNORE, reduction="none")  # (b, h, w)
    easy = (-terms).exp()  # the true class's probability
    weight = _weight(index, class_weight, terms.dtype)
    # 1 - p is kept off 0, where the slope of a power below 1 is infinite
    return mean_over(((1 - easy).clamp(min=1e-12) ** gamma * terms * weight).sum(), weight.sum())


def soft_dice(
    logits: Float[Tensor, "b k h w"], index: Int[Tensor, "b h w"], *, class_weight: Float[Tensor, "k"] | None = None
) -> Judged:
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
    """One plane a class, true where the pixel is of it; an ignored pixel is in none."""
    return index[:, None] == torch.arange(classes, device=index.device)[:, None, None]


def summed_cross_entropy(
    logits: Float[Tensor, "b k h w"], index: Int[Tensor, "b h w"]
) -> tuple[Float[Tensor, "b"], Int[Tensor, "b"]]:
    """Of each image: cross-entropy summed over its known pixels, and their number."""
    terms = F.cross_entropy(in_32_bits(logits), index.long(), ignore_index=IGNORE, reduction="none")  # (b, h, w)
    return terms.double().sum((1, 2)), (index != IGNORE).sum((1, 2))


def _weight(
    index: Int[Tensor, "b h w"], class_weight: Float[Tensor, "k"] | None, dtype: torch.dtype
) -> Float[Tensor, "b h w"]:
    known = index != IGNORE
    if class_weight is None:
        return known.to(dtype)
    return class_weight.to(dtype)[index.long().where(known, 0)] * known
