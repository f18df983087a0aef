"""int8 and bf16: offered only where they are much faster and hardly worse, measured on this machine.

The export in float32 passes the gate first; the reduced one is then compared with it. int8 is calibrated on training
images and applied to graphs that take images, in which a network spends its time. The heads behind them stay in float:
quantising a box head can leave nothing detected.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sightline.errors import CheckError, ResourceError, UsageError
from sightline.runtime.openvino_session import import_openvino

from .onnx_graph import require_packages

SPEEDUP = {"int8": 1.8, "bf16": 1.5}  # least ratio of times
TARGETS = {"int8": ("onnx", "openvino"), "bf16": ("openvino",)}
CALIBRATION = 128  # training images
_HEAVY = ("Conv", "ConvTranspose", "Gemm", "MatMul")  # operators that precision makes faster


def require_possible(to: str, precision: str) -> None:
    """UsageError where the format has no such precision, ResourceError where this processor or a package lacks it."""
    if to not in TARGETS[precision]:
        raise UsageError(f"{precision} is not available for {to}", f"use --to {' or '.join(TARGETS[precision])}")
    if precision == "int8":
        require_packages("onnxruntime" if to == "onnx" else "nncf")
        return
    openvino = import_openvino()
    if "BF16" not in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        raise ResourceError("this processor does not compute in bf16", "use --precision fp32 or int8")


def require_worth(precision: str, comparison: Any, allowed: float) -> None:
    """CheckError with the figures unless the reduced precision is fast and accurate enough."""
    reasons = []
    if not comparison.speedup >= SPEEDUP[precision]:
        reasons.append(f"less than {SPEEDUP[precision]} times as fast")
    if not comparison.lost <= allowed:
        reasons.append(f"more than {allowed} points lost")
    if reasons:
        raise CheckError(f"{precision} is not worth it, {' and '.join(reasons)}: {comparison.words()}", "use fp32")


def quantise_onnx(data: bytes, images: Sequence[np.ndarray]) -> tuple[bytes, list[str]]:
    """The graph with int8 weights and activations (QDQ), and the heavy operators that stay in float. `images` (1, c, h, w)."""
    require_packages("onnx", "onnxruntime")
    import onnx
    from onnxruntime import quantization
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(quantization.CalibrationDataReader):
        def __init__(self) -> None:
            self.images: Iterator[np.ndarray] = iter(images)

        def get_next(self) -> dict[str, np.ndarray] | None:
            image = next(self.images, None)
            return None if image is None else {"image": image}

    with tempfile.TemporaryDirectory() as folder:
        source, prepared, target = (Path(folder) / name for name in ("source.onnx", "prepared.onnx", "target.onnx"))
        source.write_bytes(data)
        quant_pre_process(str(source), str(prepared), skip_symbolic_shape=True)
        quantization.quantize_static(
            str(prepared), str(target), Reader(), quant_format=quantization.QuantFormat.QDQ, per_channel=True,
            activation_type=quantization.QuantType.QUInt8, weight_type=quantization.QuantType.QInt8,
        )  # fmt: skip
        result = target.read_bytes()
    graph = onnx.load_model_from_string(result).graph
    quantised = {name for node in graph.node if node.op_type == "DequantizeLinear" for name in node.output}
    kept = [n.name for n in graph.node if n.op_type in _HEAVY and not set(n.input[:2]) <= quantised]
    return result, kept


def quantise_openvino(structure: bytes, weights: bytes, images: Sequence[np.ndarray]) -> tuple[bytes, bytes, list[str]]:
    """As `quantise_onnx`, by NNCF, for OpenVINO's two files."""
    openvino = import_openvino()
    require_packages("nncf")
    import nncf

    model = openvino.Core().read_model(structure, weights)
    dataset = nncf.Dataset(list(images), lambda image: {"image": image})
    model = nncf.quantize(model, dataset, subset_size=len(images), preset=nncf.QuantizationPreset.MIXED)
    kept = [op.get_friendly_name() for op in model.get_ops() if _is_heavy(op) and not _is_quantised(op)]
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "graph.xml"
        openvino.save_model(model, target, compress_to_fp16=False)
        return target.read_bytes(), target.with_suffix(".bin").read_bytes(), kept


def _is_heavy(op: Any) -> bool:
    return op.get_type_name() in ("Convolution", "GroupConvolution", "MatMul", "ConvolutionBackpropData")


def _is_quantised(op: Any) -> bool:
    """Whether an operator reads quantised activations."""
    return op.input_value(0).get_node().get_type_name() == "FakeQuantize"
