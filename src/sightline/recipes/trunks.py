"""Starting weights of a network inside another one: a registered classifier that a kind of task wraps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import nn

from sightline.models.weights import LoadReport

from .assembly import load_start
from .recipe import Recipe


@dataclass(frozen=True)
class Trunk:
    """`name` of the wrapped network among the children of the wrapping one, the heading `output` under which it is registered,
    and how many outputs it has, by the recipe."""

    name: str
    output: str
    outputs: Callable[[Recipe], int]


@torch.no_grad()
def load_trunk(recipe: Recipe, network: nn.Module, trunk: Trunk) -> LoadReport:
    """Load the recipe's `model.weights` into the wrapped network, with names of the wrapping one in the report.

    New outputs stay random: they are coordinates, and were all of them zero no image would differ from another.
    """
    inner = network.get_submodule(trunk.name)
    before = {name: tensor.clone() for name, tensor in inner.state_dict().items()}
    report = load_start(recipe, inner, [str(i) for i in range(trunk.outputs(recipe))], trunk.output)
    own = inner.state_dict()
    for name in report.head:
        own[name].copy_(before[name])
    beside = tuple(name for name in network.state_dict() if not name.startswith(f"{trunk.name}."))
    inside = {
        key: tuple(f"{trunk.name}.{name}" for name in getattr(report, key)) for key in ("loaded", "head", "missing")
    }
    return replace(report, loaded=inside["loaded"], head=(*inside["head"], *beside), missing=inside["missing"])
