"""What the content and the style of a picture are, in the features of a network.

content   F, the features of one layer: what is where
style     of several layers, which features occur together, wherever that is: their Gram matrix (Gatys, Ecker & Bethge 2015,
          arXiv:1508.06576), or only the mean and deviation of each (Huang & Belongie 2017, arXiv:1703.06868)
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

_EPS = 1e-5
Maps = Float[Tensor, "b k i j"]


def gram(feature: Maps) -> Float[Tensor, "b k k"]:
    """Mean products of features over all places."""
    flat = feature.flatten(2)  # (b, k, i, j) → (b, k, i·j)
    return flat @ flat.transpose(1, 2) / flat.shape[2]


def adain(content: Maps, style: Float[Tensor, "b k m n"]) -> Maps:
    """The features of the content with mean and deviation, channel by channel, of those of the style (adaptive instance norm,
    arXiv:1703.06868, equation 8)."""
    mean, deviation = content.mean((2, 3), keepdim=True), content.std((2, 3), keepdim=True, correction=0)
    new_mean, new_deviation = style.mean((2, 3), keepdim=True), style.std((2, 3), keepdim=True, correction=0)
    return new_deviation * (content - mean) / (deviation + _EPS) + new_mean


def content_loss(made: Maps, aim: Maps) -> Float[Tensor, "b"]:
    """Mean squared difference of each image."""
    return (made - aim).square().flatten(1).mean(1)


def gram_loss(made: Float[Tensor, "b k k"], aim: Float[Tensor, "b k k"]) -> Float[Tensor, "b"]:
    """Mean squared difference of the Gram matrices of each image."""
    return (made - aim).square().flatten(1).mean(1)


def statistics_loss(made: Maps, style: Float[Tensor, "b k m n"]) -> Float[Tensor, "b"]:
    """Mean squared differences of the means and of the deviations of each image's channels (arXiv:1703.06868, equation 13)."""
    total = torch.zeros(len(made), device=made.device)
    for means in ((made.mean((2, 3)), style.mean((2, 3))), tuple(x.std((2, 3), correction=0) for x in (made, style))):
        total = total + (means[0] - means[1]).square().mean(1)
    return total
