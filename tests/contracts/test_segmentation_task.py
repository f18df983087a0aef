"""Segmentation from the batch to the metrics: losses of parts, scores carried back to the original, rows, and learning."""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sightline.decoding.segments import class_map
from sightline.engine.state import Meter, weighted
from sightline.errors import DataError
from sightline.losses.segmentation import class_planes
from sightline.models.create import create_model
from sightline.preprocessing.geometry import Geometry
from sightline.structures.batch import Batch, Sample, collate
from sightline.structures.predictions import Segments
from sightline.structures.targets import IGNORE, Labels, Masks
from sightline.tasks.segmentation import Segmentation

torch.set_num_threads(1)


# ------------------------------------------------------------------------------------------- back to the original frame
def reference(score: np.ndarray, frame: np.ndarray, natural: tuple[int, int]) -> np.ndarray:
    """Bilinear scores (k, H, W) at each pixel's centre, one at a time, in numpy."""
    k, h, w = score.shape
    out = np.empty((k, *natural))
    for i, j in np.ndindex(natural):
        x, y, _ = frame @ (j + 0.5, i + 0.5, 1)
        x, y = np.clip(x - 0.5, 0, w - 1), np.clip(y - 0.5, 0, h - 1)
        x0, y0 = int(x), int(y)
        x1, y1 = min(x0 + 1, w - 1), min(y0 + 1, h - 1)
        top = (x1 > x0) * (x - x0) * (score[:, y0, x1] - score[:, y0, x0]) + score[:, y0, x0]
        low = (x1 > x0) * (x - x0) * (score[:, y1, x1] - score[:, y1, x0]) + score[:, y1, x0]
        out[:, i, j] = top + (y - y0) * (low - top)
    return out


FRAMES = {
    "larger": [[0.5, 0, 0], [0, 0.6, 0], [0, 0, 1]],
    "smaller": [[1.6, 0, 0], [0, 1.5, 0], [0, 0, 1]],
    "cut": [[0.75, 0, -2.3], [0, 0.75, -1.7], [0, 0, 1]],
    "mirrored": [[-0.5, 0, 10], [0, 0.6, 0], [0, 0, 1]],
    "turned": [[0.5, 0.1, 0.3], [-0.1, 0.5, 1.0], [0, 0, 1]],
}


@pytest.mark.parametrize("name", FRAMES)
def test_scores_at_the_centres_of_the_original(name: str) -> None:
    frame = torch.tensor(FRAMES[name])
    natural = (4, 5) if name == "smaller" else (10, 20)
    score = torch.randn(4, 6, 8 if name == "smaller" else 10, generator=torch.Generator().manual_seed(0))
    expected = reference(score.double().numpy(), frame.double().numpy(), natural)
    top = np.sort(expected, axis=0)
    clear = top[-1] - top[-2] > 1e-4
    assert clear.mean() > 0.95
    assert (class_map(score, frame, natural).numpy() == expected.argmax(0))[clear].all()


@pytest.mark.parametrize("fit", ["stretch", "letterbox", "shortest", "longest", "crop"])
@pytest.mark.parametrize("natural", [(40, 64), (64, 40), (33, 47), (120, 50)])
def test_a_mask_comes_back_from_every_fit(fit: str, natural: tuple[int, int]) -> None:
    """Planes of a mask in the network's frame give the mask again, but for a seam of a pixel; bars say nothing."""
    y, x = np.mgrid[: natural[0], : natural[1]]
    mask = ((x > 0.4 * natural[1]) + 2 * (y > 0.55 * natural[0])).astype(np.uint8)
    geometry = Geometry(48, 48, fit=fit)
    _, frame = geometry.apply(mask[..., None])
    inside = torch.from_numpy(geometry.apply_mask(mask, IGNORE).astype(np.int64))
    score = class_planes(inside[None], 5)[0].float()
    score[4] = 0.9 * (inside == IGNORE)  # bars claim a class of their own
    back = class_map(score, torch.from_numpy(frame).float(), natural).numpy()
    wrong = back != mask
    place = geometry.placement(*natural)
    if fit == "crop":  # what was cut away is not known
        seen = (frame[0, 0] * (x + 0.5) + frame[0, 2] < 48) & (frame[1, 1] * (y + 0.5) + frame[1, 2] < 48)
        wrong &= seen & (frame[0, 0] * (x + 0.5) > -frame[0, 2]) & (frame[1, 1] * (y + 0.5) > -frame[1, 2])
    seam = max(1.0, 1 / min(place.scale_x, place.scale_y))
    near = (abs(x + 0.5 - 0.4 * natural[1] - 0.5) <= seam + 1) | (abs(y + 0.5 - 0.55 * natural[0] - 0.5) <= seam + 1)
    assert not (wrong & ~near).any()


