"""Operations on pixel values: colour jitter and erasing. Nothing moves, so frames and boxes stay.

Colour: brightness, then contrast, then saturation, each a factor drawn around 1 (Howard 2013, arXiv:1312.5402). Before
rounding, with grey(x) = 0.299 R + 0.587 G + 0.114 B and m the image's mean grey:

    brightness   x ← b x          contrast   x ← c x + (1 - c) b m          saturation   x ← s x + (1 - s) grey(x)

Other libraries clip and round after each factor; here the three are one linear map, clipped and rounded once.

Erasing: Random Erasing (Zhong et al. 2017, arXiv:1708.04896), Cutout (DeVries & Taylor 2017, arXiv:1708.04552). The
rectangle gets the mean colour of the image, and mask pixels under it are ignored: nobody can see what they show.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from sightline.structures.batch import Batch
from sightline.structures.targets import IGNORE, Masks, Several, Target

from .operation import Operation, inside, pixels_first, pixels_last

_GREY = (299, 587, 114)  # thousandths


def _sums(batch: Batch) -> tuple[Int[Tensor, "b c"], Int[Tensor, "b"]]:
    """Sum of each channel (the padding is black) and number of pixels: integers, so the order of summation does not matter."""
    return batch.image.sum((2, 3), dtype=torch.int64), batch.size[:, 0].long() * batch.size[:, 1].long()


@dataclass(frozen=True)
class Colour(Operation):
    """Each factor is drawn uniformly from 1 ± its value. Saturation leaves grey images unchanged."""

    brightness: float = 0.2
    contrast: float = 0.2
    saturation: float = 0.2
    name: ClassVar[str] = "colour"

    def __call__(self, batch: Batch, seed: int) -> Batch:
        spread = (self.brightness, self.contrast, self.saturation)
        b, c, s = (1 + (2 * d - 1) * v for d, v in zip(self.draws(batch, seed, 3), spread, strict=True))  # each (b,)
        sums, n = _sums(batch)
        thousandths = torch.tensor(_GREY if sums.shape[1] == 3 else (1000,), device=sums.device)
        mean = ((sums * thousandths).sum(1).double() / (1000 * n).double()).float()  # (b,)
        lift = ((1 - c) * b * mean)[:, None, None, None]
        x = pixels_last(batch.image).float()  # (b, h, w, c)
        if x.shape[3] == 3:
            grey = x[..., :1] * 0.299 + x[..., 1:2] * 0.587 + x[..., 2:] * 0.114  # (b, h, w, 1)
            own, shared = ((c * b * f)[:, None, None, None] for f in (s, 1 - s))
            y = x * own + (grey * shared + lift)
        else:
            y = x * (c * b)[:, None, None, None] + lift
        y = y.round_().clamp_(0, 255) * inside(batch)[..., None]
        return batch.with_pixels(image=pixels_first(y.to(torch.uint8)))


@dataclass(frozen=True)
class Erasing(Operation):
    """With `probability`, erases a rectangle of `smallest` to `largest` of the area of the image, whose sides have a ratio
    of at most `stretch` to 1 either way."""

    probability: float = 0.25
    smallest: float = 0.02
    largest: float = 0.2
    stretch: float = 3.0
    name: ClassVar[str] = "erasing"

    def __call__(self, batch: Batch, seed: int) -> Batch:
        return _erase(batch, self._rectangle(batch, seed))

    def _rectangle(self, batch: Batch, seed: int) -> Bool[Tensor, "b h w"]:
        happens, area, shape, tall, top, left = self.draws(batch, seed, 6)  # each (b,)
        height, width = batch.size.float().unbind(1)
        area = (self.smallest + area * (self.largest - self.smallest)) * height * width
        ratio = 1 + shape * (self.stretch - 1)
        ratio = torch.where(tall < 0.5, ratio, 1 / ratio)
        h, w = (area * ratio).sqrt().round().minimum(height), (area / ratio).sqrt().round().minimum(width)
        y, x = (top * (height - h + 1)).floor(), (left * (width - w + 1)).floor()
        rows, columns = (torch.arange(side, device=y.device) for side in batch.image.shape[2:])
        in_rows = (rows >= y[:, None]) & (rows < (y + h)[:, None]) & (happens < self.probability)[:, None]  # (b, h)
        in_columns = (columns >= x[:, None]) & (columns < (x + w)[:, None])  # (b, w)
        return in_rows[:, :, None] & in_columns[:, None, :]


@dataclass(frozen=True)
class Cutout(Operation):
    """Hides a square in every image, as published: its side is `side` of the image's shorter one, its centre is anywhere, and
    what lies beyond the edge is cut off. Its colour is the image's mean."""

    side: float = 0.5
    name: ClassVar[str] = "cutout"

    def __call__(self, batch: Batch, seed: int) -> Batch:
        centre = torch.stack(self.draws(batch, seed, 2), 1)  # (b, 2) down, across
        length = (batch.size.amin(1, keepdim=True) * self.side).round().clamp(min=1).long()  # (b, 1)
        start = (centre * batch.size).floor().long() - length // 2  # (b, 2)
        stop = (start + length).minimum(batch.size)
        down, across = (
            (torch.arange(side, device=start.device) >= start[:, axis, None])
            & (torch.arange(side, device=start.device) < stop[:, axis, None])
            for axis, side in enumerate(batch.image.shape[2:])
        )
        return _erase(batch, down[:, :, None] & across[:, None, :])


def _erase(batch: Batch, erased: Bool[Tensor, "b h w"]) -> Batch:
    sums, n = _sums(batch)
    mean = ((sums + n[:, None] // 2) // n[:, None]).to(torch.uint8)  # (b, c)
    image = torch.where(erased[..., None], mean[:, None, None, :], pixels_last(batch.image))  # (b, h, w, c)
    return batch.with_pixels(image=pixels_first(image), target=_ignore_pixels(batch.target, erased))


def _ignore_pixels(target: Target, erased: Bool[Tensor, "b h w"]) -> Target:
    if isinstance(target, Masks):
        return replace(target, index=target.index.masked_fill(erased, IGNORE))
    if isinstance(target, Several):
        return Several({name: _ignore_pixels(t, erased) for name, t in target.by_name.items()})
    return target
