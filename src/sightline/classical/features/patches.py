"""Patches of images, normalised and whitened, and what is pooled from them (Coates, Lee & Ng 2011, AISTATS).

Every patch loses its mean and is divided by its deviation; whitening then makes the pixels of patches uncorrelated, without
which k-means finds low frequencies only.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from sightline.classical.pipeline import ENCODED, Examples

CONTRAST = 10 / 255**2  # added to the variance of a patch (published: 10, for pixels of 0-255)
FLOOR = 0.1  # added to the eigenvalues when whitening
ROWS = 1 << 14  # patches that are compared with a dictionary at once


def patches_of(x: Float[Tensor, "b c h w"], side: int, stride: int) -> Float[Tensor, "b p d"]:
    """Every patch, row by row, its channels one after the other."""
    return functional.unfold(x, side, stride=stride).transpose(1, 2)


def even(patches: Float[Tensor, "... d"]) -> Float[Tensor, "... d"]:
    """Without brightness and contrast."""
    centred = patches - patches.mean(-1, keepdim=True)
    return centred / (centred.square().sum(-1, keepdim=True) / (patches.shape[-1] - 1) + CONTRAST).sqrt()


def sampled(examples: Examples, side: int, most: int, purpose: str) -> Float[Tensor, "n d"]:
    """At most so many patches of training images, evened: a function of the seed."""
    places = examples.chosen(4096, purpose)
    each = -(-most // len(places))
    found = []
    for part in places.split(ENCODED):
        every = patches_of(examples.images(part), side, 1)
        which = torch.randint(every.shape[1], (len(part), each), device="cpu").to(every.device)
        found.append(every[torch.arange(len(part), device=every.device)[:, None], which].flatten(0, 1))
    return even(torch.cat(found)[:most])


class Whitening(nn.Module):
    """(x - mean) · matrix: decorrelated, and as close to the patches as that allows (ZCA)."""

    mean: Tensor
    matrix: Tensor

    def __init__(self, size: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("matrix", torch.eye(size))

    def learn(self, patches: Float[Tensor, "n d"]) -> None:
        x = patches.double()
        mean = x.mean(0)
        covariance = (x - mean).T @ (x - mean) / len(x)
        values, vectors = torch.linalg.eigh(covariance)
        matrix = vectors @ torch.diag((values.clamp(min=0) + FLOOR).rsqrt()) @ vectors.T
        self.mean.copy_(mean)
        self.matrix.copy_(matrix)

    def forward(self, patches: Float[Tensor, "... d"]) -> Float[Tensor, "... d"]:
        return (patches - self.mean) @ self.matrix


def pooled(codes: Float[Tensor, "b p k"], rows: int, columns: int, regions: int = 2) -> Float[Tensor, "b regions_k"]:
    """The mean of codes (b, rows · columns, k) within each of regions x regions parts of the image."""
    maps = codes.transpose(1, 2).unflatten(2, (rows, columns))
    return functional.adaptive_avg_pool2d(maps, regions).flatten(1)