def test_ties_go_to_the_lowest_class() -> None:
    score = torch.zeros(3, 4, 4)
    score[1:] = 1.0
    assert (class_map(score, torch.eye(3), (4, 4)) == 1).all()


# --------------------------------------------------------------------------------------------------------------- task
class Answering(nn.Module):
    """Scores that are given, and auxiliary ones while training."""

    class Both(NamedTuple):
        scores: Tensor
        auxiliary: Tensor

    def __init__(self, scores: Tensor, auxiliary: Tensor | None = None) -> None:
        super().__init__()
        self.scores, self.auxiliary = nn.Parameter(scores), auxiliary

    def forward(self, image: Tensor) -> Tensor | Both:
        scores = self.scores[: len(image)]
        return scores if self.auxiliary is None or not self.training else self.Both(scores, self.auxiliary)


def batch(index: Tensor, natural: tuple[Tensor, ...] = ()) -> Batch:
    b, h, w = index.shape
    size, frame = torch.tensor([[h, w]]).expand(b, 2), torch.eye(3).expand(b, 3, 3)
    target = Masks(index, natural)
    image = torch.zeros(b, 3, h, w, dtype=torch.uint8)
    return Batch.of_images(image, size, frame, size, torch.arange(b) + 7, torch.arange(b), target)


def scores_and_index() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    index = torch.randint(0, 3, (2, 6, 8), generator=generator)
    index[0, :2] = IGNORE
    return torch.randn(2, 3, 6, 8, generator=generator), index


@pytest.mark.parametrize("kind", ["cross_entropy", "dice", "cross_entropy+dice", "focal"])
def test_loss(kind: str) -> None:
    scores, index = scores_and_index()
    other = torch.randn(2, 3, 6, 8, generator=torch.Generator().manual_seed(1))
    plain = Segmentation(Answering(scores), classes=3, loss=kind).loss(batch(index))
    beside = Segmentation(Answering(other), classes=3, loss=kind).loss(batch(index))
    both = Segmentation(Answering(scores, other), classes=3, loss=kind, aux_weight=0.3).train().loss(batch(index))
    assert plain.weight == both.weight == 80
    assert torch.allclose(both.total, plain.total + 0.3 * beside.total)
    assert both.parts == plain.parts
    known = index != IGNORE
    told = {name: pair.tolist() for name, pair in weighted(plain.parts, plain.weight).items()}
    usual = F.cross_entropy(scores.transpose(0, 1)[:, known].T, index[known])
    assert told["loss"] == pytest.approx([80 * usual.item(), 80])
    right = (scores.argmax(1) == index)[known].sum().item()
    assert told["pixel_accuracy"] == pytest.approx([right, 80])
    own = [name for name in kind.split("+") if name != "cross_entropy"]
    assert told.keys() == {"loss", "pixel_accuracy", *own}
    alone = usual.item() if "cross_entropy" in kind else 0.0
    assert alone + sum(told[name][0] / 80 for name in own) == pytest.approx(plain.total.item())
    plain.total.backward()


