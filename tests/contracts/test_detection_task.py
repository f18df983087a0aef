"""Detection by regions through the real task: it learns, adds up, repeats itself, and answers in the original frame."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from sightline.errors import UsageError
from sightline.losses.regions import objectness
from sightline.models.boxes.faster_rcnn import RegionNetwork
from sightline.models.residual.resnet import BasicBlock
from sightline.preprocessing.normalise import Normalise, Normalised
from sightline.randomness.keyed import torch_seeded, uniform
from sightline.structures.batch import Batch
from sightline.structures.detection_rows import DetectionRows
from sightline.structures.regions import RegionOutputs, RegionSamples, RegionTargets, Selection, SelectionRule
from sightline.structures.targets import Boxes, Labels, Outlines
from sightline.tasks.detection import Detection
from sightline.tasks.regions import region_targets

torch.set_num_threads(1)
SIDE = 96


def network(masks: bool = False) -> Normalised:
    """Small enough to learn in seconds: a ResNet of four blocks, 64 channels, anchors of 16 to 64 pixels."""
    with torch_seeded(0, "initialise"):
        small = RegionNetwork(
            BasicBlock,
            (1, 1, 1, 1),
            num_classes=2,
            anchor_sizes=(16, 32, 64, 96, 128),
            anchor_ratios=(1.0,),
            width=64,
            hidden=128,
            proposals=(200, 100),
            samples=(64, 64),
            masks=masks,
        )
    return Normalised(Normalise([127.0] * 3, [60.0] * 3), small)


def drawing(place: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Image (3, h, w) uint8 of one or two objects on noise, red squares (0) and green discs (1): boxes, labels, masks."""
    noise = uniform(0, "noise", place, torch.arange(3 * SIDE * SIDE)).view(3, SIDE, SIDE)
    image, boxes, labels, masks = noise * 80, [], [], []
    y, x = torch.meshgrid(torch.arange(SIDE) + 0.5, torch.arange(SIDE) + 0.5, indexing="ij")
    for half in range(1 + place % 2):  # the second one lies in the right half
        a, b, c, d = uniform(0, "object", place, half, torch.arange(4)).tolist()
        radius = 8 + 10 * a
        cx, cy = half * SIDE / 2 + radius + b * (SIDE / 2 - 2 * radius), radius + c * (SIDE - 2 * radius)
        disc = d < 0.5
        far = ((x - cx) ** 2 + (y - cy) ** 2).sqrt() if disc else torch.maximum((x - cx).abs(), (y - cy).abs())
        inside = far < radius
        image[1 if disc else 0][inside] = 230
        masks.append(inside)
        labels.append(int(disc))
        rows, columns = inside.any(1).nonzero(), inside.any(0).nonzero()
        boxes.append([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])
    return image.to(torch.uint8), torch.tensor(boxes).float(), torch.tensor(labels), torch.stack(masks)


def batch_of(places: list[int], masks: bool = False) -> Batch:
    drawn = [drawing(place) for place in places]
    targets = [
        Outlines(Boxes(b, label, torch.zeros_like(label)), mask, (mask,))
        if masks
        else Boxes(b, label, torch.zeros_like(label))
        for _, b, label, mask in drawn
    ]
    n = len(places)
    return Batch.of_images(
        image=torch.stack([image for image, *_ in drawn]),
        size=torch.full((n, 2), SIDE),
        frame=torch.eye(3).expand(n, 3, 3),
        natural=torch.full((n, 2), SIDE),
        id=torch.tensor(places),
        position=torch.tensor(places),
        target=type(targets[0]).join(targets),
    )


