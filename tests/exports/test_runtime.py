"""The runtime on its own: no torch, the decoding of the tasks, files that refer to other files."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from sightline.decoding.detections import paste_masks
from sightline.decoding.segments import class_map as torch_class_map
from sightline.decoding.suppression import nms_by_label
from sightline.errors import DamagedError
from sightline.exports.torch_graph import TorchGraphs
from sightline.kinds import regions as kind
from sightline.layers.boxes.graph_regions import pyramid_sizes, pyramid_table, table_roi_align
from sightline.layers.boxes.regions import pyramid_roi_align
from sightline.models.boxes.faster_rcnn import mask_rcnn_resnet18_fpn
from sightline.preprocessing.geometry import Geometry
from sightline.preprocessing.normalise import Normalise, Normalised
from sightline.runtime.decodings import sigmoid, softmax
from sightline.runtime.pixels import class_map
from sightline.runtime.protobuf import require_self_contained
from sightline.runtime.regions import Regions, paste_mask
from sightline.runtime.suppression import suppress
from sightline.structures.batch import Batch
from sightline.structures.targets import Boxes
from sightline.tasks.instances import InstanceSegmentation

TRAINING = ("torch", "lightning_fabric", "safetensors", "sklearn", "pyarrow")


def test_the_runtime_loads_neither_torch_nor_training() -> None:
    code = f"""
import sys, sightline.runtime
print([m for m in sys.modules if m.split(".")[0] in {TRAINING}])
print([m for m in sys.modules if m.startswith("sightline.")])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    foreign, own = (_names(line) for line in done.stdout.splitlines())
    assert foreign == []
    rooms = {name.split(".")[1] for name in own}
    assert rooms == {"decoding", "errors", "preprocessing", "runtime", "storage", "structures", "version"}


def _names(line: str) -> list[str]:
    return [part.strip(" '") for part in line.strip("[]").split(",") if part.strip()]


@pytest.mark.parametrize("threshold", [0.3, 0.5, 0.7])
def test_suppression_keeps_the_same_indices(threshold: float) -> None:
    """More boxes than one head holds, equal scores, equal boxes, and IoUs that are exactly the threshold."""
    random = np.random.default_rng(3)
    corner = random.integers(0, 60, (1500, 2)).astype(np.float32)
    boxes = np.concatenate((corner, corner + random.integers(1, 21, (1500, 2)).astype(np.float32)), 1)
    scores = random.integers(0, 300, 1500).astype(np.float32) / 300
    label = random.integers(0, 3, 1500)
    expected = nms_by_label(torch.from_numpy(boxes), torch.from_numpy(scores), torch.from_numpy(label), threshold)
    assert suppress(boxes, scores, label, threshold).tolist() == expected.tolist()
    assert len(suppress(boxes[:0], scores[:0], label[:0], threshold)) == 0


@pytest.mark.parametrize("fit", ["stretch", "letterbox", "crop"])
@pytest.mark.parametrize("natural", [(37, 61), (80, 40), (24, 32)])
def test_class_maps_are_those_of_the_task(fit: str, natural: tuple[int, int]) -> None:
    score = np.random.default_rng(5).normal(size=(4, 24, 32)).astype(np.float32)
    geometry = Geometry(24, 32, fit=fit, share=0.9 if fit == "crop" else 1.0)
    frame = geometry.placement(*natural).frame.astype(np.float32)
    expected = torch_class_map(torch.from_numpy(score), torch.from_numpy(frame), natural).numpy()
    found = class_map(score, frame, natural)
    assert found.shape == expected.shape
    assert (found != expected).mean() < 0.001  # ties in another order of additions


def test_masks_are_pasted_as_by_the_task() -> None:
    random = np.random.default_rng(7)
    mask = random.random((1, 28, 28)).astype(np.float32)
    box = np.array([[3.2, 5.1, 40.7, 31.9]], np.float32)
    expected = paste_masks(torch.from_numpy(mask), torch.from_numpy(box), (40, 50))[0].numpy()
    assert (paste_mask(mask[0], box[0], (40, 50)) != expected).sum() <= 1


def test_softmax_and_sigmoid() -> None:
    x = np.array([[1000.0, -1000.0, 0.0], [0.1, 0.2, 0.3]], np.float32)
    assert np.allclose(softmax(x), torch.from_numpy(x).softmax(-1).numpy(), atol=1e-7)
    assert np.allclose(sigmoid(x), torch.from_numpy(x).sigmoid().numpy(), atol=1e-7)
    assert softmax(x).dtype == sigmoid(x).dtype == np.float32