@pytest.mark.parametrize("kind", ["cross_entropy", "dice", "cross_entropy+dice", "focal"])
def test_what_is_told_counts_each_pixel_once_whatever_classes_weigh(kind: str) -> None:
    """Over two batches of unequal classes: the loss that validation measures, and the share of right pixels."""
    scores, index = scores_and_index()
    index[1] = 0
    meter, weight = Meter(), torch.tensor([0.1, 2.0, 5.0])
    for row in (slice(0, 1), slice(1, 2)):
        task = Segmentation(Answering(scores[row]), classes=3, loss=kind, class_weight=weight)
        loss = task.loss(batch(index[row]))
        meter.add(weighted(loss.parts, loss.weight))
    known = index != IGNORE
    means = meter.means()
    usual = F.cross_entropy(scores.transpose(0, 1)[:, known].T, index[known])
    assert means["loss"] == pytest.approx(usual.item(), rel=1e-6)
    assert means["pixel_accuracy"] == pytest.approx((scores.argmax(1) == index)[known].float().mean().item(), rel=1e-6)


def test_rows_in_the_original_frame() -> None:
    """Two images of different size in one padded batch; each is judged against its own mask, at its own size."""
    masks = [torch.zeros(12, 20, dtype=torch.int64), torch.zeros(8, 10, dtype=torch.int64)]
    masks[0][:, 7:] = 1
    masks[1][3:] = 2
    masks[1][0] = IGNORE
    samples = []
    for place, (mask, size) in enumerate(zip(masks, ((6, 10), (8, 10)), strict=True)):
        small = mask if mask.shape == size else mask[::2, ::2]
        frame = torch.diag(torch.tensor([size[1] / mask.shape[1], size[0] / mask.shape[0], 1.0]))
        image = torch.zeros(3, *size, dtype=torch.uint8)
        samples.append(Sample.of_image(image, place + 5, Masks(small[None], (mask,)), frame, torch.tensor(mask.shape)))
    joined = collate(samples, [0, 1])
    score = 4 * class_planes(joined.target.index, 3).float()
    task = Segmentation(nn.Identity(), classes=3)
    rows = task.rows(joined, Segments(score))
    assert rows.id.tolist() == [5, 6]
    assert rows.confusion.sum((1, 2)).tolist() == [240, 70]
    assert rows.confusion[1].tolist() == [[20, 0, 0], [0, 0, 0], [0, 0, 50]]
    # the seam at 7 of 20 pixels falls inside a pixel of the smaller frame, which shows column 6: class 0
    assert rows.confusion[0].tolist() == [[84, 0, 0], [12, 144, 0], [0, 0, 0]]
    assert rows.pixels.tolist() == [60, 70]
    assert rows.loss_sum == pytest.approx(rows.pixels * np.log(1 + 2 * np.exp(-4)), rel=1e-5)
    metrics = task.metrics(rows)
    assert metrics["pixel_accuracy"] == pytest.approx(298 / 310)
    assert metrics["loss"] == pytest.approx(np.log(1 + 2 * np.exp(-4)), rel=1e-5)
    assert metrics["boundary_f"] == 1  # the seams lie a pixel apart, which is met


def test_rows_without_the_original() -> None:
    scores, index = scores_and_index()
    task = Segmentation(Answering(scores), classes=3).eval()
    rows = task.rows(batch(index), task.predict(batch(index)))
    assert rows.confusion.sum((1, 2)).tolist() == rows.pixels.tolist() == [32, 48]
    known = index != IGNORE
    accuracy = (scores.argmax(1) == index)[known].double().mean().item()
    assert task.metrics(rows)["pixel_accuracy"] == pytest.approx(accuracy)
    assert task.metrics(rows)["loss"] == pytest.approx(task.loss(batch(index)).total.item())
    one = [task.rows(batch(index[i : i + 1]), Segments(scores[i : i + 1])) for i in range(2)]
    for i in range(2):
        assert np.array_equal(one[i].confusion[0], rows.confusion[i])
        assert np.array_equal(one[i].boundary[0], rows.boundary[i])