def learned(task: nn.Module, steps: int, masks: bool = False) -> list[float]:
    """`steps` moves on new images; the loss at each."""
    optimizer = torch.optim.AdamW(task.parameters(), lr=1e-3, weight_decay=1e-3)
    losses = []
    task.train()
    for step in range(steps):
        warm = min(1.0, (step + 1) / 10) * (0.1 if step > 0.8 * steps else 1.0)
        optimizer.param_groups[0]["lr"] = 1e-3 * warm
        loss = task.loss(batch_of(list(range(4 * step, 4 * step + 4)), masks), "model")
        optimizer.zero_grad()
        loss.total.backward()
        nn.utils.clip_grad_norm_(task.parameters(), 5.0)
        optimizer.step()
        losses.append(loss.total.item())
    return losses


def judged(task: nn.Module, masks: bool = False) -> dict[str, float | None]:
    """Metrics on 24 images that training did not see."""
    task.eval()
    rows = []
    with torch.inference_mode():
        for first in range(100_000, 100_024, 8):
            batch = batch_of(list(range(first, first + 8)), masks)
            rows.append(task.rows(batch, task.predict(batch)))
    return task.metrics(DetectionRows.join(rows))


def test_learns() -> None:
    """Thirty-two steps of four images: what it finds on others is right, and of the right class."""
    task = Detection(network(), classes=2)
    losses = learned(task, 32)
    assert np.mean(losses[-5:]) < 0.7 * np.mean(losses[:5])
    assert judged(task)["ap50"] > 0.5


def test_parts_of_a_batch_add_up() -> None:
    """Σ w L / Σ w over single images is the loss of the batch, an image without objects among them; so are all its parts."""
    task = Detection(network(), classes=2)
    whole = batch_of([1, 2, 3, 4])
    target = whole.target
    assert isinstance(target, Boxes)
    target = target.take(target.sample != 2)
    whole = Batch.of_images(whole.image, whole.size, whole.frame, whole.natural, whole.id, whole.position, target)
    loss = task.loss(whole)
    assert loss.weight == 4
    parts = []
    for i in range(4):
        one = slice(i, i + 1)
        mine = target.take(target.sample == i)
        mine = Boxes(mine.boxes, mine.label, torch.zeros_like(mine.sample))
        fields = (whole.image, whole.size, whole.frame, whole.natural, whole.id, whole.position)
        parts.append(task.loss(Batch.of_images(*(f[one] for f in fields), mine)))
    assert torch.stack([p.total for p in parts]).mean().item() == pytest.approx(loss.total.item(), rel=1e-5)
    for name, value in loss.parts.items():
        mean = torch.stack([p.parts[name] for p in parts]).mean().item()
        assert mean == pytest.approx(value.item(), rel=1e-5, abs=1e-7), name
    assert parts[2].parts["boxes"] == 0
    assert parts[2].parts["anchor_boxes"] == 0
    assert parts[2].parts["class"] > 0


def test_nothing_to_find_and_nothing_found() -> None:
    """A batch without objects still teaches background, with finite gradients; a network that finds nothing has rows."""
    task = Detection(network(), classes=2, score_threshold=0.999)
    batch = batch_of([1, 2])
    none = Boxes(torch.zeros(0, 4), torch.zeros(0, dtype=torch.long), torch.zeros(0, dtype=torch.long))
    batch = Batch.of_images(batch.image, batch.size, batch.frame, batch.natural, batch.id, batch.position, none)
    loss = task.loss(batch)
    loss.total.backward()
    assert loss.total > 0
    assert all(p.grad is None or p.grad.isfinite().all() for p in task.parameters())
    with torch.inference_mode():
        rows = task.rows(batch, task.predict(batch))
    assert (len(rows), len(rows.label), len(rows.true_label)) == (2, 0, 0)
    assert task.metrics(rows)["ap50"] is None


