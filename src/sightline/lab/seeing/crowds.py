"""Drawn scenes with objects of one size, apart or overlapping in pairs, for what limits detectors."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from sightline.structures.batch import Batch
from sightline.structures.targets import Boxes

SIDE = 96
SMALL, LARGE = (4, 6), (22, 32)  # sides of objects in pixels
Kind = tuple[tuple[int, int], bool]  # sides of the objects, whether they are crowded


def scenes(numbers: Sequence[int], seed: int, kinds: Sequence[Kind]) -> Batch:
    """Bright and dark rectangles on noise, four an image: each in a quarter of its own, or crowded, in two pairs that overlap
    (IoU 0.25 to 0.7). Image after image is of the next of `kinds`."""
    images: list[torch.Tensor] = []
    boxes: list[list[float]] = []
    label: list[int] = []
    sample: list[int] = []
    for row, number in enumerate(numbers):
        sides, crowded = kinds[row % len(kinds)]
        draw = np.random.default_rng((seed, number, sides[0], int(crowded)))
        pixels = draw.integers(90, 150, (SIDE, SIDE, 3), dtype=np.uint8)
        quarters = draw.permutation(4)
        for k in range(4):
            width, height = draw.integers(sides[0], sides[1] + 1, 2).tolist()
            if crowded and k % 2:  # beside the one before, which it partly covers
                left, top, right, bottom = boxes[-1]
                width, height = int(right - left), int(bottom - top)
                shift = draw.uniform(0.2, 0.6)
                x, y = (left + shift * width, top) if draw.random() < 0.5 else (left, top + shift * height)
            else:
                corner = np.array(divmod(int(quarters[k]), 2)) * SIDE // 2
                room = SIDE // 2 - np.array([width, height])
                x, y = corner + draw.uniform(0, np.maximum(room, 1))
            x, y = int(min(x, SIDE - width)), int(min(y, SIDE - height))
            kind = int(draw.integers(0, 2))
            pixels[y : y + height, x : x + width] = (210 if kind else 40) + draw.integers(-15, 16)
            boxes.append([x, y, x + width, y + height])
            label.append(kind)
            sample.append(row)
        images.append(torch.from_numpy(pixels).permute(2, 0, 1))
    n = len(images)
    size = torch.tensor([[SIDE, SIDE]]).expand(n, 2)
    target = Boxes(torch.tensor(boxes, dtype=torch.float32), torch.tensor(label), torch.tensor(sample))
    place = torch.tensor(list(numbers))
    return Batch.of_images(torch.stack(images), size, torch.eye(3).expand(n, 3, 3), size, place, place, target)
