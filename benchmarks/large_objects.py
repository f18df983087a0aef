"""Why are the boxes of large objects inexact after a short training of Faster R-CNN?

    python benchmarks/large_objects.py [--steps 300] [VARIANT …]

One or two large rectangles or ellipses an image (35 to 75 % of its side), drawn on noise at 96 x 96; the default light Faster
R-CNN, the same images and draws for each variant:

published   losses of deltas divided by the number of all samples, background included
positives   divided by the number of samples with an object, of each image
weighted    divided as published, times 4
longer      as published, twice the steps

Figures go to results/large-objects.json: AP50 and AP75 of 60 unseen images, the mean IoU of each object with the nearest
proposal and the nearest final box, and the share of samples with an object.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from machine import described
from torch import Tensor

from sightline.losses import regions
from sightline.losses.means import mean_over
from sightline.models.create import create_model
from sightline.preprocessing.normalise import Normalise, Normalised
from sightline.structures.batch import Batch
from sightline.structures.boxes import iou
from sightline.structures.targets import Boxes
from sightline.tasks.detection import Detection
from sightline.tasks.regions import region_targets

RESULTS = Path(__file__).parents[1] / "results" / "large-objects.json"
SIDE, BATCH, RATE, IMAGES, UNSEEN = 96, 4, 3e-4, 160, 60
LIGHT: dict[str, Any] = {
    "width": 128, "hidden": 256, "samples": (256, 128), "proposals": (500, 300), "anchor_sizes": (32, 64, 128, 256, 512),
}  # fmt: skip
VARIANTS = {"published": 1.0, "positives": 0.0, "weighted": 4.0, "longer": 1.0}  # factor on the losses of deltas


def scene(number: int) -> tuple[np.ndarray, list[list[float]], list[int]]:
    """Image `number`: pixels, boxes, classes."""
    draw = np.random.default_rng(number)
    pixels = draw.integers(70, 170, (SIDE, SIDE, 3)).astype(float)
    boxes, labels = [], []
    y, x = np.mgrid[:SIDE, :SIDE] + 0.5
    for _ in range(1 + number % 2):
        width, height = draw.uniform(0.35, 0.75, 2) * SIDE
        left, top = draw.uniform(0, SIDE - width), draw.uniform(0, SIDE - height)
        kind = int(draw.integers(0, 2))
        inside = (x > left) & (x < left + width) & (y > top) & (y < top + height)
        if kind:
            inside = ((x - left - width / 2) / width) ** 2 + ((y - top - height / 2) / height) ** 2 < 0.25
        pixels[inside] = draw.uniform(0, 255, 3) + draw.normal(0, 12, (int(inside.sum()), 3))
        boxes.append([left, top, left + width, top + height])
        labels.append(kind)
    return pixels.clip(0, 255).astype(np.uint8), boxes, labels


def batch_of(numbers: list[int]) -> Batch:
    scenes = [scene(n) for n in numbers]
    image = torch.from_numpy(np.stack([s[0] for s in scenes])).permute(0, 3, 1, 2)
    sample = torch.tensor([i for i, s in enumerate(scenes) for _ in s[1]])
    target = Boxes(
        torch.tensor([b for s in scenes for b in s[1]]).float(), torch.tensor([c for s in scenes for c in s[2]]), sample
    )
    n, size = len(numbers), torch.tensor([[SIDE, SIDE]]).expand(len(numbers), 2)
    place = torch.tensor(numbers)
    return Batch.of_images(image, size, torch.eye(3).expand(n, 3, 3), size, place, place, target)


@contextmanager
def deltas_weighted(factor: float) -> Iterator[None]:
    """Within it the losses of deltas are divided by the samples with an object (factor 0), or multiplied."""
    published = regions.shifts

    def shifts(predicted: Tensor, target: Tensor, sample: Tensor, samples: Any, images: int) -> Any:
        mean, weight = published(predicted, target, sample, samples, images)
        if factor:
            return factor * mean, weight
        terms = torch.nn.functional.smooth_l1_loss(predicted.float(), target, beta=1 / 9, reduction="none").sum(1)
        count = torch.bincount(sample, minlength=images).clamp(min=1)
        return mean_over((terms / count[sample]).sum(), terms.new_tensor(float(images)))

    with mock.patch("sightline.tasks.regions.shifts", shifts):
        yield


def run(variant: str, steps: int, seed: int) -> dict[str, Any]:
    torch.set_num_threads(1)
    before = time.process_time()
    steps *= 2 if variant == "longer" else 1
    network = create_model("faster_rcnn_resnet18_fpn", seed=seed, num_classes=2, **LIGHT)
    task = Detection(Normalised(Normalise([120.0] * 3, [60.0] * 3), network), classes=2).train()
    optimizer = torch.optim.AdamW(task.parameters(), lr=RATE, weight_decay=0.05)
    draw = np.random.default_rng(seed)
    order = np.concatenate([draw.permutation(IMAGES) for _ in range(-(-steps * BATCH // IMAGES))])
    shares = []
    with deltas_weighted(VARIANTS[variant]):
        for step in range(steps):
            optimizer.param_groups[0]["lr"] = RATE * min((step + 1) / 20, 0.5 + 0.5 * np.cos(np.pi * step / steps))
            batch = batch_of(order[step * BATCH : (step + 1) * BATCH].tolist())
            with torch.autocast("cpu", torch.bfloat16):
                loss = task.loss(batch)
            optimizer.zero_grad()
            loss.total.backward()
            torch.nn.utils.clip_grad_norm_(task.parameters(), 10.0)
            optimizer.step()
            if step % 50 == 0:
                shares.append(positive_shares(task, batch))
    task.eval()
    rows, near = [], []
    with torch.no_grad():
        for first in range(0, UNSEEN, BATCH):
            batch = batch_of([10_000 + first + i for i in range(BATCH)])
            rows.append(task.rows(batch, task.predict(batch)))
            near.append(overlaps(task, batch))
    metrics = task.metrics(type(rows[0]).join(rows))
    proposals, final = (float(np.concatenate([n[i] for n in near]).mean()) for i in (0, 1))
    return {
        "seed": seed, "steps": steps, "cpu_seconds": round(time.process_time() - before),
        **{name: round(float(metrics[name] or 0), 4) for name in ("ap", "ap50", "ap75")},
        "iou_of_nearest_proposal": round(proposals, 3), "iou_of_nearest_box": round(final, 3),
        "share_of_samples_with_object": {
            name: [round(float(s[i]), 3) for s in shares] for i, name in enumerate(("anchors", "regions"))
        },
    }  # fmt: skip


def positive_shares(task: Detection, batch: Batch) -> tuple[float, float]:
    with torch.no_grad():
        outputs = task.model(batch.image, batch.size, region_targets(batch)._replace(mask=None))
    return tuple(float((d.truth >= 0).float().mean()) for d in (outputs.anchor_draw, outputs.region_draw))  # type: ignore[return-value]


def overlaps(task: Detection, batch: Batch) -> tuple[np.ndarray, np.ndarray]:
    """IoU of each true object with the nearest proposal, and with the nearest box that is kept."""
    outputs = task.model(batch.image, batch.size, None, task.selection_rule)
    true, nearest = batch.target, []
    assert isinstance(true, Boxes)
    for boxes, sample in ((outputs.proposals, outputs.sample), (outputs.detections.boxes, outputs.detections.sample)):
        overlap = iou(true.boxes, boxes) * (true.sample[:, None] == sample[None])
        nearest.append((overlap.max(1).values if len(boxes) else torch.zeros(len(true.boxes))).numpy())
    return nearest[0], nearest[1]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("variants", nargs="*", choices=[*VARIANTS, []])
    options = parser.parse_args()
    results = json.loads(RESULTS.read_text()) if RESULTS.is_file() else {}
    for variant in options.variants or VARIANTS:
        figures = run(variant, options.steps, options.seed)
        command = f"python benchmarks/large_objects.py --steps {options.steps} --seed {options.seed} {variant}"
        key = f"{variant}, seed {options.seed}"
        results[key] = {"command": command, "machine": described(), "threads": 1, "test_images": UNSEEN, **figures}
        RESULTS.write_text(json.dumps(results, indent=1) + "\n")
        print(key, json.dumps(figures), flush=True)


if __name__ == "__main__":
    main()