def test_a_table_pools_as_the_pyramid_does() -> None:
    torch.manual_seed(0)
    maps = [torch.randn(2, 5, 64 // stride, 96 // stride) for stride in (4, 8, 16, 32)]
    ends = torch.rand(60, 2, 2) * torch.tensor([96.0, 64.0])
    boxes = torch.cat((ends.amin(1), ends.amax(1)), 1)
    sample = torch.randint(0, 2, (60,))
    expected = pyramid_roi_align(maps, boxes, sample, size=(64, 96), output=7)
    strides = (4, 8, 16, 32)
    sizes = pyramid_sizes((64, 96), strides)
    found = table_roi_align(pyramid_table(maps), boxes, sample, sizes=sizes, strides=strides, output=7)
    assert torch.allclose(found, expected, atol=1e-5)


def test_a_region_network_in_stages_finds_what_it_finds_at_once() -> None:
    """Graphs run by torch, suppression by the runtime: boxes, classes, scores and masks of the task, in the same order."""
    torch.manual_seed(0)
    options = {"width": 16, "hidden": 16, "num_classes": 3, "proposals": (40, 30), "anchor_sizes": (8, 16, 32, 64, 128)}
    network = mask_rcnn_resnet18_fpn(**options)
    torch.nn.init.normal_(network.roi_heads.box_predictor.cls_score.weight, std=0.5)
    model = Normalised(Normalise((120.0,) * 3, (60.0,) * 3), network)
    task = InstanceSegmentation(model, classes=3, score_threshold=0.01, limit=20).eval()
    image = torch.randint(0, 256, (2, 3, 72, 100), dtype=torch.uint8)
    size, identity = torch.tensor([[72, 100]] * 2), torch.eye(3).expand(2, 3, 3)
    nothing = Boxes(torch.zeros(0, 4), torch.zeros(0, dtype=torch.long), torch.zeros(0, dtype=torch.long))
    batch = Batch.of_images(image, size, identity, size, torch.arange(2), torch.arange(2), nothing)
    with torch.inference_mode():
        expected = task.predict(batch)
    plan = kind.REGION_EXPORT
    graphs = TorchGraphs(plan.graphs(task, (3, 72, 100)))
    found = Regions(plan.settings(task, 3)).run(graphs.by_name, image.numpy())
    assert len(found["label"]) == len(expected.detections.label) > 5
    assert found["label"].tolist() == expected.detections.label.tolist()
    assert found["sample"].tolist() == expected.detections.sample.tolist()
    for name, tensor in (
        ("boxes", expected.detections.boxes),
        ("score", expected.detections.score),
        ("mask", expected.mask),
    ):
        assert np.allclose(found[name], tensor.numpy(), atol=1e-3 if name == "boxes" else 1e-5), name


def test_data_outside_the_file_are_refused(tmp_path: Path) -> None:
    """In an initializer, and in a constant within the branch of a condition."""
    onnx = pytest.importorskip("onnx", reason="it makes the files")
    helper, external = onnx.helper, onnx.TensorProto(name="w", data_type=1, dims=[1])
    external.data_location = onnx.TensorProto.EXTERNAL
    external.external_data.add(key="location", value="../../etc/passwd")
    inner = helper.make_node("Constant", [], ["y"], value=external)
    branch = helper.make_graph([inner], "branch", [], [helper.make_tensor_value_info("y", 1, [1])])
    condition = helper.make_node("If", ["c"], ["z"], then_branch=branch, else_branch=branch)
    plain = onnx.numpy_helper.from_array(np.ones(1, np.float32), "w")
    for nodes, weights in (([], [external]), ([condition], [])):
        data = helper.make_model(helper.make_graph(nodes, "g", [], [], weights)).SerializeToString()
        with pytest.raises(DamagedError, match="another file"):
            require_self_contained(data, "model.onnx")
    good = helper.make_model(helper.make_graph([], "g", [], [], [plain])).SerializeToString()
    require_self_contained(good, "model.onnx")
    for broken in (good[:-3], b"\xff" * 40, b"PK\x03\x04" + bytes(20)):
        with pytest.raises(DamagedError, match="not an ONNX file"):
            require_self_contained(broken, "model.onnx")
