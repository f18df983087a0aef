"""A small neocognitron: S cells that match a feature everywhere, C cells that blur where it was, one pair behind the other.

    Fukushima 1980, "Neocognitron: a self-organizing neural network model for a mechanism of pattern recognition unaffected
    by shift in position", Biological Cybernetics 36

Features are learned without labels, as in the paper by competition: here by k-means over normalised patches instead of his
rule of winners. An S cell answers with how far the similarity of its patch to its feature exceeds a threshold; a C cell
with the maximum of neighbouring S cells of the same feature, in windows that overlap (Fukushima: a saturating mean).
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from scipy.cluster.vq import kmeans2
from torch import Tensor
from torch.nn import functional as F

Maps = Float[Tensor, "b c h w"]


def patches(x: Maps, side: int) -> Float[Tensor, "b d n"]:
    """All patches, same padding, each divided by its length (left at 0 where empty)."""
    found = F.unfold(x, side, padding=side // 2)  # (b, c · side², h · w)
    return found / found.norm(dim=1, keepdim=True).clamp(min=1e-6)


def features(x: Maps, count: int, side: int, seed: int) -> Float[Tensor, "k d"]:
    """`count` unit vectors of patches that stand for the others: k-means over up to 4,000 patches that are not empty."""
    flat = patches(x, side).movedim(1, 2).flatten(0, 1)
    flat = flat[flat.norm(dim=1) > 0.5]
    draw = np.random.default_rng(seed)
    chosen = flat[torch.as_tensor(draw.permutation(len(flat))[:4000])]
    centres, _ = kmeans2(chosen.double().numpy(), count, minit="++", seed=draw, missing="warn")
    found = torch.tensor(centres, dtype=x.dtype)
    return found / found.norm(dim=1, keepdim=True).clamp(min=1e-6)


def s_layer(x: Maps, feature: Float[Tensor, "k d"], side: int, threshold: float) -> Float[Tensor, "b k h w"]:
    """max(0, cosine - threshold) / (1 - threshold) of every patch with every feature."""
    cosine = torch.einsum("kd,bdn->bkn", feature, patches(x, side)).unflatten(2, x.shape[2:])
    return (cosine - threshold).clamp(min=0) / (1 - threshold)


def c_layer(x: Maps, size: int, stride: int) -> Float[Tensor, "b k i j"]:
    """The maximum of `size` x `size` S cells of one feature, every `stride` pixels."""
    return F.max_pool2d(x, size, stride, padding=size // 2 if stride == 1 else 0)


class Neocognitron:
    """Stages of (S, C), learned one after the other on images without labels; `pools` are (size, stride) of each C layer."""

    def __init__(
        self, images: Maps, *, counts: tuple[int, ...], pools: tuple[tuple[int, int], ...], threshold: float, seed: int
    ) -> None:
        self.pools, self.threshold = pools, threshold
        self.features: list[Tensor] = []
        for stage, count in enumerate(counts):
            self.features.append(features(self.maps(images)[-1], count, 3, seed + stage))

    def maps(self, x: Maps) -> list[Tensor]:
        """The input and the C layer of every stage learned so far."""
        found = [x]
        for feature, pool in zip(self.features, self.pools, strict=False):
            found.append(c_layer(s_layer(found[-1], feature, 3, self.threshold), *pool))
        return found
