"""Attacks on segmenters and detectors: regions, objects, the whole image; patches that hide objects; changed images."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from sightline.attacks.aim import Aim
from sightline.attacks.pictures.patch import Spread, noise_patch, on_objects, pasted_on_objects
from sightline.errors import DataError, UsageError
from sightline.kinds import KINDS, Kind
from sightline.kinds.attack_families.catalogue import family_of
from sightline.kinds.attack_families.measured import Measured, shared
from sightline.kinds.attack_families.request import Request
from sightline.kinds.kind import Drawings
from sightline.models.create import create_model
from sightline.preprocessing.decoder import decode
from sightline.preprocessing.normalise import Normalise, Normalised
from sightline.structures.batch import Batch
from sightline.structures.targets import IGNORE, Boxes, Masks
from sightline.tasks.detection import Detection
from sightline.tasks.segmentation import Segmentation

CLASSES = ("dark", "grey", "bright")
LIGHT = {"width": 16, "hidden": 32, "proposals": (40, 24), "anchor_sizes": (8, 16, 32, 64, 128)}
SIDE = 48


class Shades(nn.Module):
    """A segmenter by brightness: dark below 85 levels, bright above 170."""

    def forward(self, pixels: Tensor) -> Tensor:
        grey = pixels.float().mean(1) / 255
        return torch.stack([1 - 3 * grey, torch.full_like(grey, 0.0), 3 * grey - 2], 1) * 4


def _batch(seed: int, target: Any) -> Batch:
    blocks = (torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(seed)) * 255).byte()
    image = blocks.repeat_interleave(SIDE // 8, 2).repeat_interleave(SIDE // 8, 3)
    size = torch.tensor([[SIDE, SIDE]] * 2)
    ids = torch.tensor([2 * seed, 2 * seed + 1])
    return Batch.of_images(image, size, torch.eye(3).expand(2, 3, 3), size, ids, ids, target)


def undrawn(name: str) -> Kind:
    """Drawing takes longer than the attacks."""
    return replace(KINDS[name], drawings=Drawings())


def segmenter() -> Measured:
    """Two batches whose truth is what the network says."""
    task = Segmentation(Shades(), classes=3).eval()
    task.register_parameter("unused", nn.Parameter(torch.zeros(1)))  # its device is that of the task
    batches = []
    for seed in (0, 1):
        batch = _batch(seed, Masks(torch.zeros(2, SIDE, SIDE, dtype=torch.long)))
        index = Shades()(batch.image.float()).argmax(1)
        batches.append(replace(batch, target=Masks(index, tuple(index.byte()))))
    return Measured(undrawn("segmentation"), task, tuple(batches), CLASSES, {i: f"{i}.png" for i in range(4)})


def detector() -> Measured:
    """Random weights that find something; the truth is a box in each image."""
    torch.manual_seed(1)
    model = create_model("faster_rcnn_resnet18_fpn", num_classes=3, **LIGHT).eval()
    nn.init.normal_(model.roi_heads.box_predictor.cls_score.weight, std=0.3)
    task = Detection(Normalised(Normalise([120.0] * 3, [60.0] * 3), model), classes=3).eval()
    boxes = Boxes(torch.tensor([[4.0, 4, 30, 30], [10, 10, 40, 44]]), torch.tensor([0, 2]), torch.tensor([0, 1]))
    batches = tuple(_batch(seed, boxes) for seed in (0, 1))
    return Measured(undrawn("detection"), task, batches, CLASSES, {i: f"{i}.png" for i in range(4)}, score=0.05)


def attacked(subject: Measured, folder: Path, method: str, **options: Any) -> dict[str, Any]:
    given = {"eps": None, "steps": None, "norm": None, "target": None, "seed": 0, **options}
    outcome = family_of(method, subject.kind)(
        subject, Request.of(method, classes=CLASSES, **given), folder, lambda parts: parts
    )
    return json.loads(json.dumps(outcome.facts))


def test_the_page_shows_answers_before_and_after(tmp_path: Path) -> None:
    subject = replace(segmenter(), kind=KINDS["segmentation"])
    subject = replace(subject, batches=subject.batches[:1])
    request = Request.of("fgsm", 24, None, None, None, 0, CLASSES)
    outcome = family_of("fgsm", subject.kind)(subject, request, tmp_path, lambda parts: parts)
    html = outcome.page("run", "sightline attack run --method fgsm")
    assert "<script" not in html and "Pixels right" in html and "Mean IoU" in html
    assert outcome.sheet is not None and html.count("data:image/png") == 2


@pytest.mark.parametrize("method", ["fgsm", "pgd", "apgd"])
def test_pixels_lose_their_classes_within_the_budget(tmp_path: Path, method: str) -> None:
    subject = segmenter()
    facts = attacked(subject, tmp_path, method, eps=(4, 24), steps=None if method == "fgsm" else 4)
    values = [point["value"] for point in facts["curve"]]
    assert values[0] == 1.0 and values[1] > values[2] and values[2] < 0.8
    assert facts["curve"][-1]["interval"][0] <= values[-1] <= facts["curve"][-1]["interval"][1]
    assert facts["curve"][0]["headline"]["name"] == "mean IoU" and facts["backwards"] > 0
    for batch in subject.batches:
        for row, id in enumerate(batch.id.tolist()):
            saved = decode(tmp_path / f"{id:06d}.png").pixels.astype(int)
            clean = batch.image[row].permute(1, 2, 0).numpy().astype(int)
            assert 0 < np.abs(saved - clean).max() <= 24


def test_a_region_alone_is_attacked_and_a_target_reached(tmp_path: Path) -> None:
    """Other pixels keep their bits, because the loss does not know them."""
    subject = segmenter()
    facts = attacked(subject, tmp_path, "fgsm", eps=60, region="dark", target="grey")
    assert facts["region"] == "dark" and facts["target"] == "grey"
    assert facts["curve"][0]["value"] == 0.0 and facts["curve"][1]["value"] > 0.3
    target = subject.batches[0].target
    assert isinstance(target, Masks)
    saved = torch.from_numpy(decode(tmp_path / "000000.png").pixels.copy()).permute(2, 0, 1)
    changed = (saved != subject.batches[0].image[0]).any(0)
    assert torch.equal(changed, target.index[0] == 0)


def test_an_object_is_hidden(tmp_path: Path) -> None:
    subject = detector()
    facts = attacked(replace(subject, batches=subject.batches[:1]), tmp_path, "pgd", eps=(2, 16), steps=2, object=0)
    values = [point["value"] for point in facts["curve"]]
    assert facts["metric"] == "objects found" and facts["curve"][0]["n"] == 2
    assert values[0] == 1.0 and values[-1] < values[0]
    losses = [point["loss"] for point in facts["curve"]]
    assert losses == sorted(losses)


def test_only_what_is_attacked_counts() -> None:
    subject = detector()
    exposure, batch = subject.exposure, subject.batches[0]
    whole, one = (exposure.focus(subject.task, batch, aim) for aim in (Aim(), Aim(region=2)))
    assert isinstance(whole.target, Boxes) and isinstance(one.target, Boxes)
    assert whole.target.ignore.tolist() == [False, False] and one.target.ignore.tolist() == [True, False]
    harm = exposure.harm(subject.task, one, Aim())(batch.image.float())
    assert harm.detach()[0] == 0.0 and harm.detach()[1] > 0.0
    masks = segmenter().exposure.focus(subject.task, segmenter().batches[0], Aim(region=1)).target
    assert isinstance(masks, Masks) and set(masks.index.unique().tolist()) == {1, IGNORE}
    with pytest.raises(DataError, match="nothing to attack"):
        shared("objects found", np.zeros(3, int), np.zeros(3, int))


def test_a_patch_lies_on_its_object_and_nowhere_else() -> None:
    boxes = torch.tensor([[10.0, 20, 26, 36]])
    place = on_objects(boxes, 0.5, Spread(0.0, 0.0), (1, 3, SIDE, SIDE), 0, torch.tensor([0]))
    x = torch.full((1, 3, SIDE, SIDE), 300.0)
    changed = (pasted_on_objects(x, noise_patch(3, 8, 0), place, torch.tensor([0])) != x).any(1)[0]
    rows, columns = changed.nonzero(as_tuple=True)
    assert (int(rows.min()), int(rows.max()), int(columns.min()), int(columns.max())) == (24, 31, 14, 21)


def test_a_patch_is_measured_on_other_images(tmp_path: Path) -> None:
    facts = attacked(detector(), tmp_path, "patch", eps=0.5, steps=3, object=0)
    assert facts["n"] == facts["trained_on"] == 2 and facts["clean"]["value"] == 1.0
    (one,) = facts["patches"]
    assert one["side"] == 0.5 and one["n"] == 2 and set(one["noise"]) == {"n", "name", "value", "interval"}
    assert len(list((tmp_path / "patch-0.5").glob("*.png"))) == 2


def test_masks_stay_where_they_are_under_controlled_change(tmp_path: Path) -> None:
    facts = attacked(segmenter(), tmp_path, "changes")
    assert set(facts["changes"]) == {"brightness", "occlusion", "jpeg"} and facts["metric"] == "mean IoU"
    still = next(point for point in facts["changes"]["brightness"] if point["strength"] == 0)
    assert still["value"] == facts["clean"]["value"] == 1.0


def test_what_has_no_classes_refuses_by_name(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="square needs the scores of classes") as caught:
        attacked(detector(), tmp_path, "square")
    assert "pgd" in caught.value.hint
    with pytest.raises(UsageError, match="a patch hides objects, and segmentation has none"):
        attacked(segmenter(), tmp_path, "patch")
    with pytest.raises(UsageError, match="pgd does not work on multilabel") as caught:
        family_of("pgd", KINDS["multilabel"])
    assert "corruptions" in caught.value.hint
    with pytest.raises(UsageError, match="both say what is attacked"):
        Request.of("pgd", None, None, None, None, 0, CLASSES, "dark", 0)
