"""A network as a table: every layer in the order it runs, with its size, cost and receptive field.

One image of zeros is sent through in evaluation mode, on the "meta" device for a network given by name, so that nothing
is allocated. Multiply-adds are those of convolutions and dense layers, for one image; what attention adds, the products of
tokens with tokens, belongs to no weight and is given apart. A region network chooses what it looks at: its heads count
with as many regions as its fresh weights propose.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from sightline.errors import UsageError
from sightline.layers.attention.multi_head import MultiHeadAttention

from .catalogue import MODELS
from .create import create_model, default_input, outline
from .options import model_options
from .receptive import ReceptiveFields, View

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)


def describe(
    model: str | nn.Module,
    *,
    input: tuple[int, int, int] | None = None,
    num_classes: int | None = None,
    options: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """`{name, parameters, multiply_adds, attention_multiply_adds, other_multiply_adds, layers: [{name, kind, output,
    parameters, multiply_adds, receptive_field}]}`.

    input          (c, h, w) of one image; None: the published size of a network by name
    num_classes    for a network by name; None: as published
    options        of a network by name, see `model_options`
    layers         the leaves in the order they first run, and a row "…(own)" for parameters that a module with children
                   holds itself. A reused module has one row: its parameters once, its multiply-adds summed over its
                   calls. What does not run is listed last, without output. The rows' sums are the totals.
    attention_multiply_adds   of queries with keys and of weights with values, beyond all rows
    other_multiply_adds   of no layer that is known here, such as `F.conv2d` in a forward or torch's own attention, as
                   `torch.utils.flop_counter` finds them; 0 for the networks of this library
    output         the first output's shape without the batch; null where it is not one tensor
    receptive_field   pixels of the input along a side ([height, width] where they differ), nothing clipped at the
                   border; null after global mixing, or where it cannot be followed
    """
    options = dict(options or {})
    if isinstance(model, str):
        if options.keys() & {"seed", "weights", "allow_network"}:
            raise UsageError("seed, weights and allow_network change no shape", "leave them out")
        if num_classes is not None and "num_classes" in options:
            raise UsageError("num_classes is given twice", "once, beside the options or among them")
        size = input or default_input(model, **options)
        name, network = model, _for_size(model, size, num_classes, options)
    elif input is None:
        raise UsageError("a network that is given itself needs the size of its images", "input=(c, h, w)")
    else:
        size, name, network = input, type(model).__name__, model
    parameter = next(network.parameters(), torch.empty(0))
    x = torch.zeros(1, *size, device=parameter.device, dtype=parameter.dtype)
    fields = ReceptiveFields(x)
    recorder = _Recorder(network, fields)
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), _evaluating(network), _layer_by_layer(), recorder.listening(), counter, fields:
        network(x)
    layers = recorder.rows()
    of_layers = sum(layer["multiply_adds"] for layer in layers)
    return {
        "name": name,
        "parameters": sum(p.numel() for p in network.parameters()),
        "multiply_adds": of_layers,
        "attention_multiply_adds": recorder.attention,
        "other_multiply_adds": max(counter.get_total_flops() // 2 - of_layers - recorder.attention, 0),
        "layers": layers,
    }


def _for_size(name: str, size: tuple[int, int, int], num_classes: int | None, options: dict[str, Any]) -> nn.Module:
    """A network for images of this size: those that are made for one size are told it."""
    if "image_size" in model_options(name):
        options = {"image_size": size[1:]} | options
    chooses = MODELS.heading(name) in ("detection", "instances")  # where to look, by numbers: shapes alone do not do
    make = create_model if chooses else outline
    return make(name, **{"in_channels": size[0], "num_classes": num_classes} | options)


@contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    """Evaluation mode inside; every module's own mode after."""
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode


@contextmanager
def _layer_by_layer() -> Iterator[None]:
    """Torch's own attention layers as the products that they are: nobody can count within its fused ones."""
    fused = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fused)


class _Recorder:
    """Listens to a forward pass and keeps one row a module."""

    def __init__(self, model: nn.Module, fields: ReceptiveFields) -> None:
        self.model, self.fields = model, fields
        self.names = {module: name for name, module in model.named_modules()}
        self.order: list[nn.Module] = []
        self.outputs: dict[nn.Module, Any] = {}
        self.cost: dict[nn.Module, int] = {}
        self.attention = 0

    @contextmanager
    def listening(self) -> Iterator[None]:
        with ExitStack() as hooks:
            for module in self.model.modules():
                hooks.callback(module.register_forward_pre_hook(self._enter).remove)
                hooks.callback(module.register_forward_hook(self._leave).remove)
            yield

    def _enter(self, module: nn.Module, _inputs: Any) -> None:
        if module not in self.cost:
            self.order.append(module)
            self.cost[module] = 0

    def _leave(self, module: nn.Module, inputs: Any, output: Any) -> None:
        self.outputs.setdefault(module, self._seen(output))
        self.cost[module] += _multiply_adds(module, inputs, output)
        if isinstance(module, MultiHeadAttention):
            query, key, _value = inputs
            self.attention += 2 * query.numel() * key.shape[1]  # n·d for each of m keys: q·k, and the weighted values

    def _seen(self, output: Any) -> tuple[list[int] | None, int | list[int] | None]:
        """(shape without the batch, receptive field) now: a later operation may change the tensor in place."""
        if not isinstance(output, Tensor):
            return None, None
        return list(output.shape[1:]), _pixels(self.fields.of(output))

    def rows(self) -> list[dict[str, Any]]:
        counted: set[nn.Parameter] = set()
        rows = []
        for module in (*self.order, *(m for m in self.model.modules() if m not in self.cost)):
            own = [p for p in module.parameters(recurse=False) if p not in counted]
            counted.update(own)
            leaf = next(module.children(), None) is None
            if not leaf and not own:
                continue
            shape, field = self.outputs.get(module, (None, None))
            rows.append(
                {
                    "name": self.names[module] if leaf else f"{self.names[module]}(own)",
                    "kind": type(module).__name__,
                    "output": shape,
                    "parameters": sum(p.numel() for p in own),
                    "multiply_adds": self.cost.get(module, 0),
                    "receptive_field": field,
                }
            )
        return rows


def _multiply_adds(module: nn.Module, inputs: Any, output: Any) -> int:
    """Of one call on one image."""
    if isinstance(module, _CONVOLUTIONS):
        return output.numel() * module.weight[0].numel()  # each output: one filter over its patch
    if isinstance(module, _TRANSPOSED):
        return inputs[0].numel() * module.weight[0].numel()  # each input: spread by one filter
    if isinstance(module, nn.Linear):
        return output.numel() * module.in_features
    if isinstance(module, MultiHeadAttention):  # of its own projections; the last is a layer of its own
        return sum(x.numel() for x in inputs) * module.out_proj.in_features
    return 0


def _pixels(view: View | None) -> int | list[int] | None:
    if view is None:
        return None
    height, width = view.height.size, view.width.size
    return height if height == width else [height, width]
