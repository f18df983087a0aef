"""A graph → the bytes of one ONNX file, by either of torch's exporters. The only file that calls them."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import metadata
from importlib.util import find_spec
from typing import Any, Literal

import numpy as np
import torch

from sightline.errors import ResourceError, UsageError

from .plan import Graph
from .torch_graph import tensors

Exporter = Literal["dynamo", "trace"]
EXPORTERS: tuple[Exporter, ...] = ("dynamo", "trace")  # in the order in which they are tried
_LIMIT = 2_000_000_000  # bytes: protobuf stores no larger message, and weights in another file are not written
_NEEDED: dict[Exporter, tuple[str, ...]] = {"dynamo": ("onnx", "onnxscript"), "trace": ("onnx",)}
PACKAGES = ("torch", "onnx", "onnxscript", "onnxruntime", "openvino", "nncf")


def require_packages(*names: str) -> None:
    """ResourceError naming the extra, where a package is not installed."""
    if lacking := [name for name in names if find_spec(name) is None]:
        raise ResourceError(
            f"{' and '.join(lacking)} {'is' if len(lacking) == 1 else 'are'} not installed",
            "install what exports need: pip install 'sightline[export]'",
        )


def versions() -> dict[str, str]:
    """The version of every package that exports use and that is installed."""
    return {name: metadata.version(name) for name in PACKAGES if find_spec(name) is not None}


def to_onnx(graph: Graph, example: Mapping[str, np.ndarray], exporter: Exporter) -> tuple[bytes, int]:
    """The file's bytes, weights inside, and its opset. Whatever the exporter raises, it raises.

    The example has at least two rows along dimensions that vary: an exporter takes a size of one for a constant.
    """
    require_packages(*_NEEDED[exporter])
    size = sum(value.numel() * value.element_size() for value in graph.module.state_dict().values())
    if size > _LIMIT:
        raise UsageError(
            f"the weights take {size:,} bytes, and one ONNX file at most {_LIMIT:,}", "use a smaller network"
        )
    with quiet():
        return (_by_dynamo if exporter == "dynamo" else _by_trace)(graph, tensors(graph, example))


def _by_dynamo(graph: Graph, args: tuple[torch.Tensor, ...]) -> tuple[bytes, int]:
    names = {name for name in graph.inputs.values() if name is not None}
    dimensions = {name: torch.export.Dim(name) for name in names}
    shapes = tuple({0: dimensions[name]} if name is not None else None for name in graph.inputs.values())
    program: Any = torch.onnx.export(
        graph.module, args, dynamo=True, external_data=False, dynamic_shapes=shapes, verbose=False,
        input_names=list(graph.inputs), output_names=list(graph.outputs),
    )  # fmt: skip
    model = program.model_proto
    return model.SerializeToString(), _opset(model)


def _by_trace(graph: Graph, args: tuple[torch.Tensor, ...]) -> tuple[bytes, int]:
    import onnx

    file: Any = io.BytesIO()
    varying = {name: {0: dimension} for name, dimension in {**graph.inputs, **graph.outputs}.items() if dimension}
    torch.onnx.export(
        graph.module, args, file, dynamo=False, opset_version=17, dynamic_axes=varying, verbose=False,
        input_names=list(graph.inputs), output_names=list(graph.outputs),
    )  # fmt: skip
    return file.getvalue(), _opset(onnx.load_model_from_string(file.getvalue()))


def _opset(model: Any) -> int:
    return next(one.version for one in model.opset_import if one.domain in ("", "ai.onnx"))


@contextmanager
def quiet() -> Iterator[None]:
    """Within the context the exporters' progress and advice are not shown: their errors are."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir", "torch.export")]
    before = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for logger, level in zip(loggers, before, strict=True):
                logger.setLevel(level)
