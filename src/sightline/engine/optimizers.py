"""Optimisers by name: torch's own and those of `updates`, one for each turn."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from sightline.errors import UsageError, nearest
from sightline.tasks.task import Task

from .freezing import parts
from .updates.orthogonal import Muon
from .updates.signed import Lamb, Lion

OPTIMIZERS: Mapping[str, type[torch.optim.Optimizer]] = {
    "sgd": torch.optim.SGD,
    "adamw": torch.optim.AdamW,
    "adam": torch.optim.Adam,
    "rmsprop": torch.optim.RMSprop,
    "adagrad": torch.optim.Adagrad,
    "adadelta": torch.optim.Adadelta,
    "lion": Lion,
    "lamb": Lamb,
    "muon": Muon,
}
_WITH_MOMENTUM = {"sgd", "rmsprop", "muon"}
BETAS = (0.9, 0.999)  # torch's own (Kingma & Ba 2015, arXiv:1412.6980)
_BETAS = {"adam": BETAS, "adamw": BETAS, "lamb": BETAS, "lion": (0.9, 0.99)}
_FUSED = {
    "sgd",
    "adamw",
    "adam",
}  # one kernel for all weights on an accelerator, which can mask its own update (see `guard`)


@dataclass(frozen=True)
class Pretrained:
    """Parameters that start from earlier training: they move at `rate` times the learning rate, and not before step `starts`.
    Gradients through a head of random weights would first of all destroy them (Howard & Ruder 2018, arXiv:1801.06146)."""

    parameters: Collection[nn.Parameter] = ()
    rate: float = 1.0
    starts: int = 0


NONE = Pretrained()


def make_optimizer(
    name: str,
    networks: Iterable[nn.Module],
    *,
    lr: float,
    momentum: float = 0.0,
    nesterov: bool = False,
    betas: tuple[float | None, float | None] = (None, None),
    weight_decay: float = 0.0,
    decay_all: bool = True,
    device: str = "cpu",
    pretrained: Pretrained = NONE,
    frozen: Collection[nn.Parameter] = (),
    layer_decay: float | None = None,
) -> torch.optim.Optimizer:
    """The optimiser over all parameters of `networks`; with `decay_all` off, biases and normalisation scales
    (parameters of fewer than two dimensions) are not decayed. Each group stores its `initial_lr`, and `starts`, the step
    before which its rate is 0, where there is one. `device` is where the networks will be trained.
    `layer_decay`: the rate of each part of a network (`freezing.parts`) is that of the next part times this factor (Howard &
    Ruder 2018, arXiv:1801.06146)."""
    if name not in OPTIMIZERS:
        raise UsageError(f"unknown optimizer {name!r}", nearest(name, OPTIMIZERS))
    options = {"lr": lr, **_memory(name, momentum, nesterov, betas)}
    if device.startswith("cuda") and name in _FUSED:
        options["fused"] = True
    networks = list(networks)
    heights = {} if layer_decay is None else _heights(networks)
    groups = _groups(networks, frozen, pretrained, decay_all, heights)
    decays = [{"params": some, "weight_decay": weight_decay if decayed else 0.0} for _, decayed, _, some in groups]
    optimizer = OPTIMIZERS[name](decays, **options)
    for group, (learned, _, height, _) in zip(optimizer.param_groups, groups, strict=True):
        group["initial_lr"] = lr * (pretrained.rate if learned else 1.0) * (layer_decay or 1.0) ** height
        if learned and pretrained.starts:
            group["starts"] = pretrained.starts
    return optimizer


@torch.no_grad()
def shrink(optimizer: torch.optim.Optimizer, l1: float) -> None:
    """The proximal step of the penalty l1 · Σ|w| after each step of the optimiser: every weight moves towards zero by
    l1 times the rate and stops there, so that weights become exactly zero (Beck & Teboulle 2009, "A fast iterative
    shrinkage-thresholding algorithm"). The penalty's gradient would make them oscillate around zero. Biases and scales of
    normalisation are left alone. A step that the guard masks on the device shrinks nothing either."""
    skipped = getattr(optimizer, "found_inf", None)
    for group in optimizer.param_groups:
        threshold = group["lr"] * l1
        weights = [p for p in group["params"] if p.dim() > 1 and p.grad is not None]
        for p in weights if threshold else ():
            p.copy_(nn.functional.softshrink(p, threshold) if skipped is None else _masked(p, threshold, skipped))


def _masked(p: torch.Tensor, threshold: float, skipped: torch.Tensor) -> torch.Tensor:
    return torch.where(skipped.bool(), p, nn.functional.softshrink(p, threshold))


def _heights(networks: Iterable[nn.Module]) -> dict[int, int]:
    """How many parts of its network lie behind each parameter; 0 for the last part and whatever belongs to none."""
    heights: dict[int, int] = {}
    for network in networks:
        known = list(parts(network).values())
        for place, part in enumerate(known):
            heights |= {id(p): len(known) - 1 - place for p in part.parameters()}
    return heights


def _memory(name: str, momentum: float, nesterov: bool, betas: tuple[float | None, float | None]) -> dict[str, Any]:
    """The options of how gradients are remembered. UsageError for those that the optimiser does not have."""
    options: dict[str, Any] = {}
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
    if name in _BETAS:
        options["betas"] = tuple(usual if own is None else own for own, usual in zip(betas, _BETAS[name], strict=True))
    elif betas != (None, None):
        raise UsageError(f"{name} has no optim.beta1 and optim.beta2", "leave them out, or set optim.name=adam")
    return options


def _groups(
    networks: Iterable[nn.Module],
    frozen: Collection[nn.Parameter],
    pretrained: Pretrained,
    decay_all: bool,
    heights: Mapping[int, int],
) -> list[tuple[bool, bool, int, list[nn.Parameter]]]:
    """(pretrained, decayed, height, parameters): new parameters first, decayed ones first among each. UsageError if all are
    frozen."""
    fixed, early = {id(p) for p in frozen}, {id(p) for p in pretrained.parameters}
    groups: dict[tuple[bool, bool, int], list[nn.Parameter]] = {}
    for p in {id(p): p for network in networks for p in network.parameters() if id(p) not in fixed}.values():
        key = (id(p) in early, decay_all or p.dim() > 1, heights.get(id(p), 0))
        groups.setdefault(key, []).append(p)
    if not groups:
        raise UsageError("every parameter is frozen", "lower model.freeze, or set model.freeze=none")
    return [(*key, groups[key]) for key in sorted(groups, key=lambda key: (key[0], not key[1], key[2]))]


def one_a_turn(task: Task, name: str, *, l1: float = 0.0, **options: Any) -> dict[str, torch.optim.Optimizer]:
    """An optimiser for each turn, over all networks that the turn trains. `l1`: see `shrink`."""
    turns = {turn.name: turn for turn in task.turns}
    made = {
        t.name: make_optimizer(name, [getattr(task, child) for child in t.learns], **options) for t in turns.values()
    }
    for optimizer in made.values() if l1 else ():
        optimizer.register_step_post_hook(lambda own, *_: shrink(own, l1))
    return made
