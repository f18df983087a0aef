"""From a task to an exported folder: build the graphs, open them from disk, prove them, measure them, commit them.

The folder appears whole or not at all. Graphs are tried with one exporter and, where it fails or the gate refuses its
file, with the other.
"""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from sightline.errors import CheckError, SightlineError
from sightline.runs.console import Console
from sightline.runtime import onnx_session, openvino_session
from sightline.runtime.folder import FACTS, FORMAT, PREPROCESSING, VERSION, read_exported
from sightline.runtime.model import DECODINGS, Model, open_model
from sightline.storage.files import TEMPORARY
from sightline.storage.folders import commit_folder
from sightline.storage.text import json_text
from sightline.tasks.task import Task

from .demo import NAME, demo_page
from .latency import measure
from .measuring import Validation, compare
from .onnx_graph import EXPORTERS, Exporter, to_onnx, versions
from .openvino_graph import to_openvino
from .parity import Parity, Reference, measure_parity
from .plan import IMAGE, Export, Graph, Shape
from .reduced import quantise_onnx, quantise_openvino, require_worth
from .torch_graph import TorchGraphs
from .torch_program import SUFFIX, open_programs, to_program
from .web_runtime import WebRuntime

Target = Literal["onnx", "openvino", "html", "torch"]
LICENCE = "LICENSE.txt"


@dataclass(frozen=True)
class Request:
    """What to export: a `task` in evaluation mode with what its kind says, for images of `shape`.

    facts     of export.json: the run's name, network, display threshold, hashes
    licence   the text of LICENSE.txt
    web       the runtime that a page carries, where one is wanted
    """

    task: Task
    export: Export
    shape: Shape
    reference: Reference
    facts: Mapping[str, Any]
    licence: str
    console: Console
    web: WebRuntime | None = None

    @property
    def graphs(self) -> dict[str, Graph]:
        return self.export.graphs(self.task, self.shape)

    @property
    def settings(self) -> dict[str, Any]:
        return self.export.settings(self.task, len(self.reference.classes))


@dataclass(frozen=True)
class Built:
    """Graph files by name, what export.json says of each graph, and the calls of torch's graphs that they were traced with."""

    files: dict[str, bytes]
    graphs: dict[str, dict[str, Any]]
    examples: dict[str, dict[str, np.ndarray]]


def export_folder(request: Request, to: Target, out: Path) -> dict[str, Any]:
    """Write the exported folder `out`; returns its facts. CheckError if no exporter's file passes the gate, and then nothing is
    written."""
    built, proof = proved(request, to, out)
    return commit(request, built, proof, out)


def export_reduced(
    request: Request, to: Target, precision: str, out: Path, calibration: Sequence[np.ndarray], validation: Validation
) -> dict[str, Any]:
    """As `export_folder`, in a reduced precision. CheckError with the figures where it is not worth it."""
    built, proof = proved(request, to, out)
    reduced, kept = reduce(built, to, precision, calibration)
    with staged(request, built, {}, out) as full, staged(request, reduced, {}, out) as small:
        comparison = compare(full, small, request.task, request.export, validation)
        require_worth(precision, comparison, request.export.allowed)
        add_latency(small, reduced)
    request.console.say(f"{precision}: {comparison.words()}")
    more = {**comparison.to_json(), "kept_in_float": kept, "calibration_images": len(calibration)}
    return commit(request, reduced, {**proof, "reduction": more}, out)


def reduce(
    built: Built, to: Target, precision: str, calibration: Sequence[np.ndarray]
) -> tuple[Built, dict[str, list[str]]]:
    """The export in a reduced precision, and by graph the heavy operators that stay in float."""
    files, graphs = dict(built.files), {name: dict(of) for name, of in built.graphs.items()}
    kept: dict[str, list[str]] = {}
    for name, of in graphs.items():
        file = of["file"]
        if precision == "int8" and IMAGE not in of["inputs"]:
            kept[name] = ["all"]
            continue
        of["precision"] = precision
        if precision == "int8" and to == "openvino":
            files[file], files[of["weights"]], kept[name] = quantise_openvino(
                files[file], files[of["weights"]], calibration
            )
        elif precision == "int8":
            files[file], kept[name] = quantise_onnx(files[file], calibration)
    return Built(files, graphs, built.examples), kept


def proved(request: Request, to: Target, out: Path) -> tuple[Built, dict[str, Any]]:
    """The export in float32, proved and measured, with the record of it."""
    failures: list[str] = []
    for exporter in EXPORTERS if to != "torch" else EXPORTERS[:1]:
        try:
            built = build(request, to, exporter)
        except SightlineError:
            raise
        except Exception as error:  # exporters raise errors of every kind
            failures.append(f"{exporter}: {_first_line(error)}")
            continue
        with staged(request, built, {}, out, to) as model:
            parity = measure_parity(model, request.export, request.graphs, request.reference)
            if parity.reason:
                failures.append(f"{exporter}: {parity.reason}")
                continue
            if to != "torch":  # behind a pipe it would be the pipe's
                add_latency(model, built)
        if failures:
            request.console.warn(f"exported by the exporter {exporter!r}, because {failures[0]}")
        return built, record(parity, failures)
    raise CheckError(
        f"no export predicts what the run predicts: {'; '.join(failures)}",
        "nothing was written; try another --to, and please report the network",
    )


