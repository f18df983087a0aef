"""Distinct random values in every parameter and buffer of a network: parity proven with default values is blind.

Freshly built networks hold ones and zeros in every norm, so two of them can change places and no output tells. After this
none can. Scales are chosen so that a deep residual network still answers with numbers of about one. Without shortcuts that is
not enough: the norms' random statistics have nothing to do with what reaches them, the signal shrinks against the shifts, and
behind the 27 convolutions of a MobileNet two images differ by 2e-7 of the answer. `fill_lively` is for those.
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


def fill_lively(network: nn.Module, images: Tensor, seed: int) -> None:
    """In place: distinct values, but norms take their running statistics from these images; where there are none, weights
    are of He's size, at which rectified layers keep the signal's. Ends in evaluation mode."""
    fill_distinct(network, seed)
    norms = [layer for layer in network.modules() if isinstance(layer, nn.BatchNorm2d)]
    if not norms:
        with torch.no_grad():
            for p in network.parameters():
                p.mul_(math.sqrt(2) if p.ndim >= 2 else 0.5)
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 1.0
    with torch.no_grad():
        network.train()(images)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    network.eval()


def picture(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def farthest(got: Tensor, expected: Tensor) -> float:
    """The largest difference as a share of the largest value."""
    return ((got - expected).abs().max() / expected.abs().max()).item()
