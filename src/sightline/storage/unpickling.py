"""A program of its own: a pickled state dict in, safetensors out. `pickled` runs it; nothing else in the package unpickles.

    python unpickling.py FILE SHA256 > safetensors

torch's restricted unpickler builds tensors and plain containers and calls nothing that the file names. A separate process
with bounded memory contains the damage if that unpickler has a hole. If the file holds no usable state dict the exit
code is 3 and the last line of stderr is {"kind": "refused" | "damaged", "message": …}.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor, nn

WRAPPER_KEYS = ("state_dict", "model_state_dict", "model")  # keys under which training programs save a state dict
_ROOM = 1 << 30  # bytes that reading may take beyond six times the file's size


class Unusable(Exception):
    """The file holds no usable state dict; `kind` is "refused" or "damaged"."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind, self.message = kind, message


def state_dict(data: bytes) -> dict[str, Tensor]:
    """The tensors of a pickled state dict, none sharing memory with another. Raises Unusable."""
    _check_archive(data)
    try:
        loaded = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except MemoryError:
        raise Unusable("refused", "it asks for far more memory than its own size") from None
    except Exception as error:  # the unpickler raises whatever the bytes provoke
        raise _translate(str(error)) from None
    tensors = _tensors(loaded)
    if sum(t.numel() * t.element_size() for t in tensors.values()) > 4 * len(data) + (1 << 20):
        raise Unusable("refused", "its tensors are far larger than the file")
    return {name: t.detach().clone(memory_format=torch.contiguous_format) for name, t in tensors.items()}


def _check_archive(data: bytes) -> None:
    """Refuse a decompression bomb and a wrong checksum. torch's archives are stored uncompressed, with a checksum for each
    part, but torch checks neither."""
    if not zipfile.is_zipfile(io.BytesIO(data)):
        return
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            if sum(part.file_size for part in archive.infolist()) > 2 * len(data) + (1 << 20):
                raise Unusable("refused", "it decompresses to far more than its own size")
            bad = archive.testzip()
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError, ValueError) as error:
        raise Unusable("damaged", str(error)) from None
    if bad is not None:
        raise Unusable("damaged", f"the checksum of its part {bad} is wrong")


def _translate(words: str) -> Unusable:
    """torch's message reworded, because torch's own advises the user to run the file's code."""
    if match := re.search(r"GLOBAL ([\w.]+)", words):
        return Unusable("refused", f"it asks for {match[1]}, and a state dict needs nothing but tensors")
    if "TorchScript" in words:
        return Unusable("refused", "it is a TorchScript program, not a state dict")
    if "Unsupported operand" in words or "Unsupported class" in words:
        return Unusable("refused", "it is a pickle of something other than a state dict")
    if "allocate memory" in words:
        return Unusable("refused", "it asks for far more memory than its own size")
    return Unusable("damaged", (words.strip().splitlines() or ["it ends too early"])[0][:200])


def _tensors(loaded: Any) -> dict[str, Tensor]:
    """The state dict: the loaded object itself, or the value of one of `WRAPPER_KEYS`."""
    for key in WRAPPER_KEYS:
        if isinstance(loaded, Mapping) and isinstance(loaded.get(key), Mapping):
            loaded = loaded[key]
            break
    if not isinstance(loaded, Mapping) or not loaded:
        raise Unusable("refused", f"it holds a {type(loaded).__name__}, not a state dict")
    for name, value in loaded.items():
        plain = type(value) in (Tensor, nn.Parameter) and value.layout == torch.strided and value.device.type == "cpu"
        if not isinstance(name, str) or not plain or value.is_quantized:
            raise Unusable("refused", f"its entry {str(name)[:80]!r} is a {type(value).__name__}, not a plain tensor")
    return dict(loaded)


def _bound_memory(length: int) -> None:
    """Limit the address space to what the process has now plus a few times the file's size; no limit where the system does
    not say what it has now."""
    try:
        import resource

        pages = int(Path("/proc/self/statm").read_text().split()[0])
        most = pages * os.sysconf("SC_PAGE_SIZE") + 6 * length + _ROOM
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    except (ImportError, OSError, ValueError):
        return


def main(path: str, sha256: str) -> int:
    answer = os.dup(1)
    os.dup2(2, 1)  # whatever else is printed goes to stderr, not into the answer
    torch.set_num_threads(1)
    data = Path(path).read_bytes()
    _bound_memory(len(data))
    try:
        if hashlib.sha256(data).hexdigest() != sha256:
            raise Unusable("damaged", "it changed while it was being read")
        packed = safetensors.torch.save(state_dict(data))
    except Unusable as error:
        print(json.dumps({"kind": error.kind, "message": error.message}), file=sys.stderr)
        return 3
    with os.fdopen(answer, "wb") as file:
        file.write(packed)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
