"""Does a map depend on what was learned? Its network is randomised layer by layer, from the head to the input.

    cascading randomisation     Adebayo et al. 2018, arXiv:1810.03292, section 3.1

Matrices and kernels are drawn anew from a normal distribution with mean 0 and the old root mean square, so that activations
neither explode nor die; scales and biases are permuted. Draws are keyed. The weights come back afterwards, bit for bit, also
after an error.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from sightline.explanation.subject import Subject
from sightline.randomness.keyed import permutation, torch_seeded

STAGES = 5


def layers_from_the_head(network: nn.Module) -> list[tuple[str, nn.Module]]:
    """Modules with weights of their own, the head first."""
    own = [
        (name, module) for name, module in network.named_modules() if next(module.parameters(False), None) is not None
    ]
    return own[::-1]


def layers_of(subject: Subject, pixels: Tensor, target: Tensor) -> set[nn.Module]:
    """Modules on whose own weights the score of an image depends: of a detector, not the head of the boxes' shapes."""
    learning = {p: p.requires_grad for p in subject.network.parameters()}
    for parameter in learning:
        parameter.requires_grad_(True)
    try:
        with torch.enable_grad():
            score = subject.score(pixels[:1], target[:1]).sum()
            if not score.requires_grad:
                return set()
            slopes = torch.autograd.grad(score, list(learning), allow_unused=True)
    finally:
        for parameter, was in learning.items():
            parameter.requires_grad_(was)
    moving = {id(p) for p, slope in zip(learning, slopes, strict=True) if slope is not None and bool(slope.any())}
    return {m for _, m in layers_from_the_head(subject.network) if any(id(p) in moving for p in m.parameters(False))}


def stages(
    network: nn.Module, most: int = STAGES, within: set[nn.Module] | None = None
) -> list[tuple[str, tuple[nn.Module, ...]]]:
    """(name, modules that are randomised) of each stage: the head alone, then growing shares, at last the whole network; only
    modules in `within`, where given."""
    layers = [row for row in layers_from_the_head(network) if within is None or row[1] in within]
    if not layers:
        return []
    head = _head_size(layers)
    steps = max(1, min(most, len(layers)))
    counts = [head + round(i * (len(layers) - head) / max(1, steps - 1)) for i in range(steps)]
    rows = []
    for count in dict.fromkeys(counts):
        name = (
            "the head"
            if count == head
            else "the whole network"
            if count == len(layers)
            else f"down to {layers[count - 1][0]}"
        )
        rows.append((name, tuple(module for _, module in layers[:count])))
    return rows


def _head_size(layers: list[tuple[str, nn.Module]]) -> int:
    """How many of the layers from the head are the head: normalisations do not count, the first matrix does."""
    for count, (_, module) in enumerate(layers, 1):
        if any(parameter.ndim >= 2 for parameter in module.parameters(recurse=False)):
            return count
    return len(layers)


@contextmanager
def randomised(modules: tuple[nn.Module, ...], seed: int = 0) -> Iterator[None]:
    """The modules' own weights are random inside the block."""
    kept: list[tuple[nn.Parameter, Tensor]] = []
    try:
        for number, module in enumerate(modules):
            for place, parameter in enumerate(module.parameters(recurse=False)):
                weights = parameter.data
                kept.append((parameter, weights))
                parameter.data = _random_like(weights, seed, number, place)
        yield
    finally:
        for parameter, weights in kept:
            parameter.data = weights


def _random_like(weights: Tensor, seed: int, number: int, place: int) -> Tensor:
    if weights.ndim < 2:
        order = permutation(weights.numel(), seed, "randomised", number, place).to(weights.device)
        return weights[order] if weights.ndim else weights.clone()
    with torch_seeded(seed, "randomised", number, place):
        drawn = torch.randn(weights.shape).to(weights)
    return drawn * weights.square().mean().sqrt()
