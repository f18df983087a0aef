"""Harris corners: what the covariance of the gradients of a patch says of it (Harris & Stephens 1988)."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor


def gradient_covariance(patch: Float[Tensor, "h w"]) -> Float[Tensor, "2 2"]:
    """The mean of the outer products of the gradients (rows, columns), by central differences inside of the patch."""
    down = (patch[2:, 1:-1] - patch[:-2, 1:-1]) / 2
    right = (patch[1:-1, 2:] - patch[1:-1, :-2]) / 2
    gradient = torch.stack([down.flatten(), right.flatten()])
    return gradient @ gradient.T / gradient.shape[1]


def eigenvalues(patch: Float[Tensor, "h w"]) -> Float[Tensor, "2"]:
    """Of the covariance, the larger one last: none is above 0 where the patch is flat, one on an edge, both at a corner."""
    return torch.linalg.eigvalsh(gradient_covariance(patch))


def response(patch: Float[Tensor, "h w"], k: float = 0.05) -> float:
    """det - k · trace²: above 0 at corners, below 0 on edges."""
    covariance = gradient_covariance(patch)
    return float(torch.det(covariance) - k * torch.trace(covariance) ** 2)
