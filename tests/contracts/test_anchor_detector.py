"""YOLOv3 (Redmon & Farhadi 2018): its networks, its anchors, the anchor of each object, its loss; anchors from k-means."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from sightline.errors import UsageError
from sightline.layers.boxes.anchor_cells import anchor_grid, anchor_targets, decode_cells
from sightline.layers.boxes.clusters import cluster_sizes, size_overlap
from sightline.losses.detection.yolo_v3 import anchor_loss
from sightline.models.create import create_model, outline
from sightline.structures.boxes import iou
from sightline.structures.grids import AnchorPredictions

torch.set_num_threads(1)
SHAPES = [[(40.0, 30.0), (60.0, 64.0)], [(10.0, 12.0), (20.0, 14.0)]]  # coarse, fine
STRIDES = (32, 16)
SIZE = (96, 128)


def grids() -> tuple[Tensor, Tensor]:
    maps = [anchor_grid(s, (SIZE[0] // k, SIZE[1] // k), k) for s, k in zip(SHAPES, STRIDES, strict=True)]
    return torch.cat([m[0] for m in maps]), torch.cat([m[1] for m in maps])


def some_objects(number: int, images: int, seed: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    draw = torch.Generator().manual_seed(seed)
    centre = torch.rand(number, 2, generator=draw) * torch.tensor([128.0, 96.0])
    extent = 4 + 60 * torch.rand(number, 2, generator=draw)
    sample = torch.randint(0, images, (number,), generator=draw).sort().values
    ignore = torch.rand(number, generator=draw) < 0.15
    return torch.cat((centre - extent / 2, centre + extent / 2), 1), torch.arange(number) % 3, sample, ignore


def test_networks_of_the_papers() -> None:
    """Table 1: 52 convolutions and a dense layer. At 416 pixels 13², 26² and 52² cells of three anchors."""
    trunk = outline("darknet53")
    assert sum(isinstance(m, nn.Conv2d) for m in trunk.modules()) == 52
    assert sum(p.numel() for p in trunk.parameters()) == 41_609_928
    maps = trunk.features(torch.zeros(1, 3, 256, 256, device="meta"))
    assert [(m.shape[1], m.shape[2]) for m in maps] == [(64, 128), (128, 64), (256, 32), (512, 16), (1024, 8)]
    network = outline("yolo_v3")
    assert sum(isinstance(m, nn.Conv2d) for m in network.modules()) == 75
    assert sum(p.numel() for p in network.parameters()) == 61_949_149
    out = network(torch.zeros(1, 3, 416, 416, device="meta"))
    assert out.boxes.shape == (1, 3 * (13**2 + 26**2 + 52**2), 4) and out.score.shape == (1, 10647, 80)
    for bad in ((1.0,) * 8, (), (1.0,) * 17 + (0.0,)):
        with pytest.raises(UsageError, match="anchors"):
            create_model("yolo_v3", anchors=bad)


def test_tiny_network_of_the_authors_program() -> None:
    """The published file yolov3-tiny.weights has 35,434,956 bytes: 20 of header, then 8,858,734 numbers, two of which for each
    of the 3,184 batch-normalised channels are running statistics. At 416 pixels 13² and 26² cells of three anchors."""
    network = outline("yolo_v3_tiny")
    assert sum(p.numel() for p in network.parameters()) == (35_434_956 - 20) // 4 - 2 * 3_184
    shapes = [m.shape[1:3] for m in network.features(torch.zeros(1, 3, 416, 416, device="meta"))]
    assert shapes == [(16, 416), (32, 208), (64, 104), (128, 52), (256, 26), (1024, 13)]
    out = network(torch.zeros(1, 3, 416, 416, device="meta"))
    assert out.boxes.shape == (1, 3 * (13**2 + 26**2), 4)
    assert network.anchors[0][-1] == (344, 319) and network.anchors[1][0] == (10, 14)  # large ones on the coarse map
    with pytest.raises(UsageError, match="two maps"):
        create_model("yolo_v3_tiny", anchors=(1.0,) * 6)


def test_decoding_inverts_the_targets() -> None:
    """What the targets say, as predictions, gives the true boxes back; an anchor learns the shape most like its own."""
    boxes, label, sample, _ = some_objects(40, 4, seed=1)
    anchors, strides = grids()
    targets = anchor_targets(
        boxes, label, sample, torch.zeros(40, dtype=torch.bool), anchors, strides, images=4, size=SIZE
    )
    assert 20 < len(targets.place) <= 40
    deltas = torch.zeros(4, len(anchors), 4)
    numbers = torch.cat((targets.deltas[:, :2].clamp(1e-6, 1 - 1e-6).logit(), targets.deltas[:, 2:]), 1)
    deltas[targets.image, targets.place] = numbers
    found = decode_cells(AnchorPredictions(deltas, deltas[..., 0], deltas[..., :1], anchors, strides))
    assert torch.allclose(found[targets.image, targets.place], boxes[targets.truth], atol=1e-3)


def test_assignment_written_out() -> None:
    """One object at a time, one cell at a time, as sections 2.1 and 2.3 say."""
    boxes, label, sample, ignore = some_objects(60, 5, seed=2)
    anchors, strides = grids()
    targets = anchor_targets(boxes, label, sample, ignore, anchors, strides, images=5, size=SIZE)
    taken: dict[tuple[int, int], int] = {}
    order = sorted(range(60), key=lambda i: -float((boxes[i, 2:] - boxes[i, :2]).prod()))
    for i in order:
        if ignore[i]:
            continue
        x, y = (float((boxes[i, a] + boxes[i, a + 2]) / 2) for a in (0, 1))
        w, h = (float(boxes[i, a + 2] - boxes[i, a]) for a in (0, 1))
        best, start, choice = -1.0, 0, -1
        for shapes, stride in zip(SHAPES, STRIDES, strict=True):
            rows, columns = SIZE[0] // stride, SIZE[1] // stride
            for j, (aw, ah) in enumerate(shapes):
                shared = min(w, aw) * min(h, ah)
                similar = shared / (w * h + aw * ah - shared)
                if similar > best + 1e-7:
                    best = similar
                    choice = start + (int(y // stride) * columns + int(x // stride)) * len(shapes) + j
            start += rows * columns * len(shapes)
        taken.setdefault((int(sample[i]), choice), i)
    got = dict(
        zip(zip(targets.image.tolist(), targets.place.tolist(), strict=True), targets.truth.tolist(), strict=True)
    )
    assert got == taken
    middle = anchors[:, :2] + strides[:, None] / 2
    placed = torch.cat((middle - anchors[:, 2:] / 2, middle + anchors[:, 2:] / 2), 1)
    overlap = iou(placed, boxes)
    for image in range(5):
        for a in range(len(anchors)):
            near = any(not ignore[i] and sample[i] == image and overlap[a, i] > 0.5 for i in range(60)) or any(
                ignore[i] and sample[i] == image and _inside(placed[a], boxes[i]) > 0.5 for i in range(60)
            )
            assert bool(targets.ignored[image, a]) == (near and (image, a) not in taken)


def _inside(a: Tensor, b: Tensor) -> float:
    sides = (torch.minimum(a[2:], b[2:]) - torch.maximum(a[:2], b[:2])).clamp(min=0)
    return float(sides.prod() / (a[2:] - a[:2]).prod())


def test_loss_written_out() -> None:
    boxes, label, sample, ignore = some_objects(30, 3, seed=3)
    anchors, strides = grids()
    targets = anchor_targets(boxes, label, sample, ignore, anchors, strides, images=3, size=SIZE)
    draw = torch.Generator().manual_seed(5)
    parts = [torch.randn(3, len(anchors), *last, generator=draw, dtype=torch.float64) for last in ((4,), (), (3,))]
    means, weight = anchor_loss(AnchorPredictions(*parts, anchors, strides), targets)
    sums = dict.fromkeys(("xy", "wh", "objectness", "class"), 0.0)
    at = dict(zip(zip(targets.image.tolist(), targets.place.tolist(), strict=True), range(100), strict=False))

    def entropy(logit: float, target: float) -> float:
        p = 1 / (1 + math.exp(-logit))
        return -(target * math.log(p) + (1 - target) * math.log(1 - p))

    for image in range(3):
        for a in range(len(anchors)):
            row = at.get((image, a))
            if row is None:
                if not targets.ignored[image, a]:
                    sums["objectness"] += entropy(float(parts[1][image, a]), 0.0)
                continue
            box = boxes[targets.truth[row]]
            scale = 2 - float((box[2] - box[0]) * (box[3] - box[1])) / (SIZE[0] * SIZE[1])
            numbers, wanted = parts[0][image, a].tolist(), targets.deltas[row].tolist()
            sums["objectness"] += entropy(float(parts[1][image, a]), 1.0)
            sums["xy"] += scale * sum(entropy(n, t) for n, t in zip(numbers[:2], wanted[:2], strict=True))
            sums["wh"] += scale * 0.5 * sum((n - t) ** 2 for n, t in zip(numbers[2:], wanted[2:], strict=True))
            true = int(targets.label[row])
            sums["class"] += sum(entropy(z, float(c == true)) for c, z in enumerate(parts[2][image, a].tolist()))
    assert weight == 3
    for name, total in sums.items():
        assert float(means[name]) == pytest.approx(total / 3, rel=1e-5), name


def test_clusters_of_sizes() -> None:
    """Three groups of sizes are found whatever the seed; the mean IoU is that of the best cluster; more clusters fit better."""
    draw = torch.Generator().manual_seed(0)
    true = torch.tensor([[10.0, 12.0], [40.0, 20.0], [90.0, 100.0]])
    sizes = (true[:, None] * (0.9 + 0.2 * torch.rand(3, 50, 2, generator=draw))).flatten(0, 1)
    for seed in range(5):
        found = cluster_sizes(sizes, 3, seed=seed)
        assert torch.allclose(found.sizes, true, rtol=0.08), found
        assert found.mean_iou == pytest.approx(float(size_overlap(sizes, found.sizes).amax(1).mean()))
    assert cluster_sizes(sizes, 6).mean_iou > found.mean_iou > cluster_sizes(sizes, 1).mean_iou
    assert torch.equal(cluster_sizes(sizes, 4, seed=2).sizes, cluster_sizes(sizes, 4, seed=2).sizes)
    assert size_overlap(torch.tensor([[4.0, 4.0]]), torch.tensor([[2.0, 8.0]])).item() == pytest.approx(1 / 3)
    with pytest.raises(UsageError, match="1 different sizes"):
        cluster_sizes(torch.ones(9, 2), 2)
