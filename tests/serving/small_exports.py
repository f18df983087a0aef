"""Exported folders whose graphs are written by hand: no training, no torch, answers that depend on every pixel."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from sightline.preprocessing.geometry import Geometry
from sightline.preprocessing.saved import Preprocessing
from sightline.storage.folders import commit_folder
from sightline.storage.text import json_text

SIDE = 24
CLASSES = ("cat", "dog", "ö <b>")


def classifier(folder: Path, *, side: int = SIDE, turns: int = 0) -> Path:
    """Scores are sums of pixels under random weights; `turns` further products of a large matrix take time."""
    import onnx

    helper, random = onnx.helper, np.random.default_rng(1)
    arrays = {
        "weights": random.normal(0, 2e-4, (3 * side * side, len(CLASSES))).astype(np.float32),
        "shape": np.array([-1, 3 * side * side], np.int64),
        "large": (np.eye(3 * side * side) + 0).astype(np.float32) if turns else np.zeros((1, 1), np.float32),
    }
    nodes = [
        helper.make_node("Cast", ["image"], ["real"], to=onnx.TensorProto.FLOAT),
        helper.make_node("Reshape", ["real", "shape"], ["flat0"]),
        *(helper.make_node("MatMul", [f"flat{i}", "large"], [f"flat{i + 1}"]) for i in range(turns)),
        helper.make_node("MatMul", [f"flat{turns}", "weights"], ["scores"]),
    ]
    return _written(
        folder, nodes, arrays, side, ["batch", len(CLASSES)], ("class scores", {"top": 3}), "classification"
    )


def segmenter(folder: Path) -> Path:
    """The class of a pixel is that of its brightest channel."""
    import onnx

    nodes = [onnx.helper.make_node("Cast", ["image"], ["scores"], to=onnx.TensorProto.FLOAT)]
    return _written(folder, nodes, {}, SIDE, ["batch", 3, SIDE, SIDE], ("pixel scores", {}), "segmentation")


def _written(
    folder: Path, nodes: list[Any], arrays: dict[str, Any], side: int, output: list[Any], decoding: Any, task: str
) -> Path:
    import onnx

    helper, kinds = onnx.helper, onnx.TensorProto
    weights = [onnx.numpy_helper.from_array(value, name) for name, value in arrays.items()]
    image = helper.make_tensor_value_info("image", kinds.UINT8, ["batch", 3, side, side])
    scores = helper.make_tensor_value_info("scores", kinds.FLOAT, output)
    graph = helper.make_graph(nodes, "model", [image], [scores], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    facts = {
        "format": "sightline-export", "version": 1, "name": "small", "task": task, "model": "by hand", "to": "onnx",
        "precision": "fp32", "threshold": None, "run": {}, "classes": list(CLASSES),
        "decoding": {"name": decoding[0], "settings": decoding[1]},
        "graphs": {"model": {"file": "model.onnx", "static_faster": False, "precision": "fp32"}},
    }  # fmt: skip
    preprocessing = Preprocessing(Geometry(side, side), (0.0,) * 3, (1.0,) * 3)
    files = {
        "model.onnx": model.SerializeToString(),
        "export.json": json_text(facts).encode(),
        "preprocessing.json": json.dumps(preprocessing.to_json()).encode(),
    }
    return commit_folder(folder, files, {})
