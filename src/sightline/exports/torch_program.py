"""A graph → the bytes of one of torch's exported programs (.pt2), and such a file at work in a process of its own."""

from __future__ import annotations

import io
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sightline.runtime.folder import Exported
from sightline.runtime.model import Model
from sightline.storage.folders import digest

from . import program_child
from .onnx_graph import quiet
from .plan import Graph
from .program_child import receive, send
from .torch_graph import tensors

SUFFIX = ".pt2"
_WAIT = 30  # seconds for the child to end


def to_program(graph: Graph, example: Mapping[str, np.ndarray]) -> bytes:
    """The file's bytes, weights inside. Whatever torch's exporter raises, it raises."""
    names = {name for name in graph.inputs.values() if name is not None}
    dimensions = {name: torch.export.Dim(name) for name in names}
    shapes = tuple({0: dimensions[name]} if name is not None else None for name in graph.inputs.values())
    file = io.BytesIO()
    with quiet(), torch.no_grad():
        program = torch.export.export(graph.module, tensors(graph, example), dynamic_shapes=shapes, strict=False)
        torch.export.save(program, file)
    return file.getvalue()


class ProgramGraph:
    """One file in a process of its own, as a graph of `runtime`. Close it after use."""

    def __init__(self, path: Path, facts: Mapping[str, Any], sha256: str) -> None:
        self._inputs, self._outputs = tuple(facts["inputs"]), tuple(facts["outputs"])
        self._errors: Any = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as the process
        self._child: Any = subprocess.Popen(
            [sys.executable, "-I", program_child.__file__, str(path), sha256],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors,
        )  # fmt: skip

    def __call__(self, **inputs: np.ndarray) -> dict[str, np.ndarray]:
        try:
            send(self._child.stdin, {name: np.ascontiguousarray(inputs[name]) for name in self._inputs})
            outputs = receive(self._child.stdout)
        except OSError:
            outputs = None
        if not outputs:
            raise RuntimeError(self._reason())
        return dict(zip(self._outputs, outputs.values(), strict=True))

    def _reason(self) -> str:
        """The last line of what the process printed."""
        self._errors.seek(0)
        lines = self._errors.read().decode("utf-8", "replace").strip().splitlines()
        return lines[-1] if lines else "the process ended without an answer"

    def close(self) -> None:
        self._child.stdin.close()
        try:
            self._child.wait(_WAIT)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()
        self._child.stdout.close()
        self._errors.close()


@contextmanager
def open_programs(exported: Exported) -> Iterator[Model]:
    """An exported folder that this process has just written, with a process for each graph."""
    hashes = {name: digest(data) for name, data in exported.files.items()}
    with ExitStack() as stack:
        graphs = {}
        for name, facts in exported.facts["graphs"].items():
            file = facts["file"]
            graphs[name] = ProgramGraph(exported.folder / file, facts, hashes[file])
            stack.callback(graphs[name].close)
        yield Model(exported, graphs)
