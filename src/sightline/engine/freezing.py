"""Which parts of a network keep what they know while the rest learns.

    none     all learn
    trunk    all but the new head: the network is a fixed feature extractor under a linear classifier
    N        the first N parts that have parameters, in the order of the network's definition

A module whose parameters are all frozen also stays in eval mode. Otherwise its batch norms would go on averaging statistics,
and a "frozen" trunk would change with every batch.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from sightline.errors import UsageError
from sightline.tasks.task import Frozen

_FEW = 4  # parts; with fewer, "the first N" would say nothing


def parts(network: nn.Module) -> dict[str, nn.Module]:
    """The parts of a network that have parameters, by name: its children. Where these are fewer than four, the largest
    container among them is replaced by its own children: of (trunk, classifier), by the stages of the trunk."""
    known = {name: child for name, child in network.named_children() if _size(child)}
    while len(known) < _FEW:
        largest = max(known, key=lambda name: _size(known[name]), default="")
        inner = (
            {f"{largest}.{n}": child for n, child in known[largest].named_children() if _size(child)} if known else {}
        )
        if not inner:
            break
        known = {
            n: c for name, child in known.items() for n, c in (inner.items() if name == largest else [(name, child)])
        }
    return known


def freeze(network: nn.Module, rule: str | int, new: Collection[str], *, norms: bool = False) -> Frozen:
    """The frozen parts of `network`.

    rule     as above
    new      names of parameters that did not come with the weights; "trunk" leaves these to learn
    norms    freeze every batch norm that came with the weights as well
    UsageError   for more parts than there are
    """
    names: set[str] = set()
    if rule == "trunk":
        names = {name for name, _ in network.named_parameters()} - set(new)
    elif isinstance(rule, int):
        known = parts(network)
        if rule >= len(known):
            raise UsageError(
                f"model.freeze={rule} leaves nothing to learn: the network has {len(known)} parts ({', '.join(known)})",
                f"use at most {len(known) - 1}",
            )
        first = tuple(f"{part}." for part in list(known)[:rule])
        names = {name for name, _ in network.named_parameters() if name.startswith(first)}
    if norms:
        names |= {f"{name}.{p}" for name, m in _norms(network) for p, _ in m.named_parameters(recurse=False)} - set(new)
    by_name = dict(network.named_parameters())
    whole = {id(by_name[name]) for name in names}
    return Frozen(tuple(by_name[name] for name in by_name if name in names), tuple(_covered(network, whole)))


def _covered(module: nn.Module, frozen: set[int]) -> Iterator[nn.Module]:
    """The outermost modules all of whose parameters are frozen."""
    parameters = list(module.parameters())
    if parameters and all(id(p) in frozen for p in parameters):
        yield module
        return
    for child in module.children():
        yield from _covered(child, frozen)


def _norms(network: nn.Module) -> list[tuple[str, nn.Module]]:
    return [(name, m) for name, m in network.named_modules() if isinstance(m, _BatchNorm)]


def _size(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())
