"""What happens to a photograph: another frame, a turned or nearer camera, blur, noise, another tint.

crop    a part of the image with `smallest` to all of its area and a ratio of sides within 3:4 and 4:3 of the image's own,
        stretched to the whole frame (Szegedy et al. 2014, arXiv:1409.4842, section 6), bilinearly
turn    rotation and scale about the centre
blur    a Gaussian with a deviation of at most `sigma` pixels
noise   normal noise with a deviation of at most `deviation` levels of 255, of its own in each channel
hue     the colour circle is turned by at most `share` of a revolution

Blur, noise and hue leave frames, boxes and masks alone. Strengths of blur come from a table of 32 that the host computes, so
that a sample's pixels do not depend on which of a processor's exponentials computed them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from sightline.randomness.keyed import normal
from sightline.structures.batch import Batch

from .affine import Affine, warp
from .operation import Operation, gather, inside, matrix, pixels_first, pixels_last

STRENGTHS = 32  # of a blur
RATIO = 4 / 3


@dataclass(frozen=True)
class Crop(Operation):
    """A part of the image becomes the whole."""

    smallest: float = 0.35
    name: ClassVar[str] = "crop"

    def __call__(self, batch: Batch, seed: int) -> Batch:
        area, shape, tall, down, across = self.draws(batch, seed, 5)  # each (b,)
        area = self.smallest + area * (1 - self.smallest)
        ratio = 1 + shape * (RATIO - 1)
        ratio = torch.where(tall < 0.5, ratio, 1 / ratio)
        high, wide = (area * ratio).sqrt().clamp(max=1), (area / ratio).sqrt().clamp(max=1)  # shares of the sides
        height, width = batch.size.float().unbind(1)
        top, left = down * (1 - high) * height, across * (1 - wide) * width
        zero = torch.zeros_like(high)
        return warp(batch, matrix((1 / wide, zero, -left / wide), (zero, 1 / high, -top / high)))


@dataclass(frozen=True)
class Turn(Affine):
    """Rotation by at most `rotate` degrees and scaling by 1 ± `scale`; with draws of its own beside a preset's."""

    rotate: float = 0.0
    scale: float = 0.0
    shear: float = 0.0
    name: ClassVar[str] = "turn"


@dataclass(frozen=True)
class Blur(Operation):
    """A Gaussian over 2 ⌈3 sigma⌉ + 1 pixels, reflected at the edges of each image."""

    sigma: float = 1.0
    name: ClassVar[str] = "blur"

    def __call__(self, batch: Batch, seed: int) -> Batch:
        (draw,) = self.draws(batch, seed, 1)
        return self.by(batch, (draw * STRENGTHS).long())

    def by(self, batch: Batch, strength: Int[Tensor, "b"]) -> Batch:
        """Each image blurred with the deviation (1 + strength) / 32 · sigma."""
        weights = kernels(self.sigma).to(strength.device)[strength]  # (b, 2r + 1)
        x = pixels_last(batch.image).float()
        for axis in (0, 1):
            x = _smoothed(x, weights, batch.size, axis)
        x = x.round().clamp(0, 255) * inside(batch)[..., None]
        return batch.with_pixels(image=pixels_first(x.to(torch.uint8)))


@lru_cache
def kernels(sigma: float) -> Float[Tensor, "s k"]:
    """The weights of each strength."""
    radius = math.ceil(3 * sigma)
    rows = []
    for strength in range(1, STRENGTHS + 1):
        own = sigma * strength / STRENGTHS
        row = [math.exp(-((k / own) ** 2) / 2) for k in range(-radius, radius + 1)]
        rows.append([value / sum(row) for value in row])
    return torch.tensor(rows, dtype=torch.float32)


def _smoothed(
    x: Float[Tensor, "b h w c"], weights: Float[Tensor, "b k"], size: Int[Tensor, "b 2"], axis: int
) -> Float[Tensor, "b h w c"]:
    """Weighted sums along one axis, in the order of the kernel, whatever the batch."""
    radius, place = (
        weights.shape[1] // 2,
        [torch.arange(side, device=x.device).expand(len(x), side) for side in x.shape[1:3]],
    )
    last = size[:, axis, None] - 1
    total = torch.zeros_like(x)
    for k in range(-radius, radius + 1):
        source = list(place)
        reflected = (place[axis] + k).abs()
        # 0 1 2 | 1 0: the edge itself is not repeated; images shorter than the kernel repeat their last pixel
        source[axis] = (last - (last - reflected).abs()).clamp(min=0).minimum(last)
        total = total + weights[:, k + radius, None, None, None] * gather(x, source[0], source[1], 0)
    return total


@dataclass(frozen=True)
class Noise(Operation):
    """Normal noise whose deviation is drawn for each image between 0 and `deviation` levels."""

    deviation: float = 12.75
    name: ClassVar[str] = "noise"

    def __call__(self, batch: Batch, seed: int) -> Batch:
        (draw,) = self.draws(batch, seed, 1)
        b, c, h, w = batch.image.shape
        place = torch.arange(h * w * c, device=draw.device)
        drawn = normal(seed, "augmentation/noise/pixels", batch.position[:, None], place).view(b, h, w, c)
        x = pixels_last(batch.image).float() + drawn * (draw * self.deviation)[:, None, None, None]
        x = x.round().clamp(0, 255) * inside(batch)[..., None]
        return batch.with_pixels(image=pixels_first(x.to(torch.uint8)))


@dataclass(frozen=True)
class Hue(Operation):
    """The hue of each image turned by at most `share` of the circle, in HSV; grey images stay."""

    share: float = 0.05
    name: ClassVar[str] = "hue"

    def __call__(self, batch: Batch, seed: int) -> Batch:
        if batch.image.shape[1] != 3:
            return batch
        (draw,) = self.draws(batch, seed, 1)
        return self.by(batch, (2 * draw - 1) * self.share)

    def by(self, batch: Batch, turn: Float[Tensor, "b"]) -> Batch:
        """Each image turned by its share of the circle."""
        return batch.with_pixels(image=pixels_first(turned(pixels_last(batch.image), turn)))


def turned(x: UInt8[Tensor, "b h w 3"], turn: Float[Tensor, "b"]) -> UInt8[Tensor, "b h w 3"]:
    """RGB → HSV (Smith 1978, "Color gamut transform pairs"), another hue, and back."""
    r, g, b = (x.float() / 255).unbind(3)
    high, low = (torch.stack([r, g, b]).amax(0), torch.stack([r, g, b]).amin(0))
    span = high - low
    safe = torch.where(span > 0, span, 1)
    sector = torch.where(high == r, (g - b) / safe, torch.where(high == g, 2 + (b - r) / safe, 4 + (r - g) / safe))
    hue = torch.where(span > 0, sector / 6, 0) + turn[:, None, None]
    place = (hue - hue.floor()) * 6  # [0, 6)
    channels = []
    for shift in (5, 3, 1):  # red, green, blue: V - V S max(0, min(k, 4 - k, 1)) with k = (shift + place) mod 6
        k = (place + shift) - 6 * ((place + shift) / 6).floor()
        channels.append(high - span * torch.minimum(k, 4 - k).clamp(0, 1))
    return (torch.stack(channels, 3) * 255).round().clamp(0, 255).to(torch.uint8)
