"""Graphs that OpenVINO runs. The only file that imports it for inference."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from sightline.errors import ResourceError

PRECISIONS = {"fp32": "f32", "bf16": "bf16", "int8": "f32"}  # of the layers that are not quantised


class OpenVinoGraph:
    """One graph, compiled for this CPU; a batch of one with the batch fixed at 1 where the export measured that as faster."""

    def __init__(self, structure: bytes, weights: bytes, facts: Mapping[str, Any], threads: int) -> None:
        self.structure, self.weights, self.threads = structure, weights, threads
        self.precision = facts["precision"]
        self.fixed = bool(facts.get("static_faster"))
        self.compiled: dict[bool, Any] = {}
        self.session(fixed=self.fixed)

    def session(self, *, fixed: bool) -> Any:
        if fixed not in self.compiled:
            self.compiled[fixed] = open_compiled(
                self.structure, self.weights, precision=self.precision, threads=self.threads, batch=1 if fixed else None
            )
        return self.compiled[fixed]

    def __call__(self, **inputs: np.ndarray) -> dict[str, np.ndarray]:
        return run(self.session(fixed=self.fixed and len(inputs.get("image", ())) == 1), inputs)


def run(compiled: Any, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    wanted = {port.any_name for port in compiled.inputs}
    given = {name: np.ascontiguousarray(value) for name, value in inputs.items() if name in wanted}
    result = compiled(given)
    return {
        port.any_name: np.array(result[port]) for port in compiled.outputs
    }  # a copy: the next call reuses the memory


def open_compiled(
    structure: bytes, weights: bytes, *, precision: str = "fp32", threads: int = 0, batch: int | None = None
) -> Any:
    """The model compiled for the CPU. The precision is always set: on a CPU with AMX the default is bf16, not float32."""
    openvino = import_openvino()
    model = openvino.Core().read_model(structure, weights)
    if batch is not None and len(model.inputs) == 1:
        shape = model.inputs[0].partial_shape
        shape[0] = batch
        model.reshape({model.inputs[0].any_name: shape})
    settings = {"INFERENCE_PRECISION_HINT": PRECISIONS[precision], "PERFORMANCE_HINT": "LATENCY"}
    if threads:
        settings["INFERENCE_NUM_THREADS"] = str(threads)
    return openvino.Core().compile_model(model, "CPU", settings)


def import_openvino() -> Any:
    try:
        import openvino
    except ImportError as error:
        raise ResourceError("openvino is not installed", "install it: pip install 'sightline[export]'") from error
    return openvino
