"""An ONNX graph → OpenVINO's two files. The only file that converts."""

from __future__ import annotations

import tempfile
from pathlib import Path

from sightline.runtime.openvino_session import import_openvino


def to_openvino(data: bytes) -> tuple[bytes, bytes]:
    """Structure (.xml) and weights (.bin), in the precision of the ONNX file."""
    openvino = import_openvino()
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "graph.onnx", Path(folder) / "graph.xml"
        source.write_bytes(data)
        model = openvino.convert_model(source)
        openvino.save_model(model, target, compress_to_fp16=False)  # the default halves the precision of weights
        return target.read_bytes(), target.with_suffix(".bin").read_bytes()
