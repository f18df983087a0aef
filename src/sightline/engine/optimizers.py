"""Optimisers by name: torch's own, one for each turn."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import nn

from sightline.errors import UsageError, nearest
from sightline.tasks.task import Task

OPTIMIZERS: Mapping[str, type[torch.optim.Optimizer]] = {
    "sgd": torch.optim.SGD,
    "adamw": torch.optim.AdamW,
    "adam": torch.optim.Adam,
    "rmsprop": torch.optim.RMSprop,
    "adagrad": torch.optim.Adagrad,
    "adadelta": torch.optim.Adadelta,
}
_WITH_MOMENTUM = {"sgd", "rmsprop"}
_FUSED = {
    "sgd",
    "adamw",
    "adam",
}  # one kernel for all weights on an accelerator, which can mask its own update (see `guard`)


def make_optimizer(
    name: str,
    networks: Iterable[nn.Module],
    *,
    lr: float,
    momentum: float = 0.0,
    nesterov: bool = False,
    weight_decay: float = 0.0,
    decay_all: bool = True,
    device: str = "cpu",
) -> torch.optim.Optimizer:
    """Torch's optimiser over all parameters of `networks`; with `decay_all` off, biases and normalisation scales
    (parameters of fewer than two dimensions) are not decayed. Each group stores its `initial_lr`. `device` is where
    the networks will be trained."""
    if name not in OPTIMIZERS:
        raise UsageError(f"unknown optimizer {name!r}", nearest(name, OPTIMIZERS))
    options: dict[str, Any] = {"lr": lr}
    if name in _WITH_MOMENTUM:
        options["momentum"] = momentum
    elif momentum:
        raise UsageError(
            f"{name} has no momentum (optim.momentum)",
            f"set optim.momentum=0, or optim.name={' or '.join(sorted(_WITH_MOMENTUM))}",
        )
    if nesterov:
        if name != "sgd" or not momentum:
            raise UsageError("optim.nesterov needs sgd with momentum", "set optim.name=sgd optim.momentum=0.9")
        options["nesterov"] = True
    parameters = list({id(p): p for network in networks for p in network.parameters()}.values())
    groups = [{"params": [p for p in parameters if decay_all or p.dim() > 1], "weight_decay": weight_decay}]
    if spared := [p for p in parameters if not decay_all and p.dim() <= 1]:
        groups.append({"params": spared, "weight_decay": 0.0})
    if device == "cuda" and name in _FUSED:
        options["fused"] = True
    optimizer = OPTIMIZERS[name]([g for g in groups if g["params"]], **options)
    for group in optimizer.param_groups:
        group["initial_lr"] = lr
    return optimizer


def one_a_turn(task: Task, name: str, **options: Any) -> dict[str, torch.optim.Optimizer]:
    """An optimiser for each turn, over all networks that the turn trains."""
    turns = {turn.name: turn for turn in task.turns}
    return {
        t.name: make_optimizer(name, [getattr(task, child) for child in t.learns], **options) for t in turns.values()
    }
