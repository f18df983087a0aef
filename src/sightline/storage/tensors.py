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
    except (SafetensorError, ValueError, RuntimeError, KeyError) as error:
        raise DamagedError(f"{what} cannot be read: {error}") from error
    for name in layout.get("channels_last", ()):
        if name in tensors:
            tensors[name] = tensors[name].contiguous(memory_format=torch.channels_last)
    for name, first in layout.get("aliases", {}).items():
        tensors[name] = tensors[first]
    return tensors


def is_channels_last(tensor: Tensor) -> bool:
    """Whether a 4-d tensor is laid out (b, h, w, c) in memory. With one channel or one pixel both layouts coincide: False."""
    return (
        tensor.dim() == 4
        and tensor.is_contiguous(memory_format=torch.channels_last)
        and not tensor.is_contiguous(memory_format=torch.contiguous_format)
    )


def check_same(found: Mapping[str, Tensor], expected: Mapping[str, Tensor], what: str) -> None:
    """Raise DamagedError unless names, shapes and dtypes are exactly those of the network."""
    missing, extra = sorted(expected.keys() - found.keys()), sorted(found.keys() - expected.keys())
    if missing or extra:
        raise DamagedError(
            f"{what}: missing tensors {missing[:3]}, unexpected {extra[:3]}",
            "check that the file belongs to this model",
        )
    for name, tensor in expected.items():
        if found[name].shape != tensor.shape or found[name].dtype != tensor.dtype:
            raise DamagedError(
                f"{what}: {name} is {tuple(found[name].shape)} {found[name].dtype}, "
                f"expected {tuple(tensor.shape)} {tensor.dtype}"
            )
