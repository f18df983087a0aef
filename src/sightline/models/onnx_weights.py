"""Convolutions of an ONNX file as weights of a network here, without an ONNX library.

Exporters fold batch norms into convolutions and number the folded tensors, so names are lost; what remains is the order in
which convolutions run. A network that runs the same convolutions in the same order takes them one by one. A norm that was
folded becomes the identity with the file's bias: scale 1, shift b, mean 0, variance 1 - ε, so that √(variance + ε) is 1.
Such norms have no statistics of their own: freeze them when training goes on.
"""

from __future__ import annotations

import copy
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from sightline.errors import DataError, UsageError
from sightline.runtime.protobuf import fields, require_self_contained

_GRAPH, _NODE, _INITIALIZER = 7, 1, 5  # field numbers of onnx.proto: of a model; of a graph
_INPUT, _OPERATOR = 1, 4  # of a node
_DIMS, _TYPE, _FLOATS, _NAME, _RAW = 1, 2, 4, 8, 9  # of a tensor
_FLOAT32, _FLOAT16 = 1, 10  # data types
_HINT = "use the file as it was exported from a network of plain convolutions"


class Convolution(NamedTuple):
    """The weight (out, in, h, w) and bias (out,) of one node, None without."""

    weight: Tensor
    bias: Tensor | None


def convolutions_of(data: bytes, name: str) -> list[Convolution]:
    """All convolutions of an ONNX file in the order in which they run. DamagedError for another file, DataError for one
    whose weights are no floating-point initialisers."""
    require_self_contained(data, name)
    view = memoryview(data)
    nodes: list[list[str]] = []
    tensors: dict[str, Tensor] = {}
    for field, wire, first, last in fields(view, 0, len(data)):
        if field != _GRAPH or wire != 2:
            continue
        for inner, kind, start, end in fields(view, first, last):
            if inner == _NODE and kind == 2:
                operator, inputs = _node(view, start, end)
                if operator == "Conv":
                    nodes.append(inputs)
            elif inner == _INITIALIZER and kind == 2:
                key, value = _tensor(view, start, end, name)
                if value is not None:
                    tensors[key] = value
    try:
        found = [Convolution(tensors[of[1]], tensors[of[2]] if len(of) > 2 else None) for of in nodes]
    except KeyError as error:
        raise DataError(f"{name}: the weights {error} are no floating-point constants", _HINT) from error
    if not found:
        raise DataError(f"{name} has no convolutions", _HINT)
    return found


def _node(view: memoryview, start: int, end: int) -> tuple[str, list[str]]:
    operator, inputs = "", []
    for field, _, first, last in fields(view, start, end):
        if field == _INPUT:
            inputs.append(bytes(view[first:last]).decode())
        elif field == _OPERATOR:
            operator = bytes(view[first:last]).decode()
    return operator, inputs


def _tensor(view: memoryview, start: int, end: int, file: str) -> tuple[str, Tensor | None]:
    """The name, and the values where they are floating-point numbers."""
    shape: list[int] = []
    name, kind, raw, floats = "", 0, None, None
    for field, wire, first, last in fields(view, start, end):
        if field == _DIMS:
            shape += [first] if wire == 0 else _packed(view, first, last)
        elif field == _TYPE:
            kind = first
        elif field == _NAME:
            name = bytes(view[first:last]).decode()
        elif field == _RAW:
            raw = view[first:last]
        elif field == _FLOATS and wire == 2:
            floats = view[first:last]
    content = raw if raw is not None else floats
    if kind not in (_FLOAT32, _FLOAT16) or content is None:
        return name, None
    values = np.frombuffer(content, "<f4" if kind == _FLOAT32 else "<f2").astype(np.float32)
    if values.size != int(np.prod(shape)):
        raise DataError(f"{file}: {name} has {values.size} values for the shape {tuple(shape)}", _HINT)
    return name, torch.from_numpy(values.reshape(shape))


def _packed(view: memoryview, start: int, end: int) -> list[int]:
    values, number, shift = [], 0, 0
    for byte in view[start:end]:
        number |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            values.append(number)
            number = shift = 0
    return values


def as_state(network: nn.Module, convolutions: list[Convolution], file: str) -> dict[str, Tensor]:
    """The state dict of a network that runs these convolutions in this order. UsageError if it runs another number."""
    order = _order(network)
    if len(order) != len(convolutions):
        raise UsageError(
            f"{file} runs {len(convolutions)} convolutions, and the network {len(order)}", "name the network it is of"
        )
    modules = dict(network.named_modules())
    state: dict[str, Tensor] = {}
    for (layer, norm), (weight, bias) in zip(order, convolutions, strict=True):
        state[f"{layer}.weight"] = weight
        shift = torch.zeros(len(weight)) if bias is None else bias
        if norm is None:
            state[f"{layer}.bias"] = shift
            continue
        eps = modules[norm].eps
        assert isinstance(eps, float)
        state[f"{norm}.weight"], state[f"{norm}.bias"] = torch.ones(len(weight)), shift
        state[f"{norm}.running_mean"] = torch.zeros(len(weight))
        state[f"{norm}.running_var"] = torch.full((len(weight),), 1.0 - eps)
        state[f"{norm}.num_batches_tracked"] = torch.zeros((), dtype=torch.long)
    return state


def _order(network: nn.Module) -> list[tuple[str, str | None]]:
    """Convolutions as they run, each with the norm that reads its output."""
    copied = copy.deepcopy(network).to("meta").eval()
    order: list[tuple[str, str | None]] = []
    outputs: dict[int, int] = {}  # id of an output → its place in `order`
    alive: list[Any] = []  # an id is one object's only as long as that lives

    def ran(name: str) -> Any:
        def hook(module: nn.Module, inputs: Any, output: Tensor) -> None:
            if isinstance(module, nn.Conv2d):
                alive.append(output)
                outputs[id(output)] = len(order)
                order.append((name, None))
            elif (place := outputs.get(id(inputs[0]))) is not None:
                order[place] = (order[place][0], name)

        return hook

    for name, module in copied.named_modules():
        if isinstance(module, nn.Conv2d | _BatchNorm):
            module.register_forward_hook(ran(name))
    size: tuple[int, int, int] = network.input_size  # type: ignore[assignment]
    with torch.no_grad():
        copied(torch.zeros(1, *size, device="meta"))
    return order
