"""What flows through the house: one sample, and a batch of them on a device.

Images are uint8 in the network's frame until the network's own normalisation turns them into floats. `frame` maps
a point (x, y, 1) of the original, EXIF-oriented image to the batch's pixels, so predictions can be carried back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from sightline.structures.moving import moved
from sightline.structures.targets import Target


@dataclass(frozen=True)
class Sample:
    """One image in the network's frame: `image` (c, h, w) uint8, `frame` (3, 3), `id` its row in the data manifest.
    `target` is a target of one, `natural` (2,) the height and width of the original."""

    image: UInt8[Tensor, "c h w"]
    id: int
    target: Target
    frame: Float[Tensor, "3 3"]
    natural: Int[Tensor, "2"]


@dataclass(frozen=True)
class Batch:
    """Images padded to a common size, with what is known about them.

    image     (b, c, h, w) uint8; size (b, 2) the true height and width of each
    frame     (b, 3, 3) original → batch; natural (b, 2) height and width of the originals
    id        (b,) rows of the data manifest
    position  (b,) places in the endless training stream: they key each sample's augmentation
    target    Labels, Boxes, Outlines, Masks, Pairs, or Several of them by name
    """

    image: UInt8[Tensor, "b c h w"]
    size: Int[Tensor, "b 2"]
    frame: Float[Tensor, "b 3 3"]
    natural: Int[Tensor, "b 2"]
    id: Int[Tensor, "b"]
    position: Int[Tensor, "b"]
    target: Target

    def __post_init__(self) -> None:
        if not isinstance(self.target, Target):
            raise TypeError(f"Batch.target is a {type(self.target).__name__}; wrap it in Labels, Boxes, Masks …")

    def __len__(self) -> int:
        return len(self.image)

    def to(self, device: torch.device | str, non_blocking: bool = False) -> Batch:
        return moved(self, device, non_blocking)


def collate(samples: Sequence[Sample], positions: Sequence[int]) -> Batch:
    """Stack samples, padding right and below with zeros to the largest height and width."""
    sizes = [tuple(s.image.shape[1:]) for s in samples]  # (h, w)
    height, width = max(h for h, _ in sizes), max(w for _, w in sizes)
    channels = samples[0].image.shape[0]
    image = torch.zeros(len(samples), height, width, channels, dtype=torch.uint8).permute(
        0, 3, 1, 2
    )  # (b, c, h, w), channels last
    for row, sample, (h, w) in zip(image, samples, sizes, strict=True):
        row[:, :h, :w] = sample.image
    return Batch(
        image=image,
        size=torch.tensor(sizes),
        frame=torch.stack([s.frame for s in samples]),
        natural=torch.stack([s.natural for s in samples]),
        id=torch.tensor([s.id for s in samples]),
        position=torch.tensor(positions),
        target=type(samples[0].target).join([s.target for s in samples]),
    )
