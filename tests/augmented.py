"""Batches whose every sample is a function of its position in the stream: what augmentation is tested on."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from sightline.structures.batch import Batch
from sightline.structures.targets import IGNORE, Boxes, Labels, Masks, Several, Target

SIDE = 24


def image_of(position: int, channels: int = 3) -> tuple[Tensor, int, int]:
    """Noise of a size of its own, no side above SIDE; its mean differs from image to image."""
    rng = np.random.default_rng(position)
    height, width = (int(v) for v in rng.integers(SIDE // 2, SIDE + 1, 2))
    pixels = rng.integers(0, rng.integers(60, 256), (height, width, channels), dtype=np.uint8)
    return torch.from_numpy(pixels), height, width


def batch_of(positions: list[int], *, channels: int = 3, target: Target | None = None, full: bool = False) -> Batch:
    """A padded channels-last batch; every sample is a function of its position."""
    n = len(positions)
    x = torch.zeros(n, SIDE, SIDE, channels, dtype=torch.uint8)
    masks = torch.full((n, SIDE, SIDE), IGNORE)
    size = torch.zeros(n, 2, dtype=torch.int64)
    boxes, label, sample = [], [], []
    for i, position in enumerate(positions):
        pixels, height, width = image_of(position, channels)
        if full:
            pixels = pixels.repeat(2, 2, 1)[:SIDE, :SIDE]
            height = width = SIDE
        x[i, :height, :width] = pixels
        masks[i, :height, :width] = pixels[..., 0] % 7
        size[i] = torch.tensor([height, width])
        for k in range(position % 3 + 1):
            boxes.append([float(k), 2.0, float(width - 2 * k) - 0.5, float(height)])
            label.append(k)
            sample.append(i)
    several = Several(
        {
            "class": Labels.of(torch.tensor(positions) % 5),
            "mask": Masks(masks),
            "box": Boxes(torch.tensor(boxes), torch.tensor(label), torch.tensor(sample)),
        }
    )
    return Batch.of_images(
        image=x.permute(0, 3, 1, 2),
        size=size,
        frame=torch.tensor([[1.5, 0, 2], [0, 0.5, -1], [0, 0, 1]]).repeat(n, 1, 1),
        natural=size * 2,
        id=torch.tensor(positions) * 10,
        position=torch.tensor(positions),
        target=several if target is None else target,
    )


def marker(positions: list[int], y: int, x: int, radius: float = 0.0) -> Batch:
    """Black full-size images with a bright pixel, or a soft spot, whose centre is (x + 0.5, y + 0.5)."""
    far = (torch.arange(SIDE)[:, None] - y) ** 2 + (torch.arange(SIDE)[None] - x) ** 2
    spot = 250 * (far == 0) if radius == 0 else 250 * torch.exp(-far / (2 * radius**2))
    pixels = spot.to(torch.uint8)[None, :, :, None].repeat(len(positions), 1, 1, 3)
    plain = batch_of(positions, full=True, target=Labels.of(torch.zeros(len(positions), dtype=torch.int64)))
    return plain.with_pixels(image=pixels.permute(0, 3, 1, 2), frame=torch.eye(3).repeat(len(positions), 1, 1))
