"""A program of its own: one of torch's exported programs from a file, run for arrays that come in on stdin.

    python program_child.py FILE SHA256

Loading such a file can run code that it brings along: torch unpickles parts of it without restriction. So `torch_program` runs
this on a file that sightline wrote a moment before, and on no other; nothing else in the package loads one.

A message is eight bytes of length and an .npz; a last answer of no arrays means that the graph failed, with the reason on
stderr.
"""

from __future__ import annotations

import hashlib
import io
import os
import struct
import sys
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch


def send(stream: BinaryIO, arrays: dict[str, np.ndarray]) -> None:
    file = io.BytesIO()
    np.savez(file, **arrays)  # type: ignore[arg-type]
    stream.write(struct.pack("<Q", file.tell()) + file.getvalue())
    stream.flush()


def receive(stream: BinaryIO) -> dict[str, np.ndarray] | None:
    """The arrays of a message; None at the end of the stream."""
    head = stream.read(8)
    if len(head) < 8:
        return None
    (length,) = struct.unpack("<Q", head)
    with np.load(io.BytesIO(stream.read(length)), allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}


def main(path: str, sha256: str) -> int:
    answers: Any = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever else is printed goes to stderr, not into an answer
    data = Path(path).read_bytes()
    if hashlib.sha256(data).hexdigest() != sha256:
        print("the file is another one", file=sys.stderr)
        return 3
    module = torch.export.load(io.BytesIO(data)).module()
    while (inputs := receive(sys.stdin.buffer)) is not None:
        try:
            with torch.inference_mode():
                result = module(*(torch.from_numpy(array) for array in inputs.values()))
        except Exception as error:
            print(f"{type(error).__name__}: {error}", file=sys.stderr)
            send(answers, {})
            continue
        parts = (result,) if isinstance(result, torch.Tensor) else tuple(result)
        outputs = [part.float() if part.is_floating_point() else part for part in parts]
        send(answers, {str(place): part.numpy() for place, part in enumerate(outputs)})
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
