"""Distinct random values in every parameter and buffer of a network: parity proven with default values is blind.

Freshly built networks hold ones and zeros in every norm, so two of them can change places and no output tells. After this
none can. Scales are chosen so that a deep residual network still answers with numbers of about one.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


def fill_distinct(module: nn.Module, seed: int) -> None:
    """In place: weights, biases, scales, shifts, means and (positive) variances."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, tensor in module.state_dict().items():
            tensor.copy_(_values(name.rsplit(".", 1)[-1], tensor, generator))


def _values(name: str, tensor: Tensor, generator: torch.Generator) -> Tensor:
    if not tensor.is_floating_point():
        return torch.randint(1, 10_000, tensor.shape, generator=generator)
    if tensor.ndim >= 2:
        return torch.randn(tensor.shape, generator=generator) / math.sqrt(tensor[0].numel())
    if name == "running_var":
        return 0.6 + torch.rand(tensor.shape, generator=generator)
    if name == "weight":
        return 0.3 + 0.6 * torch.rand(tensor.shape, generator=generator)
    return 0.1 * torch.randn(tensor.shape, generator=generator)
