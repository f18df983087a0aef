"""Tensors ↔ bytes with safetensors: no code in a file, and what safetensors does not store is recorded beside it.

safetensors stores neither channels-last nor tied tensors, and the memory layout decides the last bits of a sum: `layout`
records memory formats and aliases, and `unpack` restores both.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from sightline.errors import DamagedError

from .schema import Fields, brief

_HEADER_LIMIT = 8 << 20  # bytes; parsing a hostile header of a million empty tensors would take gigabytes


def pack(tensors: Mapping[str, Tensor]) -> tuple[bytes, dict[str, Any]]:
    """Bytes of all tensors, and the layout that restores them: `{"channels_last": [names], "aliases": {name: first}}`."""
    kept: dict[str, Tensor] = {}
    aliases: dict[str, str] = {}
    channels_last: list[str] = []
    seen: dict[tuple[Any, ...], str] = {}
    for name, tensor in tensors.items():
        tensor = tensor.detach()
        key = (tensor.data_ptr(), tensor.shape, tensor.stride(), tensor.dtype)
        if tensor.numel() and key in seen:
            aliases[name] = seen[key]
            continue
        seen[key] = name
        if is_channels_last(tensor):
            channels_last.append(name)
        kept[name] = tensor.cpu().contiguous()
    return safetensors.torch.save(kept), {"channels_last": channels_last, "aliases": aliases}


def unpack(data: bytes, layout: Mapping[str, Any], what: str = "file") -> dict[str, Tensor]:
    """The tensors of `pack`, with layouts and aliases. Raises DamagedError for any other file."""
    if len(data) < 8 or struct.unpack("<Q", data[:8])[0] > _HEADER_LIMIT:
        raise DamagedError(f"{what} is not a safetensors file, or its header is larger than {_HEADER_LIMIT:,} bytes")
    try:
        tensors = safetensors.torch.load(data)
    except (SafetensorError, ArithmeticError, LookupError, RuntimeError, TypeError, ValueError) as error:
        raise DamagedError(f"{what} cannot be read: {str(error)[:200]}") from error
    recorded = Fields({"channels_last": [], "aliases": {}, **layout}, f"the layout of {what}")
    for name in recorded.texts("channels_last"):
        if name not in tensors or tensors[name].dim() != 4:
            raise recorded.wrong("channels_last", f"names {brief(name)}, which is no tensor of four dimensions")
        tensors[name] = tensors[name].contiguous(memory_format=torch.channels_last)
    for name, first in recorded.fields("aliases").values.items():
        if not isinstance(first, str) or first not in tensors:
            raise recorded.wrong(f"aliases.{name}", f"is {brief(first)}, which is no tensor")
        tensors[name] = tensors[first]
    return tensors


def not_finite(tensors: Mapping[str, Tensor]) -> str | None:
    """The name of the first tensor that holds NaN or an infinity; None if all are finite."""
    return next((n for n, t in tensors.items() if t.is_floating_point() and not torch.isfinite(t).all()), None)


def is_channels_last(tensor: Tensor) -> bool:
    """Whether a 4-d tensor is laid out (b, h, w, c) in memory. With one channel or one pixel both layouts coincide: False."""
    return (
        tensor.dim() == 4
        and tensor.is_contiguous(memory_format=torch.channels_last)
        and not tensor.is_contiguous(memory_format=torch.contiguous_format)
    )


def check_same(actual: Mapping[str, Tensor], expected: Mapping[str, Tensor], what: str) -> None:
    """Raise DamagedError unless names, shapes and dtypes are exactly those of the network."""
    missing, extra = sorted(expected.keys() - actual.keys()), sorted(actual.keys() - expected.keys())
    if missing or extra:
        raise DamagedError(
            f"{what}: missing tensors {missing[:3]}, unexpected {extra[:3]}",
            "check that the file belongs to this model",
        )
    for name, tensor in expected.items():
        if actual[name].shape != tensor.shape or actual[name].dtype != tensor.dtype:
            raise DamagedError(
                f"{what}: {name} is {tuple(actual[name].shape)} {actual[name].dtype}, "
                f"expected {tuple(tensor.shape)} {tensor.dtype}"
            )
