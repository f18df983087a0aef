"""One object an image: metrics by hand, the loss against a loop over images, and what is refused."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import sightline
from sightline.errors import DataError, UsageError
from sightline.evaluation.localisation import judge_localisation
from sightline.losses.localisation import localisation_loss
from sightline.metrics.localisation import localisation_metrics, paired_iou
from sightline.models.boxes.localiser import Localiser, OnePlace, cell_means
from sightline.models.create import create_model
from sightline.structures.batch import Batch, Sample, collate
from sightline.structures.detection_rows import DetectionRows
from sightline.structures.targets import Boxes
from sightline.tasks.localisation import Localisation
from tests.faults.runs import write_coco

torch.set_num_threads(1)


def rows() -> DetectionRows:
    """Five images of 10x20: right; right class, poor box; wrong class; nothing found; nothing there; and one to ignore."""
    return DetectionRows(
        id=np.arange(10, 16),
        size=np.tile([10, 20], (6, 1)),
        boxes=np.array([[0, 0, 10, 10], [0, 0, 10, 10], [0, 0, 10, 10], [0, 0, 4, 4]], dtype=float),
        label=np.array([0, 0, 1, 1]),
        score=np.array([0.9, 0.8, 0.7, 0.6]),
        image=np.array([0, 1, 2, 5]),
        true_boxes=np.array([[0, 0, 10, 8], [8, 0, 18, 10], [0, 0, 10, 10], [1, 1, 3, 3], [0, 0, 4, 4]], dtype=float),
        true_label=np.array([0, 0, 0, 1, 1]),
        true_image=np.array([0, 1, 2, 3, 5]),
        true_ignore=np.array([False, False, False, False, True]),
    )


def test_metrics_by_hand() -> None:
    found = localisation_metrics(rows(), 2)
    iou = [80 / 100, 20 / 180, 1.0, 0.0]
    assert found["accuracy"] == pytest.approx(3 / 5)  # the empty image is right, the ignored one does not count
    assert found["mean_iou"] == pytest.approx(sum(iou) / 4)
    assert found["localised"] == pytest.approx(1 / 4)
    empty = rows().take(np.array([4]))
    assert localisation_metrics(empty, 2) == {"accuracy": 1.0, "mean_iou": None, "localised": None}


def test_the_judgement() -> None:
    judged = judge_localisation(rows(), ["cat", "dog"])
    assert judged.metrics == localisation_metrics(rows(), 2)
    assert judged.n == 5
    assert [row["support"] for row in judged.per_class] == [3, 1]
    assert judged.worst == (13, 12, 11, 10)  # wrong class first, then by IoU
    assert judged.per_class[0]["localised"] == pytest.approx(1 / 3)
    low, high = judged.intervals["localised"]  # type: ignore[misc]
    assert low < 0.25 < high
    mean = np.mean([[0, 0, 0.5, 0.8], [0.4, 0, 0.9, 1], [0, 0, 0.5, 1]], axis=0) * [20, 10, 20, 10]
    fits = paired_iou(np.tile(mean, (3, 1)), rows().true_boxes[:3]) >= 0.5
    assert judged.blind == pytest.approx(fits.sum() / 4)
    assert judge_localisation(rows().take(np.array([4])), ["cat", "dog"]).blind is None


def sample(place: int, label: int | None, *, ignore: bool = False, side: int = 32) -> Sample:
    """A bright square of class 0 or a dark one of class 1, or none, on grey noise."""
    draw = np.random.default_rng(place)
    pixels = draw.integers(100, 140, (3, side, side)).astype(np.uint8)
    boxes = torch.zeros(0, 4)
    if label is not None:
        x, y, size = draw.integers(0, side - 14), draw.integers(0, side - 14), draw.integers(8, 14)
        pixels[:, y : y + size, x : x + size] = 20 if label else 230
        boxes = torch.tensor([[x, y, x + size, y + size]], dtype=torch.float32)
    labels = torch.tensor([] if label is None else [label])
    target = Boxes(boxes, labels.long(), torch.zeros(len(boxes)).long(), torch.full((len(boxes),), ignore))
    return Sample.of_image(torch.from_numpy(pixels), place, target, torch.eye(3), torch.tensor([side, side]))


def batch(places: range) -> Batch:
    """Every fifth image is empty."""
    return collate([sample(p, None if p % 5 == 4 else p % 2) for p in places], list(places))


class Fixed(nn.Module):
    """Outputs that are given."""

    def __init__(self, outputs: Tensor) -> None:
        super().__init__()
        self.outputs = outputs

    def forward(self, image: Tensor) -> Tensor:
        return self.outputs


def test_the_loss_is_that_of_a_loop() -> None:
    torch.manual_seed(0)
    outputs = torch.randn(4, 3 + 4)
    images = collate([sample(0, 1), sample(1, None), sample(2, 0, ignore=True), sample(3, 0)], [0, 1, 2, 3])
    loss = Localisation(Fixed(outputs), classes=2, box_weight=7.0).loss(images)
    expected, true = 0.0, images.target
    assert isinstance(true, Boxes)
    for row, label in ((0, 1), (1, 2), (3, 0)):  # the third is to be ignored
        scores = outputs[row, :3].tolist()
        expected += math.log(sum(math.exp(s) for s in scores)) - scores[label]
        if label < 2:
            corners = true.boxes[true.sample == row][0] / 32
            expected += 7.0 * sum(
                (a - b) ** 2 for a, b in zip(outputs[row, 3:].tolist(), corners.tolist(), strict=True)
            )
    assert loss.weight == 3
    assert loss.total.item() == pytest.approx(expected / 3, rel=1e-5)
    nothing = localisation_loss(
        outputs[:, :3], outputs[:, 3:], torch.zeros(4).long(), outputs[:, 3:], torch.zeros(4).bool()
    )
    assert nothing.weight == nothing.classes == nothing.corners == 0


def test_cells_of_any_map() -> None:
    x = torch.arange(12.0).view(1, 1, 3, 4)
    assert cell_means(x, 1).item() == pytest.approx(x.mean().item())
    assert torch.allclose(
        cell_means(x, 2)[0, 0, 0], torch.tensor([(0 + 1 + 0.5 * (4 + 5)) / 3, (2 + 3 + 0.5 * (6 + 7)) / 3])
    )
    divisible = torch.randn(2, 3, 8, 12)
    assert torch.allclose(cell_means(divisible, 4), nn.functional.adaptive_avg_pool2d(divisible, 4), atol=1e-6)
    assert torch.allclose(cell_means(torch.ones(1, 2, 1, 7), 4), torch.ones(1, 2, 4, 4))


@pytest.mark.parametrize("name", ["resnet8", "mobilenet_v2", "lenet5"])
def test_any_trunk(name: str) -> None:
    trunk = create_model(name, num_classes=0, in_channels=3)
    network = Localiser(trunk, name, classes=5).eval()
    x = torch.rand(2, 3, *network.input_size[1:])
    with torch.no_grad():
        outputs = network(x)
        boxes, score = OnePlace(network)(x)
    assert outputs.shape == (2, 6 + 4)
    assert boxes.shape == (2, 1, 4)
    assert score.shape == (2, 1, 5)
    assert torch.allclose(outputs[:, 6:], torch.tensor([0.25, 0.25, 0.75, 0.75]), atol=1e-6)  # of a fresh network


def test_it_learns_where_a_square_is() -> None:
    trunk = create_model("resnet8", num_classes=0, seed=0)
    task = Localisation(nn.Sequential(Centred(), Localiser(trunk, "resnet8", 2)), classes=2).train()
    optimizer = torch.optim.AdamW(task.parameters(), lr=3e-3)
    for step in range(60):
        loss = task.loss(batch(range(step * 16 % 128, step * 16 % 128 + 16)))
        optimizer.zero_grad()
        loss.total.backward()
        optimizer.step()
    task.eval()
    unseen = batch(range(1000, 1060))
    with torch.no_grad():
        prediction = task.predict(unseen)
        judged = judge_localisation(task.rows(unseen, prediction), ["bright", "dark"])
        boxes, score = OnePlace(task.model)(unseen.image)
    assert judged.metrics["accuracy"] > 0.9  # type: ignore[operator]
    assert judged.metrics["localised"] > 0.6 > 2 * judged.blind  # type: ignore[operator]
    assert torch.equal((score[:, 0].amax(1) > 0).nonzero()[:, 0], prediction.sample)  # the exported form answers alike
    assert torch.allclose(boxes[prediction.sample, 0], prediction.boxes)
    assert torch.equal(score[prediction.sample, 0].argmax(1), prediction.label)


class Centred(nn.Module):
    def forward(self, image: Tensor) -> Tensor:
        return image.float() / 64 - 2


def test_what_is_refused(tmp_path: Path) -> None:
    write_coco(tmp_path / "many", 30, outlines=False)
    with pytest.raises(DataError, match=r"\.jpg shows 3 objects, and localisation finds one") as caught:
        sightline.train(str(tmp_path / "many"), ["task.kind=localisation"], model="resnet8", out=tmp_path / "run")
    assert "task.kind=detection" in str(caught.value)
    write_coco(tmp_path / "one", 30, outlines=False, objects=1)
    for keys, message in (
        (["input.fit=crop"], "input.fit=crop gives frames"),
        (["model.name=unet"], "unet outputs pixel scores"),
        (["task.box_weight=0"], "task.box_weight"),
    ):
        with pytest.raises(UsageError, match=message):
            sightline.train(str(tmp_path / "one"), ["task.kind=localisation", *keys], out=tmp_path / "run")
