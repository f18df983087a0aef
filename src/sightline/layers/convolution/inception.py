"""Inception: parallel convolutions of several sizes, concatenated. Szegedy et al. 2014, arXiv:1409.4842.

    NaiveInception   figure 2a: 1x1, 3x3, 5x5 and a 3x3 max-pooling, each of the whole map
    Inception        figure 2b: a 1x1 reduces the channels before the 3x3 and the 5x5, and another follows the pooling

In the naive block the pooling passes on every channel, so maps only grow, and the next block costs more. On 28x28x256
with 128, 192 and 96 filters it makes 672 channels with 854 million multiply-adds; with reductions to 64 channels the
same filters make 480 with 271 million.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn


class Unit(nn.Module):
    """Convolution (same padding at stride 1) and ReLU; with `batch_norm` a norm between them replaces the bias."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int = 1, *, stride: int = 1, batch_norm: bool = False
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=not batch_norm)
        self.bn = nn.BatchNorm2d(outputs, eps=0.001) if batch_norm else None  # torchvision's ε
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d i j"]:
        """(b, inputs, h, w) → (b, outputs, h/stride, w/stride)."""
        y = self.conv(x)  # (b, outputs, h/s, w/s)
        return self.relu(y if self.bn is None else self.bn(y))


class NaiveInception(nn.Module):
    """(b, inputs, h, w) → (b, ones + threes + fives + inputs, h, w); arguments are the number of filters of each size."""

    def __init__(self, inputs: int, ones: int, threes: int, fives: int) -> None:
        super().__init__()
        self.branch1 = Unit(inputs, ones)
        self.branch2 = Unit(inputs, threes, 3)
        self.branch3 = Unit(inputs, fives, 5)
        self.branch4 = nn.MaxPool2d(3, stride=1, padding=1)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d h w"]:
        """The four branches, concatenated along the channels."""
        return torch.cat([self.branch1(x), self.branch2(x), self.branch3(x), self.branch4(x)], 1)


class Inception(nn.Module):
    """(b, inputs, h, w) → (b, ones + threes + fives + pooled, h, w). Branches are named as torchvision names them.

    reduce3, reduce5    channels of the reductions before the 3x3 and the 5x5
    pooled              channels of the 1x1 after the pooling
    largest             kernel size of the third branch
    """

    def __init__(
        self,
        inputs: int,
        ones: int,
        reduce3: int,
        threes: int,
        reduce5: int,
        fives: int,
        pooled: int,
        *,
        largest: int = 5,
        batch_norm: bool = False,
    ) -> None:
        super().__init__()

        def unit(inputs: int, outputs: int, kernel: int = 1) -> Unit:
            return Unit(inputs, outputs, kernel, batch_norm=batch_norm)

        self.branch1 = unit(inputs, ones)
        self.branch2 = nn.Sequential(unit(inputs, reduce3), unit(reduce3, threes, 3))
        self.branch3 = nn.Sequential(unit(inputs, reduce5), unit(reduce5, fives, largest))
        self.branch4 = nn.Sequential(nn.MaxPool2d(3, stride=1, padding=1), unit(inputs, pooled))

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d h w"]:
        """The four branches, concatenated along the channels."""
        return torch.cat([self.branch1(x), self.branch2(x), self.branch3(x), self.branch4(x)], 1)
