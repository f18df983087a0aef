"""A network as a table: every layer in the order it runs, with its output, cost and receptive field, and totals by
module.

One image of zeros is sent through in evaluation mode, on the "meta" device for a large network given by name, so that
nothing is allocated. Multiply-adds are those of convolutions and dense layers, for one image. The products of tokens with
tokens in attention belong to no weight and are counted separately. A region network chooses the regions it looks at:
its heads count with as many regions as its fresh weights propose.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode, _FlopCounterMode

from sightline.classical.pipeline import Pipeline
from sightline.errors import UsageError
from sightline.layers.attention.multi_head import MultiHeadAttention
from sightline.layers.receptive import ReceptiveFields, View

from .create import create_model, default_input, outline
from .options import model_options

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
_SMALL_WORK = 300_000_000  # multiply-adds that take less than importing the compiler
_NO_SHAPE = {"seed", "weights", "allow_network"}  # arguments of `create_model` that leave every shape alone


def describe(
    model: str | nn.Module,
    *,
    input: tuple[int, ...] | None = None,
    num_classes: int | None = None,
    options: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """`{name, parameters, multiply_adds, attention_multiply_adds, other_multiply_adds, layers: [row], modules: [row]}`,
    each row `{name, kind, output, parameters, multiply_adds, receptive_field}`.

    input          (c, h, w) of one image; None: the published size of a network given by name
    num_classes    for a network given by name; None: as published
    options        of a network given by name, see `model_options`
    layers         the leaves in the order they first run, and a row "…(own)" for parameters that a module with children
                   holds itself. A reused module has one row: its parameters once, its multiply-adds summed over its
                   calls. Layers that do not run come last, without output. The rows add up to the totals.
    modules        every module with children, "" being the network: its output, and the totals of all that it contains,
                   so that an inception block's 480 channels are visible. A layer shared by two modules counts in both.
    attention_multiply_adds   of queries with keys and of weights with values, beyond all rows
    other_multiply_adds   counted by `torch.utils.flop_counter` outside these layers, such as `F.conv2d` in a forward or
                   torch's own attention; 0 for the networks of this library
    output         the first output's shape without the batch; null where it is not one tensor
    parameters     of a pipeline that is solved the numbers that it learns, which are no parameters of torch
    receptive_field   pixels of the input along a side ([height, width] where they differ), not clipped at the border;
                   null after global mixing, or where it cannot be traced
    paper          only where the authors name the layer otherwise, such as conv1_1 of VGG
    """
    options = dict(options or {})
    if isinstance(model, str):
        if options.keys() & _NO_SHAPE:
            raise UsageError("seed, weights and allow_network change no shape", "leave them out")
        if num_classes is not None and "num_classes" in options:
            raise UsageError("num_classes is given twice", "pass it once, beside the options or among them")
        size = input or default_input(model, **options)
        name, network = model, _network_for(model, size, num_classes, options)
    elif input is None:
        raise UsageError("describe needs the size of the images for a network object", "pass input=(c, h, w)")
    else:
        size, name, network = input, type(model).__name__, model
    parameter = next(network.parameters(), torch.empty(0))
    x = torch.zeros(1, *size, device=parameter.device, dtype=parameter.dtype)
    fields = ReceptiveFields(x)
    recorder = _Recorder(network, fields)
    counter = _counter()
    with torch.no_grad(), _evaluation_mode(network), _unfused_attention(), recorder.hooks(), counter, fields:
        network(x)
    layers = recorder.layers()
    of_layers = sum(layer["multiply_adds"] for layer in layers)
    return {
        "name": name,
        "parameters": parameters_of(network),
        "multiply_adds": of_layers,
        "attention_multiply_adds": recorder.attention,
        "other_multiply_adds": max(counter.get_total_flops() // 2 - of_layers - recorder.attention, 0),
        "layers": layers,
        "modules": recorder.modules(),
    }


def parameters_of(network: nn.Module) -> int:
    """How many numbers it learns."""
    return sum(tensor.numel() for tensor in weights_of(network, solved=isinstance(network, Pipeline)))


def weights_of(module: nn.Module, *, solved: bool, recurse: bool = True) -> list[Tensor]:
    """Its parameters; of a pipeline that is `solved` the buffers, in which all that it has learned lies."""
    if not solved:
        return list(module.parameters(recurse))
    learned = module.state_dict(keep_vars=True)  # without buffers that are constants
    return [tensor for name, tensor in learned.items() if recurse or "." not in name]


def _network_for(name: str, size: tuple[int, ...], num_classes: int | None, options: dict[str, Any]) -> nn.Module:
    """The network for images of this size, which those built for one size take as `image_size`."""
    if "image_size" in model_options(name):
        options = {"image_size": size[1:]} | options
    options = {"in_channels": size[0], "num_classes": num_classes} | options
    network = outline(name, **options)
    # a network that chooses by the values of its scores where to look: on the meta device there are none
    if getattr(network, "proposes", False):
        return create_model(name, **options)
    # The meta device takes its shapes from Python, which imports torch's compiler: computing a small network is faster.
    work = sum(p.numel() for p in network.parameters()) * math.prod(size[1:])  # at most as many multiply-adds
    return create_model(name, **options) if work <= _SMALL_WORK else network


def _counter() -> FlopCounterMode:
    """Torch's counter. Its function is marked as not to be compiled, for which torch would import its whole compiler at the
    first call; as nothing is compiled here, the plain function is stored where the marked one would be."""
    plain = getattr(_FlopCounterMode.__torch_dispatch__, "__wrapped__", None)
    if plain is not None and not hasattr(plain, "__dynamo_disable"):
        plain.__dynamo_disable = plain
    return FlopCounterMode(display=False)


@contextmanager
def _evaluation_mode(model: nn.Module) -> Iterator[None]:
    """Evaluation mode inside; every module's own mode after."""
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode


