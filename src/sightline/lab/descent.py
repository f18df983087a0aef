"""The shortest training loop: mini-batches, one optimiser, the losses. For experiments about what a loop is made of;
`sightline train` has everything else."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .datasets import Labelled

Loss = Callable[[Tensor, Tensor], Tensor]


def descend(
    network: nn.Module,
    data: Labelled,
    *,
    steps: int,
    lr: float,
    batch: int = 64,
    seed: int,
    momentum: float = 0.9,
    weight_decay: float = 0.0,
    loss: Loss = F.cross_entropy,
    after: Callable[[int], None] | None = None,
) -> list[float]:
    """Train by stochastic gradient descent with momentum; the loss of every step, infinite once it is not finite (where it
    stops). `after(step)` is called behind each step, from 1."""
    draw = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.SGD(network.parameters(), lr=lr, momentum=momentum, weight_decay=weight_decay)
    network.train()
    losses: list[float] = []
    for step in range(1, steps + 1):
        chosen = torch.randint(len(data.x), (min(batch, len(data.x)),), generator=draw)
        value = loss(network(data.x[chosen]), data.y[chosen])
        optimizer.zero_grad()
        value.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        losses.append(value.item() if value.isfinite() else float("inf"))
        if losses[-1] == float("inf"):
            break
        if after is not None:
            after(step)
    return losses


@torch.no_grad()
def accuracy(network: nn.Module, data: Labelled) -> float:
    """Share of the samples whose highest score is their class, in evaluation mode."""
    was = network.training
    network.eval()
    right = (network(data.x).argmax(1) == data.y).float().mean().item()
    network.train(was)
    return right
