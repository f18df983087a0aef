"""Batch norms of a whole network folded into the layers before them: fewer layers, equal outputs at test time.

`layers.normalisation.fold_pair` folds one pair; which pairs exist only a forward pass can tell. One image is sent
through, and the inputs of each function are recorded: a norm is folded where its input is the output of one convolution
or dense layer that nothing else reads, in `forward` and in `features` alike. In networks with norms first
(pre-activation, DenseNet) most remain.
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

Pairs = dict[str, str]  # a norm's name → the name of the layer whose output it alone reads
_LAYERS = {
    torch.conv2d: (nn.Conv2d, 4),
    F.linear: (nn.Linear, 2),
}  # function → module, number of axes of an output that can be folded
# results of queries about a tensor, which do not read its values
_QUERY_RESULTS = (int, float, str, torch.Size, torch.dtype, torch.device, torch.layout)


def fold_batchnorm(model: nn.Module, example: Tensor | None = None) -> nn.Module:
    """A copy of the network in evaluation mode, without the batch norms that can be folded; the original is unchanged.

    example    (1, c, h, w) that the network accepts; None: zeros of its `input_size`
    """
    folded = copy.deepcopy(model).eval()
    if example is None:
        example = torch.zeros(1, *model.input_size)  # type: ignore[arg-type, misc]
    first = next(folded.parameters(), example)
    x = example.to(first.device, first.dtype)
    entry_points = [folded, *([folded.features] if hasattr(folded, "features") else [])]
    runs = [_CallTrace(folded).run(entry, x) for entry in entry_points]  # type: ignore[arg-type]
    for norm, layer in runs[0].pairs().items():
        if all(run.pairs().get(norm) == layer for run in runs if run.ran(norm) or run.ran(layer)):
            joined = fold_pair(folded.get_submodule(layer), folded.get_submodule(norm))  # type: ignore[type-var, arg-type]
            folded.set_submodule(layer, joined)
            folded.set_submodule(norm, nn.Identity())
    return folded


class _CallTrace(TorchFunctionMode):
    """Records, during one forward pass, which layer produced each tensor and how often the tensor is read."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.kind = {name: type(module) for name, module in model.named_modules()}
        self.layer = _sole_owner(
            {n: m.weight for n, m in model.named_modules() if isinstance(m, nn.Conv2d | nn.Linear)}
        )
        self.norm = _sole_owner({n: m.running_mean for n, m in model.named_modules() if isinstance(m, _BatchNorm)})
        self.producer: dict[int, str] = {}  # a tensor's id → the layer that produced it
        self.reads: Counter[int] = Counter()
        self.norm_inputs: list[tuple[str, int]] = []  # a norm, and the id of its input
        self.calls: Counter[str] = Counter()
        self.alive: list[Any] = []  # keeps tensors alive, so that no id is reused

    def run(self, entry: Callable[[Tensor], Any], x: Tensor) -> _CallTrace:
        with torch.no_grad(), self:
            answer = entry(x)
        self._count_reads(answer)  # the caller reads the result
        return self

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        answer = func(*args, **kwargs)
        if isinstance(answer, _QUERY_RESULTS):
            return answer
        self._count_reads((args, kwargs))
        self.alive.append(answer)
        if func in _LAYERS and (name := self.layer.get(id(args[1]))) is not None:
            self.calls[name] += 1
            kind, axes = _LAYERS[func]
            if issubclass(self.kind[name], kind) and answer.ndim == axes:
                self.producer[id(answer)] = name
        elif func is F.batch_norm and (name := self.norm.get(id(args[1]))) is not None:
            self.calls[name] += 1
            self.norm_inputs.append((name, id(args[0])))
        return answer

    def _count_reads(self, handed: Any) -> None:
        self.alive.append(handed)
        self.reads.update(id(leaf) for leaf in tree_leaves(handed) if isinstance(leaf, Tensor))

    def ran(self, name: str) -> bool:
        return self.calls[name] > 0

    def pairs(self) -> Pairs:
        """Norms and layers that ran once, the norm being the only reader of the layer's output."""
        pairs = {norm: self.producer[x] for norm, x in self.norm_inputs if x in self.producer and self.reads[x] == 1}
        return {norm: layer for norm, layer in pairs.items() if self.calls[norm] == self.calls[layer] == 1}


def _sole_owner(tensors: dict[str, Tensor | None]) -> dict[int, str]:
    """A tensor's id → the name of its module, for tensors that belong to one module only."""
    count = Counter(id(x) for x in tensors.values())
    return {id(x): name for name, x in tensors.items() if x is not None and count[id(x)] == 1}
