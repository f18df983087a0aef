"""Batch norms of a whole network folded into the layers before them: fewer layers, equal answers at test time.

`layers.normalisation.fold_pair` joins one pair; which pairs there are only a run can tell. One image goes through, and
what each function was handed is noted: a norm is folded where its input is what one convolution or dense layer answered and
nobody else reads that, in `forward` and in `features` alike. Where norms come first (pre-activation, DenseNet) most stay.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

from sightline.layers.normalisation import fold_pair

Pairs = dict[str, str]  # a norm's name → that of the layer whose answer it alone reads
_LAYERS = {torch.conv2d: (nn.Conv2d, 4), F.linear: (nn.Linear, 2)}  # function → module, axes of an answer that folds
# answers about a tensor that do not use it
_ASKING = (int, float, str, torch.Size, torch.dtype, torch.device, torch.layout)


def fold_batchnorm(model: nn.Module, example: Tensor | None = None) -> nn.Module:
    """A copy of the network, in eval mode, without the batch norms that can be folded; the original is untouched.

    example    (1, c, h, w) that the network can see; None: zeros of its `input_size`
    """
    folded = copy.deepcopy(model).eval()
    if example is None:
        example = torch.zeros(1, *model.input_size)  # type: ignore[arg-type, misc]
    first = next(folded.parameters(), example)
    x = example.to(first.device, first.dtype)
    ways = [folded, *([folded.features] if hasattr(folded, "features") else [])]
    runs = [_Reading(folded).during(way, x) for way in ways]  # type: ignore[arg-type]
    for norm, layer in runs[0].pairs().items():
        if all(run.pairs().get(norm) == layer for run in runs if run.ran(norm) or run.ran(layer)):
            joined = fold_pair(folded.get_submodule(layer), folded.get_submodule(norm))  # type: ignore[type-var, arg-type]
            folded.set_submodule(layer, joined)
            folded.set_submodule(norm, nn.Identity())
    return folded


class _Reading(TorchFunctionMode):
    """Notes, during one run, who answered each tensor and how often it is read."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.kind = {name: type(module) for name, module in model.named_modules()}
        self.layer = _only({n: m.weight for n, m in model.named_modules() if isinstance(m, nn.Conv2d | nn.Linear)})
        self.norm = _only({n: m.running_mean for n, m in model.named_modules() if isinstance(m, _BatchNorm)})
        self.answered: dict[int, str] = {}  # a tensor's identity → the layer whose answer it is
        self.read: Counter[int] = Counter()
        self.normed: list[tuple[str, int]] = []  # a norm, and what it read
        self.calls: Counter[str] = Counter()
        self.alive: list[Any] = []  # so that no identity is given twice

    def during(self, way: Callable[[Tensor], Any], x: Tensor) -> _Reading:
        with torch.no_grad(), self:
            answer = way(x)
        self._note(answer)  # whoever called reads it
        return self

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        answer = func(*args, **kwargs)
        if isinstance(answer, _ASKING):
            return answer
        self._note((args, kwargs))
        self.alive.append(answer)
        if func in _LAYERS and (name := self.layer.get(id(args[1]))) is not None:
            self.calls[name] += 1
            kind, axes = _LAYERS[func]
            if issubclass(self.kind[name], kind) and answer.ndim == axes:
                self.answered[id(answer)] = name
        elif func is F.batch_norm and (name := self.norm.get(id(args[1]))) is not None:
            self.calls[name] += 1
            self.normed.append((name, id(args[0])))
        return answer

    def _note(self, handed: Any) -> None:
        self.alive.append(handed)
        self.read.update(id(leaf) for leaf in tree_leaves(handed) if isinstance(leaf, Tensor))

    def ran(self, name: str) -> bool:
        return self.calls[name] > 0

    def pairs(self) -> Pairs:
        """Norms and layers that ran once, with nobody between and nobody beside."""
        found = {norm: self.answered[x] for norm, x in self.normed if x in self.answered and self.read[x] == 1}
        return {norm: layer for norm, layer in found.items() if self.calls[norm] == self.calls[layer] == 1}


def _only(tensors: dict[str, Tensor | None]) -> dict[int, str]:
    """Tensor's identity → the module that holds it, where one alone does."""
    count = Counter(id(x) for x in tensors.values())
    return {id(x): name for name, x in tensors.items() if x is not None and count[id(x)] == 1}
