"""YOLO v1, YOLOv3 and DETR behind the kind `detection`: trained, evaluated, explained, attacked; and what they can learn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import sightline
from sightline.errors import UsageError
from sightline.kinds.opening import choose_kind, draft, open_dataset
from sightline.models.create import create_model
from sightline.preprocessing.normalise import Normalise, Normalised
from sightline.runs.console import Console
from sightline.structures.batch import Batch
from sightline.structures.targets import Boxes
from sightline.tasks.boxes.anchors import AnchorDetection
from sightline.tasks.boxes.cells import CellDetection
from sightline.tasks.boxes.sets import SetDetection
from sightline.tasks.task import Task
from sightline.training.prepare import resolve
from tests.faults.runs import DETECTORS, write_coco

torch.set_num_threads(1)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("boxes") / "data"
    write_coco(folder, count=30, outlines=False)
    return folder


@pytest.mark.parametrize("name", list(DETECTORS))
def test_from_data_to_answers(name: str, data: Path, tmp_path: Path) -> None:
    """The verbs that use a network's answer; export and resuming have tests that all networks share."""
    _, network, keys = DETECTORS[name]
    keys = [key for key in keys if not key.startswith("fit.epochs")]
    run = sightline.train(
        str(data), [*keys, "fit.threads=1", "fit.precision=fp32"], model=network, epochs=1, out=tmp_path / "run"
    )
    assert run.status["status"] == "finished" and run.recipe.model.name == network
    found = sightline.evaluate(run).to_json()
    assert found["metrics"]["ap"] == pytest.approx(run.metrics["test"]["ap"], abs=1e-9)
    assert set(found["ap50_gains"]) == set(found["errors"])
    assert "AP50 gain" in (run.folder / "report.html").read_text()
    if network == "yolo_v3":
        anchors = run.recipe.model.options["anchors"]
        assert len(anchors) == 18 and min(anchors) >= 10 and max(anchors) <= 24  # the boxes are 14 to 20 pixels


def test_anchors_from_the_training_boxes(data: Path) -> None:
    """The boxes are 14 to 20 pixels of 64: on images of 128, anchors are twice as large. One for each level of a pyramid,
    three for each of two maps."""
    keys = {"task.kind": "detection", "input.size": 128}
    for network, option, count in (("faster_rcnn_resnet18_fpn", "anchor_sizes", 5), ("yolo_v3_tiny", "anchors", 12)):
        given = draft(str(data), {**keys, f"model.options.{option}": "kmeans"}, {"model.name": network})
        opened = open_dataset(given, Console(level=-1))
        recipe = resolve(given, choose_kind(given, opened.audit.source), opened)
        anchors = recipe.model.options[option]
        assert len(anchors) == count and min(anchors) >= 25 and max(anchors) <= 43, network
        areas = anchors if count == 5 else [w * h for w, h in zip(anchors[::2], anchors[1::2], strict=True)]
        assert list(areas) == sorted(areas)


def test_keys_without_effect_are_refused(data: Path) -> None:
    with pytest.raises(UsageError, match="nms_threshold has no effect with detr_resnet18"):
        sightline.train(str(data), ["task.kind=detection", "task.nms_threshold=0.3"], model="detr_resnet18")
    with pytest.raises(UsageError, match="anchors"):
        sightline.train(str(data), ["task.kind=detection", "model.options.anchors=1,2,3"], model="yolo_v3")