def test_draws_are_functions_of_the_place_in_the_stream() -> None:
    """The same place draws the same anchors and regions whatever its neighbours; another place draws others."""
    model = network()
    batch, other = batch_of([5, 6]), batch_of([6, 5])
    at = [region_targets(b) for b in (batch, other)]
    here, there = (model(b.image, b.size, t) for b, t in zip((batch, other), at, strict=True))
    n = here.logits.shape[1]

    def drawn(outputs: RegionOutputs, image: int) -> tuple[Tensor, Tensor]:
        anchor, region = outputs.anchor_draw, outputs.region_draw
        assert anchor is not None
        assert region is not None
        return anchor.place[anchor.sample == image] % n, outputs.proposals[region.sample == image]

    for mine, same in zip(drawn(here, 0), drawn(there, 1), strict=True):
        assert torch.allclose(mine, same)
    moved = model(batch.image, batch.size, at[0]._replace(key=torch.tensor([7, 8])))
    assert not torch.equal(drawn(here, 0)[0], drawn(moved, 0)[0])


def test_share_of_objects() -> None:
    """At most half of the anchors and a quarter of the regions; true boxes are among the regions."""
    batch = batch_of([1, 3])
    targets = region_targets(batch)
    outputs = network()(batch.image, batch.size, targets)
    for draw, share in ((outputs.anchor_draw, 0.5), (outputs.region_draw, 0.25)):
        assert draw is not None
        for image in range(2):
            truth = draw.truth[draw.sample == image]
            assert len(truth) == 64
            assert 0 < (truth >= 0).sum() <= 64 * share
            assert set(truth[truth >= 0].tolist()) <= set((targets.sample == image).nonzero().flatten().tolist())
    for box in targets.boxes:
        assert (outputs.proposals - box).abs().amax(1).min() == 0


def test_ignored_regions_are_neither_objects_nor_background() -> None:
    """With the left half ignored, no background anchor or region lies in it, and none is told to find it."""
    batch = batch_of([0, 2])
    left = Boxes(
        torch.tensor([[0.0, 0, 48, 96]] * 2), torch.tensor([0, 0]), torch.tensor([0, 1]), torch.tensor([True, True])
    )
    batch = Batch.of_images(batch.image, batch.size, batch.frame, batch.natural, batch.id, batch.position, left)
    outputs = network()(batch.image, batch.size, region_targets(batch))
    anchor, region = outputs.anchor_draw, outputs.region_draw
    assert anchor is not None
    assert region is not None
    for boxes in (outputs.anchors[anchor.place % len(outputs.anchors)], outputs.proposals):
        assert len(boxes) > 50
        inside = (boxes[:, 2].clamp(max=48) - boxes[:, 0].clamp(min=0)).clamp(min=0) / (boxes[:, 2] - boxes[:, 0])
        tall = (boxes[:, 3].clamp(max=96) - boxes[:, 1].clamp(min=0)).clamp(min=0) / (boxes[:, 3] - boxes[:, 1])
        assert (inside * tall <= 0.5 + 1e-6).all()
    assert (anchor.truth == -1).all()
    assert (region.truth == -1).all()


@torch.no_grad()
def test_what_a_batch_added_to_an_image_is_not_seen() -> None:
    model, batch = network().eval(), batch_of([1])
    size = torch.tensor([[70, 96]])
    black, white = batch.image.clone(), batch.image.clone()
    black[:, :, 70:], white[:, :, 70:] = 0, 255
    one, two = (model(image, size) for image in (black, white))
    assert torch.equal(one.class_logits, two.class_logits)
    assert one.detections is not None
    assert (one.detections.boxes[:, 3] <= 70).all()


class Answers(nn.Module):
    """A network that always finds these."""

    def __init__(self, found: Selection) -> None:
        super().__init__()
        self.found = found

    def forward(self, image: Tensor, size: Tensor, targets: RegionTargets | None, kept: SelectionRule) -> RegionOutputs:
        one = torch.zeros(1, 4)
        scores = torch.zeros(1, 1)
        return RegionOutputs(
            scores, one[None], one, one, torch.zeros(1).long(), scores, one[None], detections=self.found
        )


