"""Pixels, boxes and masks as ONNX files: light networks with distinct values, compared with their own tasks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sightline.exports.assemble import Request, build, staged
from sightline.exports.parity import Reference, measure_parity
from sightline.kinds import KINDS
from sightline.kinds.kind import Kind
from sightline.models.boxes.localiser import Localiser
from sightline.models.boxes.single_shot.yolox import YOLOX
from sightline.models.create import create_model
from sightline.preprocessing.geometry import Geometry
from sightline.preprocessing.normalise import Normalised
from sightline.preprocessing.saved import Preprocessing
from sightline.structures.batch import Sample, collate
from sightline.tasks.boxes.anchors import AnchorDetection
from sightline.tasks.boxes.cells import CellDetection
from sightline.tasks.boxes.sets import SetDetection
from sightline.tasks.detection import Detection
from sightline.tasks.instances import InstanceSegmentation
from sightline.tasks.localisation import Localisation
from sightline.tasks.segmentation import Segmentation
from sightline.tasks.single_shot import SingleShot
from sightline.tasks.task import Task
from tests.distinct import fill_lively

from .tiny_runs import QUIET

pytest.importorskip("onnx", reason="exports need the extra 'export'")
pytest.importorskip("onnxruntime", reason="exports need the extra 'export'")

CLASSES = ("sky", "road", "car")
LIGHT = {"width": 16, "hidden": 32, "proposals": (40, 24), "anchor_sizes": (8, 16, 32, 64, 128)}
CASES: dict[str, tuple[str, dict[str, Any], Any]] = {
    "segmentation": ("unet", {"width": 4, "in_channels": 3}, Segmentation),
    "detection": ("faster_rcnn_resnet18_fpn", LIGHT, Detection),
    "instances": ("mask_rcnn_resnet18_fpn", LIGHT, InstanceSegmentation),
    "localisation": ("resnet8", {}, Localisation),
}
SET = {"width": 16, "heads": 2, "hidden": 16, "encoder": 1, "decoder": 2, "queries": 12}
CASES |= {  # other networks of detection
    "yolox_nano": ("yolox_nano", {}, SingleShot),
    "yolo_v1": ("yolo_v1", {"width": 1 / 16, "dense": 32, "image_size": (128, 192)}, CellDetection),
    "yolo_v3": ("yolo_v3", {"width": 1 / 8, "depths": (1, 1, 1, 1, 1)}, AnchorDetection),
    "detr_resnet18": ("detr_resnet18", SET, SetDetection),
}


@pytest.mark.parametrize("name", CASES)
def test_dense_predictions_survive_the_export(name: str, tmp_path: Path) -> None:
    network, options, task_of = CASES[name]
    torch.manual_seed(1)
    if name == "localisation":
        model: torch.nn.Module = Localiser(
            create_model(network, num_classes=0, **options), network, len(CLASSES)
        ).eval()
        for head, std in ((model.class_head, 0.3), (model.box_head[-1], 0.01)):  # type: ignore[union-attr,index]
            torch.nn.init.normal_(head.weight, std=std)  # type: ignore[union-attr,arg-type]
    else:
        model = create_model(network, num_classes=len(CLASSES), **options).eval()
    if hasattr(model, "roi_heads"):
        torch.nn.init.normal_(model.roi_heads.box_predictor.cls_score.weight, std=0.3)  # scores unlike each other
    if isinstance(model, YOLOX):
        fill_boxes(model)
    for key, layer in model.named_modules():
        if key.endswith(("output", "class_embed")):  # of the other networks
            torch.nn.init.normal_(layer.weight, std=0.1)
            torch.nn.init.zeros_(layer.bias)
    size = options.get("image_size", (48, 64))
    preprocessing = Preprocessing(Geometry(*size, "letterbox"), (120.0,) * 3, (60.0,) * 3)
    task = task_of(Normalised(preprocessing.normaliser(), model), classes=len(CLASSES)).eval()
    random = np.random.default_rng(0)
    sources = [random.integers(0, 256, (40 + 3 * i, 70 - 2 * i, 3), dtype=np.uint8) for i in range(9)]
    kind = KINDS.get(name, KINDS["detection"])
    reference = Reference(sources, "noise", preprocessing, _rows(kind, task, preprocessing, sources), CLASSES)
    plan = kind.export_of(task)
    assert plan is not None
    request = Request(task, plan, (3, *size), reference, {}, "", QUIET)
    with staged(request, build(request, "onnx", "trace"), {}, tmp_path / "export") as opened:
        figures = measure_parity(opened, plan, request.graphs, reference)
    assert figures.reason == ""
    assert figures.images == 9 and 0 < figures.logit_difference < 1e-4
    assert list(tmp_path.iterdir()) == []


def _rows(kind: Kind, task: Task, preprocessing: Preprocessing, sources: Sequence[np.ndarray]) -> list[dict[str, Any]]:
    """The predictions of the task itself, as `predict` prints them."""
    masks: dict[int, np.ndarray] = {}
    samples = []
    for i, source in enumerate(sources):
        pixels, frame, decoded = preprocessing.prepare(source)
        image = torch.from_numpy(pixels).permute(2, 0, 1)
        natural = torch.tensor(decoded.pixels.shape[:2])
        nothing = kind.answers.unknown(*image.shape[1:]) or _no_mask()
        samples.append(Sample.of_image(image, i, nothing, torch.from_numpy(frame).float(), natural))
    batch = collate(samples, range(len(samples)))
    with torch.inference_mode():
        rows = kind.answers.of(task, batch, task.predict(batch), CLASSES, masks.__setitem__)  # type: ignore[arg-type]
    assert all(row.get("boxes", True) for row in rows), "nothing was found, so nothing is compared"
    return [{**row, "pixels": masks[i]} if i in masks else row for i, row in enumerate(rows)]


def fill_boxes(model: YOLOX) -> None:
    """Distinct values in a network whose boxes are near its places and two to four strides wide, with scores unlike each other:
    as it begins, a hundred layers let nothing through."""
    fill_lively(model, (torch.rand(8, 3, 96, 96) * 255 - 120) / 60, 0)  # few pixels would give wild statistics
    with torch.no_grad():
        for regression, *others in zip(model.head.reg_preds, model.head.cls_preds, model.head.obj_preds, strict=True):
            regression.weight.mul_(0.05)
            regression.bias.copy_(torch.tensor([0.5, 0.5, 1.0, 1.0]))
            for layer in others:
                layer.weight.mul_(0.5)
                layer.bias.zero_()


def _no_mask() -> Any:
    from sightline.structures.targets import Labels

    return Labels.of(torch.tensor([-1]))
