"""Faster R-CNN and its parts against torchvision's, turn about in one process: results/speed-regions.json.

    python benchmarks/regions.py [--rounds 5]

Same weights (loaded strictly), same images, same number of learned-from anchors and regions; a ratio above 1 is ours faster.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
import torchvision
from machine import described
from torch import Tensor

from sightline.decoding.suppression import nms
from sightline.layers.boxes.regions import roi_align
from sightline.models.create import create_model
from sightline.structures.batch import Batch
from sightline.structures.targets import Boxes
from sightline.tasks.detection import Detection

ROOT = Path(__file__).parents[1]
SIDE = 320


def compared(ours: Callable[[], object], theirs: Callable[[], object], rounds: int) -> dict[str, float]:
    """Median seconds of each, and the median ratio of neighbours."""
    for side in (ours, theirs):
        side()
    pairs = []
    for _ in range(rounds):
        took = []
        for side in (ours, theirs):
            start = time.perf_counter()
            side()
            took.append(time.perf_counter() - start)
        pairs.append(took)
    ratios = [b / a for a, b in pairs]
    return {
        "ratio": round(statistics.median(ratios), 3),
        "ratio_low": round(min(ratios), 3),
        "ratio_high": round(max(ratios), 3),
        "seconds": round(statistics.median(a for a, _ in pairs), 4),
        "torchvision_seconds": round(statistics.median(b for _, b in pairs), 4),
    }


def networks(rounds: int) -> dict[str, dict[str, float]]:
    theirs = torchvision.models.detection.fasterrcnn_resnet50_fpn(
        weights=None, weights_backbone=None, num_classes=91, min_size=SIDE, max_size=SIDE, box_score_thresh=0.01
    )
    network = create_model("faster_rcnn_resnet50_fpn", num_classes=90)
    found = network.load_state_dict(theirs.state_dict(), strict=False)  # its norms are frozen: no count of batches
    assert not found.unexpected_keys and all(key.endswith("num_batches_tracked") for key in found.missing_keys)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 0.0

    class Scaled(torch.nn.Module):
        """uint8 images to the floats that torchvision's transform makes."""

        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, image: Tensor, *further: object) -> object:
            mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
            return self.network((image / 255 - mean) / std, *further)

    task = Detection(Scaled(), classes=90)
    image = torch.randint(0, 256, (2, 3, SIDE, SIDE), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    corner = torch.rand(16, 2, generator=torch.Generator().manual_seed(1)) * 200
    boxes = torch.cat([corner, corner + 40 + corner.flip(0) / 4], 1)
    label, sample = torch.arange(16) % 90, torch.arange(16) // 8
    side = torch.full((2, 2), SIDE)
    batch = Batch.of_images(image, side, torch.eye(3).repeat(2, 1, 1), side, torch.arange(2), torch.arange(2),
                  Boxes(boxes, label, sample))  # fmt: skip
    told = [{"boxes": boxes[sample == i], "labels": label[sample == i] + 1} for i in range(2)]
    floats = list((image / 255).unbind())

    def our_step() -> None:
        task.loss(batch, "model").total.backward()
        network.zero_grad()

    def their_step() -> None:
        torch.stack(list(theirs(floats, told).values())).sum().backward()
        theirs.zero_grad()

    task.train(), theirs.train()
    learning = compared(our_step, their_step, rounds)
    task.eval(), theirs.eval()
    with torch.inference_mode():
        answering = compared(lambda: task.predict(batch), lambda: theirs(floats), rounds)
    return {"training step, 2 images of 320x320": learning, "inference, 2 images of 320x320": answering}


def parts(rounds: int) -> dict[str, dict[str, float]]:
    generator = torch.Generator().manual_seed(2)
    corner = torch.rand(10_000, 2, generator=generator) * 1000
    boxes = torch.cat([corner, corner + 10 + 90 * torch.rand(10_000, 2, generator=generator)], 1)
    score = torch.rand(10_000, generator=generator)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    suppression = compared(
        lambda: nms(boxes, score, 0.5), lambda: torchvision.ops.nms(boxes, score, 0.5), max(rounds, 5)
    )
    suppression["megabytes"] = round((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024, 1)
    features = torch.rand(1, 256, 50, 50, generator=generator).contiguous(memory_format=torch.channels_last)
    regions, sample = boxes[:512] * 0.7, torch.zeros(512, dtype=torch.int64)
    rois = torch.cat([sample[:, None].float(), regions], 1)
    align = compared(
        lambda: roi_align(features, regions, sample, output=7, scale=1 / 16, samples=2, aligned=False),
        lambda: torchvision.ops.roi_align(features, rois, 7, 1 / 16, 2),
        max(rounds, 5),
    )
    return {"NMS of 10,000 boxes": suppression, "RoIAlign, 512 regions, 256 channels": align}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    start = time.perf_counter()
    found = {
        "command": f"python benchmarks/regions.py --rounds {rounds}",
        "machine": described(),
        "threads": torch.get_num_threads(),
        "n": rounds,
        "rows": {**parts(rounds), **networks(rounds)},
    }
    found["seconds"] = round(time.perf_counter() - start)
    (ROOT / "results" / "speed-regions.json").write_text(json.dumps(found, indent=1) + "\n")
    print(json.dumps(found["rows"], indent=1))


if __name__ == "__main__":
    main()