def shapes(numbers: range, side: int = 64) -> Batch:
    """Dark and bright rectangles on noise, a quarter of the side or more, one or two an image; image i is a function of i."""
    images, boxes, label, sample = [], [], [], []
    for row, number in enumerate(numbers):
        draw = np.random.default_rng(number)
        pixels = draw.integers(90, 130, (side, side, 3), dtype=np.uint8)
        for left in (0, side // 2)[: 1 + number % 2]:
            width, height = draw.integers(side // 4, side // 2 - 4, 2).tolist()
            x, y, kind = left + int(draw.integers(0, 4)), int(draw.integers(0, side - height)), int(draw.integers(0, 2))
            pixels[y : y + height, x : x + width] = 230 if kind else 20
            boxes.append([x, y, x + width, y + height])
            label.append(kind)
            sample.append(row)
        images.append(torch.from_numpy(pixels).permute(2, 0, 1))
    n, size = len(images), torch.tensor([[side, side]]).expand(len(images), 2)
    target = Boxes(torch.tensor(boxes, dtype=torch.float32), torch.tensor(label), torch.tensor(sample))
    place = torch.tensor(list(numbers))
    return Batch.of_images(torch.stack(images), size, torch.eye(3).expand(n, 3, 3), size, place, place, target)


def made(task: type[Task], name: str, **options: Any) -> Task:
    network = create_model(name, num_classes=2, **options)
    return task(Normalised(Normalise([110.0] * 3, [60.0] * 3), network), classes=2)  # type: ignore[call-arg]


CELLS = {"width": 1 / 16, "dense": 64, "image_size": (128, 128), "norm": "batch", "dropout": 0.0}
ANCHORS = {"width": 1 / 16, "depths": (1, 1, 1, 1, 1), "anchors": (17, 17, 20, 20, 26, 26)}
SET = {"width": 32, "heads": 4, "hidden": 64, "encoder": 1, "decoder": 2, "queries": 6, "dropout": 0.0}
BUILT = {
    "yolo_v1": lambda: made(CellDetection, "fast_yolo", **CELLS),
    "yolo_v3": lambda: made(AnchorDetection, "yolo_v3", **ANCHORS),
    "yolo_v3_tiny": lambda: made(AnchorDetection, "yolo_v3_tiny", width=1 / 4, anchors=(17, 17, 23, 23)),
    "detr_resnet18": lambda: made(SetDetection, "detr_resnet18", **SET),
}


def fitted(task: Task, steps: int, rate: float, side: int = 64, images: int = 1 << 30) -> float:
    """AP50 on images that it was not trained on; with a number of `images`, on those that it was."""
    optimizer = torch.optim.AdamW(task.parameters(), lr=rate, weight_decay=1e-4)
    task.train()
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = rate * min(1.0, (step + 1) / 10) * (0.1 if step > 0.8 * steps else 1.0)
        optimizer.zero_grad()
        first = 8 * step % images
        task.loss(shapes(range(first, first + 8), side), "model").total.backward()
        torch.nn.utils.clip_grad_norm_(task.parameters(), 10.0)
        optimizer.step()
    task.eval()
    batch = shapes(range(images) if images < 100 else range(10_000, 10_032), side)
    with torch.no_grad():
        return float(task.metrics(task.rows(batch, task.predict(batch)))["ap50"] or 0.0)


@pytest.mark.parametrize("name", ["yolo_v3", "yolo_v3_tiny"])
def test_yolo_v3_learns(name: str) -> None:
    assert fitted(BUILT[name](), 90, 3e-3) > 0.6


def test_yolo_v1_remembers() -> None:
    """Its dense layers need many images to find objects on others (the slow test); eight it knows after few steps."""
    assert fitted(BUILT["yolo_v1"](), 60, 3e-3, 128, images=8) > 0.8


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "steps", "rate", "side"), [("yolo_v1", 1500, 3e-3, 128), ("detr_resnet18", 2000, 5e-4, 64)]
)
def test_learns_slowly(name: str, steps: int, rate: float, side: int) -> None:
    """On images that it has not seen."""
    assert fitted(BUILT[name](), steps, rate, side) > 0.5


@pytest.mark.parametrize("name", list(BUILT))
def test_parts_of_a_batch_add_up(name: str) -> None:
    """Σ w L / Σ w over single images is the loss of the batch, and so are its parts."""
    task, whole = BUILT[name]().eval(), shapes(range(5), 128 if name == "yolo_v1" else 64)
    target = whole.target
    assert isinstance(target, Boxes)
    target = target.take(target.sample != 3)
    fields = (whole.image, whole.size, whole.frame, whole.natural, whole.id, whole.position)
    with torch.no_grad():
        loss = task.loss(Batch.of_images(*fields, target), "model")
        parts = []
        for i in range(5):
            mine = target.take(target.sample == i)
            mine = Boxes(mine.boxes, mine.label, torch.zeros_like(mine.sample), mine.ignore)
            parts.append(task.loss(Batch.of_images(*(f[i : i + 1] for f in fields), mine), "model"))
    weight = torch.stack([p.weight for p in parts])
    assert weight.sum() == loss.weight
    for name_, value in loss.parts.items():
        mean = (torch.stack([torch.as_tensor(p.parts[name_]) for p in parts]) * weight).sum() / loss.weight
        assert mean == pytest.approx(float(value), rel=1e-4, abs=1e-6), name_
