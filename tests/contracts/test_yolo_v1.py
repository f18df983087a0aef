"""YOLO v1 (Redmon et al. 2016): the networks of the paper, the cell of each object, and the loss of its equation 3."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from sightline.errors import UsageError
from sightline.layers.boxes.cells import cell_boxes, cell_targets
from sightline.losses.detection.yolo_v1 import cell_loss, mean_cell_loss
from sightline.models.create import create_model, outline
from sightline.structures.grids import CellPredictions, CellTargets

torch.set_num_threads(1)


def parameters(name: str, **options: object) -> int:
    return sum(p.numel() for p in outline(name, **options).parameters())


def test_networks_of_the_paper() -> None:
    """Figure 3: 24 convolutions and two dense layers, 7 x 7 cells of 30 numbers. The sums are written out, layer by layer."""
    yolo = outline("yolo_v1")
    convolutions = [m for m in yolo.modules() if isinstance(m, torch.nn.Conv2d)]
    dense = [(m.in_features, m.out_features) for m in yolo.modules() if isinstance(m, torch.nn.Linear)]
    assert len(convolutions) == 24 and dense == [(7 * 7 * 1024, 4096), (4096, 7 * 7 * 30)]
    out = yolo(torch.zeros(2, 3, 448, 448, device="meta"))
    assert out.boxes.shape == (2, 98, 4) and out.score.shape == (2, 98, 20)
    assert [tuple(part.shape) for part in out.predicted] == [(2, 7, 7, 2, 4), (2, 7, 7, 2), (2, 7, 7, 20)]
    trunk = [(7, 3, 64), (3, 64, 192), (1, 192, 128), (3, 128, 256), (1, 256, 256), (3, 256, 512)]
    trunk += [(1, 512, 256), (3, 256, 512)] * 4 + [(1, 512, 512), (3, 512, 1024)] * 1
    trunk += [(1, 1024, 512), (3, 512, 1024)] * 2
    last = [(3, 1024, 1024)] * 4
    assert [(m.kernel_size[0], m.in_channels, m.out_channels) for m in convolutions] == trunk + last
    count = sum(k * k * i * o + o for k, i, o in trunk + last) + sum(i * o + o for i, o in dense)
    assert parameters("yolo_v1") == count == 271_703_550
    fast = outline("fast_yolo")
    assert sum(isinstance(m, torch.nn.Conv2d) for m in fast.modules()) == 9
    assert [tuple(p.shape) for p in fast(torch.zeros(1, 3, 448, 448, device="meta")).predicted][1] == (1, 7, 7, 2)
    assert parameters("fast_yolo") == 45_089_374
    pre = outline("extraction")
    assert sum(isinstance(m, torch.nn.Conv2d) for m in pre.modules()) == 20
    assert [m.shape[2] for m in pre.features(torch.zeros(1, 3, 224, 224, device="meta"))] == [112, 56, 28, 14, 7]


def test_pretraining_carries_over(tmp_path) -> None:
    """The trunk of a detector takes the weights of the classifier, as section 2.2 trains it: at half the size."""
    from safetensors.torch import save_file

    classifier = create_model("extraction", num_classes=5, width=1 / 64, seed=1)
    save_file(classifier.state_dict(), tmp_path / "classifier.safetensors")
    small = {"width": 1 / 64, "dense": 8, "image_size": (128, 128)}
    detector = create_model("yolo_v1", num_classes=2, weights=tmp_path / "classifier.safetensors", **small)
    assert torch.equal(detector.trunk.stages[0][0].weight, classifier.stages[0][0].weight)
    with pytest.raises(UsageError, match="sees 128x128 pixels"):
        detector(torch.zeros(1, 3, 128, 64))


def written_out(predicted: CellPredictions, objects: list[list[tuple[float, ...]]]) -> list[dict[str, float]]:
    """Equation 3, one cell, one predictor and one number at a time; `objects` of each image are (x, y, w, h, class) in units of
    the image, each in a cell of its own."""
    images = []
    for b, own in enumerate(objects):
        _, rows, columns, predictors = predicted.confidence.shape
        at = {(int(y * rows), int(x * columns)): (x, y, w, h, c) for x, y, w, h, c in own}
        sums = dict.fromkeys(("xy", "wh", "objects", "background", "classes"), 0.0)
        for i in range(rows):
            for k in range(columns):
                overlaps = []
                if (i, k) in at:
                    x, y, w, h, c = at[i, k]
                    for j in range(predictors):
                        px, py, rw, rh = predicted.boxes[b, i, k, j].tolist()
                        overlaps.append(overlap(((k + px) / columns, (i + py) / rows, rw * rw, rh * rh), (x, y, w, h)))
                best = overlaps.index(max(overlaps)) if overlaps else None
                for j in range(predictors):
                    answer = float(predicted.confidence[b, i, k, j])
                    if j != best:
                        sums["background"] += 0.5 * answer**2
                        continue
                    px, py, rw, rh = predicted.boxes[b, i, k, j].tolist()
                    sums["xy"] += 5 * ((x * columns - k - px) ** 2 + (y * rows - i - py) ** 2)
                    sums["wh"] += 5 * ((math.sqrt(w) - rw) ** 2 + (math.sqrt(h) - rh) ** 2)
                    sums["objects"] += (overlaps[j] - answer) ** 2
                if best is not None:
                    for number, p in enumerate(predicted.classes[b, i, k].tolist()):
                        sums["classes"] += ((1.0 if number == c else 0.0) - p) ** 2
        images.append(sums)
    return images


def overlap(a: tuple[float, ...], b: tuple[float, ...]) -> float:
    sides = [
        max(0.0, min(a[i] + a[i + 2] / 2, b[i] + b[i + 2] / 2) - max(a[i] - a[i + 2] / 2, b[i] - b[i + 2] / 2))
        for i in (0, 1)
    ]
    shared = sides[0] * sides[1]
    return shared / (a[2] * a[3] + b[2] * b[3] - shared)


def random_answers(
    images: int, seed: int, *, rows: int = 7, columns: int = 7, n: int = 2, k: int = 5
) -> CellPredictions:
    draw = torch.Generator().manual_seed(seed)
    boxes = torch.rand(images, rows, columns, n, 4, generator=draw, dtype=torch.float64)
    boxes[..., 2:] -= 0.1  # a square root may come out negative
    scores = [torch.randn(images, rows, columns, last, generator=draw, dtype=torch.float64) for last in (n, k)]
    return CellPredictions(boxes, *scores)


@pytest.mark.parametrize(("rows", "columns", "n"), [(7, 7, 2), (3, 5, 3)])
def test_loss_is_the_papers_equation(rows: int, columns: int, n: int) -> None:
    """Against the sums written out, on sixty images; for several objects in a cell the largest is learned."""
    images, k, size = 60, 5, (224, 320)
    predicted = random_answers(images, 3, rows=rows, columns=columns, n=n, k=k)
    draw = torch.Generator().manual_seed(4)
    objects: list[list[tuple[float, ...]]] = []
    packed: list[Tensor] = []
    for b in range(images):
        numbers = torch.rand(int(torch.randint(0, 9, (), generator=draw)), 5, generator=draw, dtype=torch.float64)
        cells: dict[tuple[int, int], tuple[float, ...]] = {}
        for x, y, w, h, c in numbers.tolist():
            one = (x, y, 0.02 + 0.5 * w, 0.02 + 0.5 * h, float(int(c * k)))
            packed.append(torch.tensor([b, *one], dtype=torch.float64))
            place = int(y * rows), int(x * columns)
            if place not in cells or one[2] * one[3] > cells[place][2] * cells[place][3]:
                cells[place] = one
        objects.append(list(cells.values()))
    assert len(packed) > sum(map(len, objects))
    all_objects = torch.stack(packed)
    centre, extent = all_objects[:, 1:3], all_objects[:, 3:5]
    edge = torch.tensor([size[1], size[0]], dtype=torch.float64)
    boxes = torch.cat(((centre - extent / 2) * edge, (centre + extent / 2) * edge), 1)
    sample, label = all_objects[:, 0].long(), all_objects[:, 5].long()
    targets = cell_targets(
        boxes, label, sample, torch.zeros(len(label), dtype=torch.bool), images=images, size=size, grid=(rows, columns)
    )
    got = cell_loss(predicted, targets)
    for b, want in enumerate(written_out(predicted, objects)):
        for name, value in want.items():
            assert float(getattr(got, name)[b]) == pytest.approx(value, rel=1e-9, abs=1e-12), (b, name)
    means, weight = mean_cell_loss(predicted, targets)
    assert weight == images and float(means["wh"]) == pytest.approx(float(got.wh.mean()), rel=1e-12)


def test_boxes_go_back_and_ignored_cells_cost_nothing() -> None:
    """The true numbers as a prediction give the true box; an ignored region is neither object nor background."""
    boxes = torch.tensor([[32.0, 0.0, 96.0, 64.0], [0.0, 64.0, 64.0, 128.0]])
    label, sample, ignore = torch.tensor([1, 0]), torch.tensor([0, 0]), torch.tensor([False, True])
    targets = cell_targets(boxes, label, sample, ignore, images=1, size=(128, 128), grid=(4, 4))
    assert targets.cell.tolist() == [[0, 1, 2]] and targets.boxes.tolist() == [[0.0, 0.0, 0.5, 0.5]]
    assert targets.ignored[0].int().tolist() == [[0] * 4, [0] * 4, [1, 1, 0, 0], [1, 1, 0, 0]]
    numbers = torch.zeros(1, 4, 4, 2, 4)
    numbers[0, 1, 2, 1] = torch.tensor([0.0, 0.0, 0.5**0.5, 0.5**0.5])
    predicted = CellPredictions(numbers, torch.ones(1, 4, 4, 2), torch.zeros(1, 4, 4, 2))
    assert torch.allclose(cell_boxes(predicted, (128, 128))[0, 1, 2, 1], boxes[0], atol=1e-4)
    loss = cell_loss(predicted, targets)
    assert float(loss.xy + loss.wh + loss.objects) == pytest.approx(0, abs=1e-10)
    assert float(loss.background) == 0.5 * (2 * (16 - 4) - 1)


def test_gradient_and_empty_images() -> None:
    """No object: only the confidence of background is learned, and every gradient is finite."""
    predicted = CellPredictions(*(part.requires_grad_() for part in random_answers(2, 5)))
    none = torch.zeros(0, dtype=torch.long)
    empty = CellTargets(
        none.new_zeros(0, 3), torch.zeros(0, 4).double(), none, none, torch.zeros(2, 7, 7, dtype=torch.bool)
    )
    means, _ = mean_cell_loss(predicted, empty)
    sum(means.values()).backward()
    assert not predicted.boxes.grad.any() and not predicted.classes.grad.any()
    assert torch.allclose(predicted.confidence.grad, predicted.confidence.detach() / 2)