def record(parity: Parity, failures: list[str]) -> dict[str, Any]:
    return {"parity": parity.to_json(), "rejected": failures}


def build(request: Request, to: Target, exporter: Exporter) -> Built:
    """The graph files, not yet proved."""
    examples = example_calls(request)
    files: dict[str, bytes] = {}
    graphs: dict[str, dict[str, Any]] = {}
    for name, graph in request.graphs.items():
        if to == "torch":
            facts: dict[str, Any] = {
                "inputs": dict(graph.inputs),
                "outputs": dict(graph.outputs),
                "exporter": "torch.export",
            }
            files[f"{name}{SUFFIX}"] = to_program(graph, examples[name])
            graphs[name] = {"file": f"{name}{SUFFIX}", **facts, "precision": "fp32"}
            continue
        data, opset = to_onnx(graph, examples[name], exporter)
        facts = {"inputs": dict(graph.inputs), "outputs": dict(graph.outputs), "exporter": exporter, "opset": opset}
        if to == "openvino":
            files[f"{name}.xml"], files[f"{name}.bin"] = to_openvino(data)
            graphs[name] = {"file": f"{name}.xml", "weights": f"{name}.bin", **facts, "precision": "fp32"}
        else:
            files[f"{name}.onnx"] = data
            graphs[name] = {"file": f"{name}.onnx", **facts, "precision": "fp32"}
    return Built(files, graphs, examples)


def example_calls(request: Request) -> dict[str, dict[str, np.ndarray]]:
    """The inputs of each graph for two images. Where nothing was found for a graph to look at, it gets two empty boxes."""
    preprocessing, sources = request.reference.preprocessing, request.reference.sources
    pair = [preprocessing.prepare(sources[i % len(sources)])[0] for i in range(2)]
    image = np.ascontiguousarray(np.stack(pair).transpose(0, 3, 1, 2))
    torch_graphs = TorchGraphs(request.graphs)
    DECODINGS[request.export.decoding](request.settings).run(torch_graphs.by_name, image)
    inputs = {call.graph: call.inputs for call in torch_graphs.calls}
    return {
        name: {
            key: value if len(value) > 1 else np.zeros((2, *value.shape[1:]), value.dtype) for key, value in of.items()
        }
        for name, of in inputs.items()
    }


def folder_files(request: Request, built: Built, more: Mapping[str, Any]) -> tuple[dict[str, bytes], dict[str, Any]]:
    """All files of the folder, and its facts."""
    channels, height, width = request.shape
    facts = {
        "format": FORMAT, "version": VERSION, **request.facts, "classes": list(request.reference.classes),
        "decoding": {"name": request.export.decoding, "settings": request.settings},
        "input": {"channels": channels, "height": height, "width": width, "values": "uint8, 0 to 255"},
        "graphs": built.graphs, "versions": versions(), **more,
    }  # fmt: skip
    files = {
        FACTS: json_text(facts).encode() + b"\n",
        PREPROCESSING: json_text(request.reference.preprocessing.to_json()).encode() + b"\n",
        LICENCE: request.licence.encode(),
    }
    return {**built.files, **files}, facts


@contextmanager
def staged(request: Request, built: Built, more: Mapping[str, Any], out: Path, to: Target = "onnx") -> Iterator[Model]:
    """The export opened from a temporary folder beside `out`: what is proved are bytes that were read from the disk."""
    files, _ = folder_files(request, built, more)
    folder = out.parent / f"{TEMPORARY}{secrets.token_hex(6)}"
    try:
        commit_folder(folder, files, {"kind": FORMAT})
        if to == "torch":
            with open_programs(read_exported(folder)) as model:
                yield model
        else:
            yield open_model(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def commit(request: Request, built: Built, more: Mapping[str, Any], out: Path) -> dict[str, Any]:
    files, facts = folder_files(request, built, more)
    if request.web is not None:
        graphs = {name: built.files[of["file"]] for name, of in built.graphs.items()}
        files[NAME] = demo_page(facts, request.reference.preprocessing.to_json(), graphs, request.web)
    commit_folder(out, files, {"kind": FORMAT})
    read_exported(out)  # reads the manifest again: the graph files have the hashes of those that were proved
    return facts


def add_latency(model: Model, built: Built) -> None:
    """Measure each graph and note whether a fixed batch is faster."""
    for name, graph in model.graphs.items():
        run = onnx_session.run if isinstance(graph, onnx_session.OnnxGraph) else openvino_session.run
        figures = measure(graph, run, built.examples[name])
        built.graphs[name]["static_faster"] = figures.pop("static_faster", False)
        built.graphs[name]["latency"] = figures


def _first_line(error: Exception) -> str:
    text = str(error).strip()
    return f"{type(error).__name__}: {text.splitlines()[0][:200] if text else ''}"
