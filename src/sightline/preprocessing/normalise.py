"""0-255 units → normalised input: minus the mean, over the standard deviation, per channel; and how both are computed.

LeCun, Bottou, Orr & Müller 1998, "Efficient BackProp", section 4.3. The normalisation is a module and everywhere the
last step before the network, so attacks and explanations differentiate through it and an export includes it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import torch
from jaxtyping import Float, Num, UInt8
from torch import Tensor, nn


class Normalise(nn.Module):
    """(x - mean) / std per channel; `mean` and `std` in 0-255 units."""

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        if len(mean) != len(std) or not mean:
            raise ValueError(f"{len(mean)} means and {len(std)} standard deviations: one of each per channel is needed")
        if not all(math.isfinite(m) for m in mean) or not all(math.isfinite(s) and s > 0 for s in std):
            raise ValueError(f"mean {tuple(mean)} and std {tuple(std)} must be finite, std above 0")
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32))
        self.register_buffer("std", torch.tensor(std, dtype=torch.float32))

    @classmethod
    def between(cls, low: Sequence[float], high: Sequence[float]) -> Normalise:
        """Maps [low, high] of each channel to [-1, 1] (min-max scaling; low 0, high 255 is what GANs use)."""
        middle = [(h + lo) / 2 for lo, h in zip(low, high, strict=True)]
        return cls(middle, [(h - lo) / 2 for lo, h in zip(low, high, strict=True)])

    def forward(self, x: Num[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """From uint8 or floating point in 0-255 units; the memory format is preserved."""
        mean, std = (v.view(1, -1, 1, 1) for v in (self.mean, self.std))  # (c,) → (1, c, 1, 1)
        return (x.to(mean.dtype) - mean) / std


class Normalised(nn.Module):
    """A network with its normalisation: it takes images in 0-255 units and returns the network's output. Further inputs
    (the sizes and targets of a region network) are passed through."""

    def __init__(self, normalise: Normalise, network: nn.Module) -> None:
        super().__init__()
        self.normalise = normalise
        self.network = network

    def forward(self, image: Num[Tensor, "b c h w"], *further: Any, **named: Any) -> Any:
        return self.network(self.normalise(image), *further, **named)


class PixelStatistics:
    """Mean and standard deviation per channel of any number of uint8 images, streamed. They are computed from a histogram
    with exact sums, so order and chunking cannot change a bit. The caller must add training images only."""

    def __init__(self, channels: int) -> None:
        self.histogram = torch.zeros(channels, 256, dtype=torch.int64)  # how often each value occurs

    def add(self, images: UInt8[Tensor, "n c h w"]) -> None:
        for channel, counts in enumerate(self.histogram):
            counts += torch.bincount(images[:, channel].reshape(-1).cpu(), minlength=256)  # (n, h, w) → (n·h·w,)

    def _sums(self) -> list[tuple[int, int, int]]:
        """Count, sum and sum of squares of each channel, in Python integers."""
        value = torch.arange(256)
        rows = [(int(h.sum()), int((h * value).sum()), int((h * value * value).sum())) for h in self.histogram]
        if not all(n for n, _, _ in rows):
            raise ValueError("no image has been added")
        return rows

    def mean(self) -> tuple[float, ...]:
        return tuple(float(Fraction(total, n)) for n, total, _ in self._sums())

    def std(self) -> tuple[float, ...]:
        """The population's (over n). A constant channel gets 1: minus its mean it is 0, whatever it is divided by."""
        variances = [Fraction(n * squares - total * total, n * n) for n, total, squares in self._sums()]
        return tuple(math.sqrt(float(v)) if v else 1.0 for v in variances)