def test_what_is_no_mask_is_refused() -> None:
    scores, index = scores_and_index()
    task = Segmentation(Answering(scores), classes=3).eval()
    for strange in (3, -1):
        natural = (index, torch.full_like(index, strange))
        with pytest.raises(DataError, match=rf"class index {strange}, but there are 3 classes.*0 to 2, or 255"):
            task.rows(batch(index, tuple(mask[1] for mask in natural)), Segments(scores))
    labels = Labels.of(torch.zeros(2, dtype=torch.int64))
    with pytest.raises(TypeError, match="needs Masks, but the batch has Labels"):
        task.loss(dataclasses.replace(batch(index), target=labels))


# ----------------------------------------------------------------------------------------------------------- learning
def shapes(place: int, side: int = 32) -> Sample:
    """A disc (1) and a bar (2), both brighter by as much than a noisy ground (0)."""
    generator = torch.Generator().manual_seed(place)
    y, x = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    index = torch.zeros(side, side, dtype=torch.int64)
    cy, cx, middle = (int(torch.randint(6, side - 6, (), generator=generator)) for _ in range(3))
    index[(y - cy) ** 2 + (x - cx) ** 2 <= 25] = 1
    index[((y - middle).abs() <= 1) & (x > 3) & (x < side - 4)] = 2
    image = 60 * (index > 0) + 60 + 30 * torch.rand(3, side, side, generator=generator)
    target = Masks(index[None], (index,))
    return Sample.of_image(image.to(torch.uint8), place, target, torch.eye(3), torch.tensor([side, side]))


# network → options, steps, rate, mean IoU that it must reach
LEARNERS: dict[str, tuple[dict[str, Any], int, float, float]] = {
    "unet": ({"width": 8, "depth": 3, "norm": "batch"}, 120, 5e-3, 0.8),
    "segnet_basic": ({"width": 16, "kernel": 3, "depth": 3}, 120, 5e-3, 0.8),
    "deeplabv3_backbone": ({"backbone": "resnet8", "output_stride": 8, "width": 32}, 80, 5e-3, 0.55),
    "farabet": ({"linear": True}, 80, 2e-3, 0.6),
    "fcn8s": ({"width": 64, "batch_norm": True}, 120, 1e-3, 0.5),
}
LONG = ("farabet", "fcn8s")


@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.slow) if n in LONG else n for n in LEARNERS])
def test_networks_learn_shapes(name: str) -> None:
    """They must tell a disc from a bar of its brightness, for which they have to look around."""
    options, steps, rate, least = LEARNERS[name]
    network = create_model(name, in_channels=3, num_classes=3, seed=0, **options)
    task = Segmentation(nn.Sequential(Centred(), network), classes=3, loss="cross_entropy+dice").train()
    optimizer = torch.optim.AdamW(task.parameters(), lr=rate)
    samples = [shapes(place) for place in range(64)]
    for step in range(steps):
        chosen = [(step * 8 + i) % 64 for i in range(8)]
        loss = task.loss(collate([samples[i] for i in chosen], chosen))
        optimizer.zero_grad()
        loss.total.backward()
        optimizer.step()
    unseen = collate([shapes(place) for place in range(1000, 1032)], list(range(32)))
    task.eval()
    with torch.inference_mode():
        metrics = task.metrics(task.rows(unseen, task.predict(unseen)))
    assert metrics["mean_iou"] > least  # all ground: 0.3
    assert metrics["boundary_f"] > least - 0.1
    assert metrics["loss"] < 0.5


class Centred(nn.Module):
    def forward(self, image: Tensor) -> Tensor:
        return image.float() / 64 - 1.5
