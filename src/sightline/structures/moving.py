"""Moving a frozen dataclass to a device: all its tensors, however nested; everything else is kept."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, TypeVar

import torch
from torch import Tensor

T = TypeVar("T")


def move_to(value: T, device: torch.device | str, non_blocking: bool = False) -> T:
    """The same structure with all its tensors on `device`."""
    return _move(value, device, non_blocking)


def _move(value: Any, device: torch.device | str, non_blocking: bool) -> Any:
    if isinstance(value, Tensor):
        return value.to(device, non_blocking=non_blocking)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {f.name: _move(getattr(value, f.name), device, non_blocking) for f in dataclasses.fields(value)}
        return dataclasses.replace(value, **fields)
    if isinstance(value, Mapping):
        return {name: _move(item, device, non_blocking) for name, item in value.items()}
    return value