@contextmanager
def _unfused_attention() -> Iterator[None]:
    """Run torch's attention layers as separate products: inside its fused kernels nothing can be counted."""
    fused = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fused)


class _Recorder:
    """Follows a forward pass by hooks and keeps order, output and cost of every module."""

    def __init__(self, model: nn.Module, fields: ReceptiveFields) -> None:
        self.model, self.fields = model, fields
        self.names = {module: name for name, module in model.named_modules()}
        self.paper: Mapping[str, str] = getattr(model, "paper_names", {})
        self.order: list[nn.Module] = []
        self.outputs: dict[nn.Module, Any] = {}
        self.cost: dict[nn.Module, int] = {}
        self.attention = 0
        self.solved = isinstance(model, Pipeline)

    @contextmanager
    def hooks(self) -> Iterator[None]:
        with ExitStack() as stack:
            for module in self.model.modules():
                stack.callback(module.register_forward_pre_hook(self._before).remove)
                stack.callback(module.register_forward_hook(self._after).remove)
            yield

    def _before(self, module: nn.Module, _inputs: Any) -> None:
        if module not in self.cost:
            self.order.append(module)
            self.cost[module] = 0

    def _after(self, module: nn.Module, inputs: Any, output: Any) -> None:
        self.outputs.setdefault(module, self._shape_and_field(output))
        self.cost[module] += _multiply_adds(module, inputs, output)
        if isinstance(module, MultiHeadAttention):
            query, key, _value = inputs
            self.attention += 2 * query.numel() * key.shape[1]  # n·d for each of m keys: q·k, and the weighted values

    def _shape_and_field(self, output: Any) -> tuple[list[int] | None, int | list[int] | None]:
        """(shape without the batch, receptive field), read now: a later operation may change the tensor in place."""
        if not isinstance(output, Tensor):
            return None, None
        return list(output.shape[1:]), _pixels(self.fields.of(output))

    def layers(self) -> list[dict[str, Any]]:
        """A row for each leaf, and for each module with children that holds parameters itself."""
        counted: set[Tensor] = set()
        rows = []
        for module in self._in_order():
            own = [p for p in self._weights(module, recurse=False) if p not in counted]
            counted.update(own)
            leaf = next(module.children(), None) is None
            if leaf or own:
                name = self.names[module] if leaf else f"{self.names[module]}(own)"
                rows.append(self._row(module, name, own, self.cost.get(module, 0)))
        return rows

    def modules(self) -> list[dict[str, Any]]:
        """A row for each module with children, with the totals of everything inside."""
        rows = []
        for module in self._in_order():
            if next(module.children(), None) is not None:
                cost = sum(self.cost.get(inside, 0) for inside in module.modules())
                rows.append(self._row(module, self.names[module], self._weights(module), cost))
        return rows

    def _in_order(self) -> list[nn.Module]:
        """Modules in the order of their first calls; those that are never called (lists, idle heads) last."""
        return [*self.order, *(m for m in self.model.modules() if m not in self.cost)]

    def _weights(self, module: nn.Module, recurse: bool = True) -> list[Tensor]:
        return weights_of(module, solved=self.solved, recurse=recurse)

    def _row(self, module: nn.Module, name: str, parameters: list[Tensor], cost: int) -> dict[str, Any]:
        shape, field = self.outputs.get(module, (None, None))
        row = {
            "name": name,
            "kind": type(module).__name__,
            "output": shape,
            "parameters": sum(p.numel() for p in parameters),
            "multiply_adds": cost,
            "receptive_field": field,
        }
        return row | ({"paper": self.paper[name]} if name in self.paper else {})


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
