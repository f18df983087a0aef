"""How much of a mixed image is whose: the draw, and the labels that follow.

The share of the sample itself is λ, drawn from Beta(α, α): α = 1 is every share equally likely, a small α leaves most images
almost as they are (Zhang et al. 2017, arXiv:1710.09412).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional

from sightline.structures.batch import Batch
from sightline.structures.targets import Labels

_KNOTS = 1 << 12


def beta(draw: Float[Tensor, "m"], alpha: float) -> Float[Tensor, "m"]:
    """The quantile of Beta(α, α) at each uniform draw, between 4,097 knots: interpolation rounds alike in every batch."""
    if alpha == 1:
        return draw
    knots = torch.tensor(_quantiles(alpha)).to(draw.device)
    place = draw * _KNOTS
    low = place.long()
    return knots[low] + (knots[low + 1] - knots[low]) * (place - low)


@lru_cache(maxsize=8)
def _quantiles(alpha: float) -> Sequence[float]:
    from scipy.special import betaincinv  # imported here: the package must load without scipy

    return [float(betaincinv(alpha, alpha, k / _KNOTS)) for k in range(_KNOTS + 1)]


def both_known(batch: Batch, owner: Int[Tensor, "m"], other: Batch) -> Bool[Tensor, "m"]:
    """Which pairs have a label each: an image without one is not mixed into another."""
    mine, theirs = labels_of(batch), labels_of(other)
    return mine.known[owner] & theirs.known


def labels_of(batch: Batch) -> Labels:
    if not isinstance(batch.target, Labels):
        raise TypeError(f"targets of type {type(batch.target).__name__} cannot be mixed by shares")
    return batch.target


def mixed_labels(
    batch: Batch, owner: Int[Tensor, "m"], other: Batch, share: Float[Tensor, "m"], classes: int
) -> Labels:
    """The labels after `share` of the samples `owner` is theirs and the rest their partner's. Each row of `soft` sums to 1."""
    mine, theirs = labels_of(batch), labels_of(other)
    soft = _soft(mine, classes).clone()
    part = share[:, None].to(soft.dtype)  # (m, 1)
    soft[owner] = part * soft[owner] + (1 - part) * _soft(theirs, classes)
    return replace(mine, index=torch.where(mine.known, soft.argmax(1), mine.index), soft=soft)


def _soft(labels: Labels, classes: int) -> Float[Tensor, "b k"]:
    return functional.one_hot(labels.index, classes).float() if labels.soft is None else labels.soft


def fitted(other: Batch, batch: Batch) -> Tensor:
    """The partners' pixels on a canvas of the batch's shape, which differs only where images do."""
    height, width = batch.image.shape[2:]
    if other.image.shape[2:] == (height, width):
        return other.image
    image = batch.image.new_zeros(len(other), *batch.image.shape[1:])
    h, w = min(height, other.image.shape[2]), min(width, other.image.shape[3])
    image[:, :, :h, :w] = other.image[:, :, :h, :w]
    return image
