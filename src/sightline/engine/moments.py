"""What an optimiser remembers, as tensors and plain numbers for a checkpoint, and back.

Only the moments come from a checkpoint. Rates and decays are the recipe's: a checkpoint whose settings differ is not of
this run, and one whose moments do not fit the parameters would fail, or train something else, a step later.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from sightline.storage.schema import Fields
from sightline.storage.text import json_text

# How a step is executed, which may change with the device, and the rate, which the schedule sets before every step.
_FREE = {"params", "lr", "fused", "foreach", "capturable", "differentiable"}
_SQUARES = {
    "exp_avg_sq",
    "max_exp_avg_sq",
    "square_avg",
    "acc_delta",
    "sum",
}  # means or sums of squares: never negative


def moments(optimizer: torch.optim.Optimizer, turn: str) -> dict[str, Tensor]:
    """The tensors, by flat names, since safetensors holds no nesting: turn.parameter.moment"""
    states = optimizer.state_dict()["state"]
    return {f"{turn}.{i}.{k}": v for i, state in states.items() for k, v in state.items() if isinstance(v, Tensor)}


def settings(optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """The parameter groups, and the moments that are plain numbers or None, which safetensors cannot hold."""
    saved = optimizer.state_dict()
    plain = {
        str(i): {k: v for k, v in state.items() if not isinstance(v, Tensor)} for i, state in saved["state"].items()
    }
    return {"groups": saved["param_groups"], "plain": plain}


def moments_of(tensors: Mapping[str, Tensor], turn: str) -> dict[str, Tensor]:
    """The tensors of one turn, by parameter.moment"""
    return {name.removeprefix(f"{turn}."): x for name, x in tensors.items() if name.rsplit(".", 2)[0] == turn}


def checked_moments(
    optimizer: torch.optim.Optimizer, saved: Fields, tensors: Mapping[str, Tensor], step: int
) -> dict[int, dict[str, Any]]:
    """The state for `load_state_dict`, parameter by parameter. Raises DamagedError for anything that this optimiser cannot
    have written in so many steps."""
    _require_own_settings(optimizer, saved)
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    states: dict[int, dict[str, Any]] = {}
    for index, plain in saved.named("plain"):
        states[_place(saved, f"plain.{index}", index, len(parameters))] = dict(plain.values)
    for name, tensor in tensors.items():
        index, _, key = name.partition(".")
        states.setdefault(_place(saved, name, index, len(parameters)), {})[key] = tensor
    examples = {matrix: _example(optimizer, matrix) for matrix in (False, True)} if states else {}
    for place, state in states.items():
        expected = examples[parameters[place].dim() > 1]
        if state.keys() != expected.keys():
            raise saved.wrong(f"moments of parameter {place}", f"are {sorted(state)}, not {sorted(expected)}")
        for key, value in state.items():
            if fault := _fault(key, value, expected[key], parameters[place], step):
                raise saved.wrong(f"{key} of parameter {place}", fault)
    return states


def _require_own_settings(optimizer: torch.optim.Optimizer, saved: Fields) -> None:
    own = json.loads(json_text(settings(optimizer)["groups"]))
    theirs = list(saved.rows("groups"))
    if len(theirs) != len(own):
        raise saved.wrong("groups", f"has {len(theirs)} groups; the recipe gives {len(own)}")
    for group, other in zip(own, theirs, strict=True):
        if other.wholes("params") != group["params"]:
            raise other.wrong("params", "names other parameters than the recipe's")
        for key in sorted((group.keys() | other.values.keys()) - _FREE):
            if key not in group or other.raw(key) != group[key]:
                raise other.wrong(key, "is not what the recipe says")


def _place(saved: Fields, name: str, index: str, count: int) -> int:
    if not index.isascii() or not index.isdecimal() or len(index) > 9 or int(index) >= count:
        raise saved.wrong(name, f"is of none of the {count} parameters")
    return int(index)


def _example(optimizer: torch.optim.Optimizer, matrix: bool) -> dict[str, Any]:
    """What the same optimiser remembers of one vector, or one matrix, after one step."""
    probe = nn.Parameter(torch.zeros(2, 2) if matrix else torch.zeros(2))
    probe.grad = torch.zeros_like(probe)
    bare: Any = getattr(optimizer, "optimizer", optimizer)
    known = inspect.signature(type(bare).__init__).parameters.keys() - _FREE
    options = {name: value for name, value in bare.param_groups[0].items() if name in known}
    example = type(bare)([probe], **options)
    example.step()
    return dict(example.state[probe])


def _fault(key: str, value: Any, example: Any, parameter: Tensor, step: int) -> str:
    """Why a moment cannot be this parameter's; "" if it can."""
    if not isinstance(example, Tensor):
        return "" if value is None and example is None else f"is {value!r:.60}, not {example!r}"
    shape = tuple(parameter.shape) if example.dim() else ()
    kind = parameter.dtype if example.dim() else example.dtype
    if not isinstance(value, Tensor) or tuple(value.shape) != shape or value.dtype != kind:
        found = f"{tuple(value.shape)} {value.dtype}" if isinstance(value, Tensor) else f"{value!r:.60}"
        return f"is {found}, not {shape} {kind}"
    if key == "step" and value.item() not in range(1, step + 1):
        return f"is {value.item():g} after {step} steps"
    if key in _SQUARES and value.numel() and value.min().item() < 0:
        return "is negative, and a mean of squares is not"
    return ""
