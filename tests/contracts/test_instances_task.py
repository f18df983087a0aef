"""Instance segmentation by regions: it learns masks, crops the truth right, and pastes what it found into the original."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from sightline.decoding.detections import paste_masks
from sightline.decoding.run_lengths import from_run_lengths, run_lengths
from sightline.errors import DataError
from sightline.structures.batch import Batch
from sightline.structures.regions import RegionOutputs, RegionTargets, Selection, SelectionRule
from sightline.structures.targets import Boxes, Outlines
from sightline.tasks.instances import InstanceSegmentation
from sightline.tasks.regions import crop_masks
from tests.contracts.test_detection_task import batch_of, judged, learned, network

torch.set_num_threads(1)


def test_learns() -> None:
    """Twenty-four steps of four images: masks on others overlap the true ones."""
    task = InstanceSegmentation(network(masks=True), classes=2)
    losses = learned(task, 24, masks=True)
    assert np.mean(losses[-5:]) < 0.7 * np.mean(losses[:5])
    metrics = judged(task, masks=True)
    assert metrics["mask_ap50"] > 0.5
    assert metrics["ap50"] > 0.5


def test_a_network_without_masks_is_refused() -> None:
    with pytest.raises(TypeError, match="needs a network with a mask head"):
        InstanceSegmentation(network(), classes=2).loss(batch_of([1], masks=True))


class Answers(nn.Module):
    """A network that always finds these, all pixels of the class on and of every other off."""

    def __init__(self, found: Selection) -> None:
        super().__init__()
        self.found = found

    def forward(self, image: Tensor, size: Tensor, targets: RegionTargets | None, kept: SelectionRule) -> RegionOutputs:
        one, scores = torch.zeros(1, 4), torch.zeros(1, 1)
        masks = torch.full((len(self.found.label), 3, 28, 28), -20.0)
        masks[torch.arange(len(masks)), self.found.label + 1] = 20.0
        nowhere = torch.zeros(1, dtype=torch.long)
        return RegionOutputs(
            scores, one[None], one, one, nowhere, scores, one[None], detections=self.found, mask_logits=masks
        )


def halved(natural: tuple[Tensor, ...]) -> Batch:
    """Two images at half scale; an object in the second and one in the first, given in that order."""
    boxes = Boxes(torch.tensor([[4.0, 5, 14, 20], [1, 1, 3, 3]]), torch.tensor([1, 0]), torch.tensor([1, 0]))
    return Batch.of_images(
        image=torch.zeros(2, 3, 32, 32, dtype=torch.uint8),
        size=torch.tensor([[32, 32], [32, 32]]),
        frame=torch.diag(torch.tensor([0.5, 0.5, 1.0])).expand(2, 3, 3),
        natural=torch.tensor([[60, 50], [64, 64]]),
        id=torch.tensor([3, 4]),
        position=torch.tensor([0, 1]),
        target=Outlines(boxes, torch.zeros(2, 32, 32, dtype=torch.bool), natural),
    )


def found_there() -> Selection:
    return Selection(torch.tensor([[4.0, 5, 14, 20]]), torch.tensor([1]), torch.tensor([0.75]), torch.tensor([1]))


def test_masks_are_judged_in_the_original_frame() -> None:
    """A box full of mask at half scale covers exactly its pixels of the original; true masks follow their boxes."""
    first, second = torch.zeros(1, 60, 50, dtype=torch.bool), torch.zeros(1, 64, 64, dtype=torch.bool)
    first[0, 2:6, 2:6] = True
    second[0, 10:40, 8:28] = True
    batch = halved((first, second))
    task = InstanceSegmentation(Answers(found_there()), classes=2)
    rows = task.rows(batch, task.predict(batch))
    assert np.array_equal(from_run_lengths(rows.found_rle, (64, 64))[0], second[0].numpy())
    assert np.array_equal(from_run_lengths(rows.true_rle[:1], (64, 64))[0], second[0].numpy())
    assert np.array_equal(from_run_lengths(rows.true_rle[1:], (60, 50))[0], first[0].numpy())
    metrics = task.metrics(rows)
    assert metrics["mask_ap50"] == pytest.approx(0.5)  # of two classes one is found


def test_without_true_masks_only_boxes_are_judged() -> None:
    task = InstanceSegmentation(Answers(found_there()), classes=2)
    rows = task.rows(halved(()), task.predict(halved(())))
    assert rows.found_rle == rows.true_rle == ()
    assert "mask_ap" not in task.metrics(rows)


def test_a_mask_without_its_box_is_named() -> None:
    masks = torch.zeros(1, 60, 50, dtype=torch.bool), torch.zeros(2, 64, 64, dtype=torch.bool)
    task = InstanceSegmentation(Answers(found_there()), classes=2)
    with pytest.raises(DataError, match="image 4 has 2 masks but 1 boxes"):
        task.rows(halved(masks), task.predict(halved(masks)))


def test_crop_is_the_inverse_of_pasting() -> None:
    """A blob cropped on its box and pasted back is itself but for its rim, at any place between pixels."""
    y, x = torch.meshgrid(torch.arange(80) + 0.5, torch.arange(90) + 0.5, indexing="ij")
    mask = (((x - 40.3) / 20) ** 2 + ((y - 35.8) / 13) ** 2 < 1)[None]
    for box in ([20.3, 22.8, 60.3, 48.8], [15.0, 20, 70, 52], [-5.5, 10.25, 80, 60]):
        boxes = torch.tensor([box])
        again = paste_masks(crop_masks(mask, boxes, torch.tensor([0]), 28), boxes, (80, 90))
        assert (again & mask).sum() / (again | mask).sum() >= 0.97, box


def test_whole_boxes_paste_whole() -> None:
    """All on: every pixel whose centre lies in the box is on, and none outside; partly outside the image too."""
    boxes = torch.tensor([[2.0, 3, 7, 9], [-4, 5, 4, 30], [2.4, 3.6, 7.4, 9.6]])
    on = paste_masks(torch.ones(3, 14, 14), boxes, (12, 10))
    for mask, (left, top, right, bottom) in zip(on, boxes.tolist(), strict=True):
        y, x = torch.arange(12) + 0.5, torch.arange(10) + 0.5
        assert torch.equal(mask, ((y > top) & (y < bottom))[:, None] & ((x > left) & (x < right))[None])
    assert paste_masks(torch.zeros(0, 14, 14), torch.zeros(0, 4), (12, 10)).shape == (0, 12, 10)


def test_pasting_is_torchvisions_up_to_its_rounding() -> None:
    """It moves each box to whole pixels first: of a disc no more than a rim of two pixels differs."""
    roi_heads = pytest.importorskip("torchvision.models.detection.roi_heads")
    generator = torch.Generator().manual_seed(0)
    y, x = torch.meshgrid(torch.arange(28) - 13.5, torch.arange(28) - 13.5, indexing="ij")
    mask = (x**2 + y**2 < 11**2).float().expand(20, 28, 28)
    corner, extent = torch.rand(2, 20, 2, generator=generator)
    boxes = torch.cat((corner * 200 - 20, corner * 200 + 40 + extent * 150), 1)
    ours = paste_masks(mask, boxes, (240, 320))
    theirs = roi_heads.paste_masks_in_image(mask[:, None], boxes, (240, 320))[:, 0] > 0.5

    def shrunk(m: Tensor, by: int) -> Tensor:
        return -nn.functional.max_pool2d(-m[:, None].float(), 2 * by + 1, 1, by)[:, 0] > 0.5

    assert (shrunk(ours, 2) & ~theirs).sum() == 0
    assert (shrunk(theirs, 2) & ~ours).sum() == 0
    assert ((ours & theirs).sum((1, 2)) / (ours | theirs).sum((1, 2))).min() >= 0.9


def test_run_lengths_are_cocos() -> None:
    coco = pytest.importorskip("pycocotools.mask")
    masks = np.random.default_rng(0).random((5, 13, 17)) > 0.6
    masks[1], masks[2] = False, True
    packed = run_lengths(masks)
    for mask, counts in zip(masks, packed, strict=True):
        assert coco.encode(np.asfortranarray(mask, dtype=np.uint8))["counts"] == counts
    assert np.array_equal(from_run_lengths(packed, (13, 17)), masks)
    assert from_run_lengths((), (3, 4)).shape == (0, 3, 4)
    assert run_lengths(np.zeros((0, 3, 4), dtype=bool)) == ()
