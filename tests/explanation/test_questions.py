"""Regions and objects: the score that is explained, and maps of it through every kind that has one."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from sightline.errors import DataError, UsageError
from sightline.explanation.controls.randomisation import layers_of, stages
from sightline.explanation.explain import explain_images
from sightline.explanation.question import Choice
from sightline.kinds import KINDS
from sightline.models.create import create_model
from sightline.preprocessing.normalise import Normalise, Normalised
from sightline.structures.batch import Batch
from sightline.structures.targets import Labels
from sightline.tasks.detection import Detection
from sightline.tasks.instances import InstanceSegmentation
from sightline.tasks.segmentation import Segmentation
from sightline.tasks.task import Task

CLASSES = ("sky", "road", "car")
LIGHT = {"width": 16, "hidden": 32, "proposals": (40, 24), "anchor_sizes": (8, 16, 32, 64, 128)}
CASES: dict[str, tuple[str, dict[str, Any], Any]] = {
    "segmentation": ("unet", {"width": 4, "in_channels": 3}, Segmentation),
    "detection": ("faster_rcnn_resnet18_fpn", LIGHT, Detection),
    "instances": ("mask_rcnn_resnet18_fpn", LIGHT, InstanceSegmentation),
}


def _case(name: str) -> tuple[Task, Batch]:
    network, options, task_of = CASES[name]
    torch.manual_seed(1)
    model = create_model(network, num_classes=len(CLASSES), **options).eval()
    if hasattr(model, "roi_heads"):
        nn.init.normal_(model.roi_heads.box_predictor.cls_score.weight, std=0.3)
    task = task_of(Normalised(Normalise([120.0] * 3, [60.0] * 3), model), classes=len(CLASSES)).eval()
    image = (torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(2)) * 255).byte()
    size, zero = torch.tensor([[64, 64]]), torch.tensor([0])
    return task, Batch.of_images(image, size, torch.eye(3)[None], size, zero, zero, Labels.of(torch.tensor([-1])))


@pytest.mark.parametrize("name", CASES)
def test_maps_of_regions_and_objects(name: str) -> None:
    task, batch = _case(name)
    ask = KINDS[name].sensitivity.ask
    assert ask is not None
    question = ask(task, batch, Choice(), CLASSES)
    settings = {"occlusion": {"window": 32, "stride": 32}}
    methods = ["gradient", "grad_cam", "occlusion"]
    ((explained, _),) = explain_images(
        question.subject, batch.image.float(), torch.tensor([question.target]), methods, effort=None, settings=settings
    )
    for one in explained:
        assert one.attribution is not None and one.map is not None
        assert one.map.shape == (64, 64) and bool(torch.from_numpy(one.map).isfinite().all())
    assert explained[0].map.any() and explained[2].map.any()
    rows, columns = explained[1].attribution.settings["grid"]
    assert rows * columns <= 64  # of the features, not of the answers


def test_a_detectors_head_is_that_of_its_scores() -> None:
    task, batch = _case("instances")
    question = KINDS["instances"].sensitivity.ask(task, batch, Choice(), CLASSES)
    within = layers_of(question.subject, batch.image.float(), torch.tensor([question.target]))
    names = dict(question.subject.network.named_modules())
    assert any(m in within for n, m in names.items() if n.endswith("cls_score"))
    assert not any(m in within for n, m in names.items() if "mask" in n or n.endswith("bbox_pred"))
    assert stages(question.subject.network, 2, within)[0][1][-1] is next(
        m for n, m in names.items() if n.endswith("cls_score")
    )


def test_a_region_is_the_sum_of_its_scores() -> None:
    task, batch = _case("segmentation")
    ask = KINDS["segmentation"].sensitivity.ask
    scores = task.predict(batch).score[0]
    largest = int(torch.bincount(scores.argmax(0).flatten(), minlength=3).argmax())
    question = ask(task, batch, Choice(), CLASSES)
    assert question.target == largest and CLASSES[largest] in question.score
    found = question.subject.score(batch.image.float(), torch.tensor([largest]))
    torch.testing.assert_close(found[0], scores[largest][scores.argmax(0) == largest].sum(), rtol=1e-4, atol=1e-3)


def test_an_object_is_the_score_of_its_detection() -> None:
    task, batch = _case("detection")
    ask = KINDS["detection"].sensitivity.ask
    there = task.predict(batch)
    order = there.score.argsort(descending=True)
    for number in (0, min(2, len(order) - 1)):
        question = ask(task, batch, Choice(number=number), CLASSES)
        found = question.subject.score(batch.image.float(), torch.tensor([0]))
        torch.testing.assert_close(found[0], there.score[order[number]])
        assert question.box == tuple(there.boxes[order[number]].tolist())
    with pytest.raises(UsageError, match="there is no object 999"):
        ask(task, batch, Choice(number=999), CLASSES)


def test_a_class_that_is_nowhere_is_named() -> None:
    task, batch = _case("segmentation")
    with torch.no_grad():
        last = [m for m in task.model.modules() if isinstance(m, nn.Conv2d)][-1]
        last.bias[2] = -1e6
    with pytest.raises(DataError, match="no pixel is predicted as 'car'"):
        KINDS["segmentation"].sensitivity.ask(task, batch, Choice(target=2), CLASSES)