def test_rows_are_in_the_original_frame() -> None:
    """A batch at half scale, shifted by (3, 5): found and true boxes come back, cut at the original's edges."""
    found = Selection(
        torch.tensor([[8.0, 15, 18, 25], [-40, -40, 900, 900]]),
        torch.tensor([1, 0]),
        torch.tensor([0.9, 0.2]),
        torch.tensor([1, 0]),
    )
    frame = torch.tensor([[[0.5, 0, 3], [0, 0.5, 5], [0, 0, 1]]]).expand(2, 3, 3)
    target = Boxes(torch.tensor([[8.0, 15, 18, 25]]), torch.tensor([1]), torch.tensor([1]), torch.tensor([True]))
    batch = Batch.of_images(
        image=torch.zeros(2, 3, 64, 64, dtype=torch.uint8),
        size=torch.tensor([[64, 64], [64, 64]]),
        frame=frame,
        natural=torch.tensor([[100, 110], [90, 120]]),
        id=torch.tensor([7, 4]),
        position=torch.tensor([0, 1]),
        target=target,
    )
    task = Detection(Answers(found), classes=2)
    prediction = task.predict(batch)
    assert torch.equal(prediction.boxes, found.boxes)  # of the batch's frame
    rows = task.rows(batch, prediction)
    assert rows.boxes.tolist() == [[10, 20, 30, 40], [0, 0, 110, 100]]
    assert rows.true_boxes.tolist() == [[10, 20, 30, 40]]
    assert (rows.id.tolist(), rows.image.tolist(), rows.label.tolist()) == ([7, 4], [1, 0], [1, 0])
    assert (rows.true_image.tolist(), rows.true_ignore.tolist()) == ([1], [True])
    assert rows.size.tolist() == [[100, 110], [90, 120]]
    assert rows.found_rle == ()


def test_labels_are_refused() -> None:
    batch = batch_of([1])
    labels = Labels.of(torch.tensor([1]))
    batch = Batch.of_images(batch.image, batch.size, batch.frame, batch.natural, batch.id, batch.position, labels)
    with pytest.raises(TypeError, match="needs Boxes or Outlines, but the batch has Labels"):
        Detection(network(), classes=2).loss(batch)


def test_impossible_options() -> None:
    with pytest.raises(UsageError, match="at least one class"):
        RegionNetwork(BasicBlock, (1, 1, 1, 1), num_classes=0)
    with pytest.raises(UsageError, match="2 anchor sizes for five levels"):
        RegionNetwork(BasicBlock, (1, 1, 1, 1), anchor_sizes=(8, 16))


def test_every_image_weighs_the_same_however_many_it_drew() -> None:
    """Three anchors of the first image, one of the second: a mean of two means, so single images add up exactly."""
    logits = torch.tensor([[0.3, -1.0, 2.0], [0.7, 0.1, -0.4]])
    drawn = RegionSamples(torch.tensor([0, 1, 2, 4]), torch.tensor([0, 0, 0, 1]), torch.tensor([0, -1, -1, 1]))
    first = objectness(logits[:1], RegionSamples(*(part[:3] for part in drawn)))
    second = objectness(logits[1:], RegionSamples(torch.tensor([1]), torch.tensor([0]), torch.tensor([1])))
    whole, weight = objectness(logits, drawn)
    assert weight == 2
    assert whole.item() == pytest.approx((first[0].item() + second[0].item()) / 2)
    assert second[0].item() == pytest.approx(np.log1p(np.exp(-0.1)))


@torch.no_grad()
def test_regions_from_elsewhere() -> None:
    """Fast R-CNN: the network's own proposals given back change nothing; others are judged in their place."""
    small = network().network.eval()
    images = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    own = small(images)
    again = small(images, given=(own.proposals, own.sample))
    assert torch.equal(again.class_logits, own.class_logits)
    assert torch.equal(again.detections.boxes, own.detections.boxes)
    boxes, sample = torch.tensor([[4.0, 4, 40, 40], [8, 8, 60, 30]]), torch.tensor([0, 1])
    other = small(images, given=(boxes, sample))
    assert other.class_logits.shape == (2, own.class_logits.shape[1])
    assert torch.equal(other.proposals, boxes)
    assert set(other.detections.sample.tolist()) <= {0, 1}
