"""Graphs as torch runs them, with numpy arrays in and out: the reference of every export, and its examples."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from .plan import Graph


class Call(NamedTuple):
    """One call of a graph: its name, inputs and outputs."""

    graph: str
    inputs: dict[str, np.ndarray]
    outputs: dict[str, np.ndarray]


class RecordedGraphs:
    """Graphs by name for a decoding to run; `calls` are those since it was cleared."""

    def __init__(self, graphs: Mapping[str, Any]) -> None:
        self.calls: list[Call] = []
        self.by_name = {name: self._recorded(name, run) for name, run in graphs.items()}

    def _recorded(self, name: str, run: Any) -> Any:
        def call(**inputs: np.ndarray) -> dict[str, np.ndarray]:
            outputs = run(**inputs)
            self.calls.append(Call(name, inputs, outputs))
            return outputs

        return call


class TorchGraphs(RecordedGraphs):
    """The graphs of an export, run by torch."""

    def __init__(self, graphs: Mapping[str, Graph]) -> None:
        super().__init__({name: partial(_run_named, graph) for name, graph in graphs.items()})


def _run_named(graph: Graph, **inputs: np.ndarray) -> dict[str, np.ndarray]:
    return run_graph(graph, inputs)


def run_graph(graph: Graph, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The outputs by name, in full precision, without gradients."""
    with torch.inference_mode():
        result = graph.module(*tensors(graph, inputs))
    parts = (result,) if isinstance(result, Tensor) else tuple(result)
    return {
        name: part.float().numpy() if part.is_floating_point() else part.numpy()
        for name, part in zip(graph.outputs, parts, strict=True)
    }


def tensors(graph: Graph, inputs: Mapping[str, np.ndarray]) -> tuple[Tensor, ...]:
    return tuple(torch.from_numpy(np.ascontiguousarray(inputs[name])) for name in graph.inputs)
