"""Losses of a region network: objectness and deltas of anchors, class and deltas of regions, masks of objects.

    anchors, regions   Ren et al. 2015, arXiv:1506.01497, equation 1; Girshick 2015, arXiv:1504.08083, section 2.3
    masks              He et al. 2017, arXiv:1703.06870, section 3: a binary question for each pixel, of the true class only

Each returns (mean, weight): the mean over images of every image's own mean, and the number of images, so that parts of
a batch add up exactly to the whole. torchvision takes one mean over all samples of the batch: the same number where
every image has equally many (the usual case), and always for a single image. Deltas use the smooth L1 with β = 1/9,
divided by the number of all samples, background included; for an image without objects the losses of deltas and masks
are 0.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from sightline.structures.regions import RegionSamples

from .means import in_32_bits, mean_over

_BETA = 1 / 9
Mean = tuple[Float[Tensor, ""], Float[Tensor, ""]]


def objectness(logits: Float[Tensor, "b a"], samples: RegionSamples) -> Mean:
    """Binary cross-entropy of the sampled anchors: object or background."""
    scores = in_32_bits(logits).flatten()[samples.place]  # (b, a) → (s,)
    terms = F.binary_cross_entropy_with_logits(scores, (samples.truth >= 0).to(scores.dtype), reduction="none")
    return _mean_of_images(terms, samples.sample, samples.sample, len(logits))


def region_class(logits: Float[Tensor, "r c"], samples: RegionSamples, label: Int[Tensor, "t"], images: int) -> Mean:
    """Cross-entropy of the sampled regions over background (0) and the classes (label + 1)."""
    terms = F.cross_entropy(in_32_bits(logits), class_of(samples, label), reduction="none")
    return _mean_of_images(terms, samples.sample, samples.sample, images)


def shifts(
    predicted: Float[Tensor, "p 4"],
    target: Float[Tensor, "p 4"],
    sample: Int[Tensor, "p"],
    samples: RegionSamples,
    images: int,
) -> Mean:
    """Smooth L1 of the deltas of samples with objects, summed over the four coordinates, divided by the number of samples."""
    terms = F.smooth_l1_loss(in_32_bits(predicted), target, beta=_BETA, reduction="none").sum(1)
    return _mean_of_images(terms, sample, samples.sample, images)


def mask_pixels(
    logits: Float[Tensor, "p m m"], target: Float[Tensor, "p m m"], sample: Int[Tensor, "p"], images: int
) -> Mean:
    """Binary cross-entropy of the masks of the true class against the true masks cropped to the regions."""
    terms = F.binary_cross_entropy_with_logits(in_32_bits(logits), target, reduction="none").mean((1, 2))
    return _mean_of_images(terms, sample, sample, images)


def class_of(samples: RegionSamples, label: Int[Tensor, "t"]) -> Int[Tensor, "s"]:
    """The target class of each sampled region: 0 for background, else label + 1 of its object."""
    if not len(label):
        return torch.zeros_like(samples.truth)
    return torch.where(samples.truth >= 0, label[samples.truth.clamp(min=0)] + 1, 0)


def _mean_of_images(
    terms: Float[Tensor, "p"], sample: Int[Tensor, "p"], all_drawn: Int[Tensor, "s"], images: int
) -> Mean:
    """The mean over images of the sum of an image's terms divided by the number of its samples."""
    count = torch.bincount(all_drawn, minlength=images).clamp(min=1).to(terms.dtype)
    return mean_over((terms / count[sample]).sum(), terms.new_tensor(float(images)))
