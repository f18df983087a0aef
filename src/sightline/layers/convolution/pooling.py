"""Pooling: LeNet's trainable subsampling, and both poolings in explicit form, for reading and for checking torch's.

    TrainableSubsample   LeCun, Bottou, Bengio & Haffner 1998, "Gradient-based learning applied to document recognition"

Where we differ: the paper sums the four inputs and applies a scaled tanh; here, as most texts print it, the mean is
scaled by α, reduced by β and passed through a sigmoid. Sum and mean differ by a factor that α absorbs.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from sightline.layers.arithmetic import output_size

from .convolution import zero_pad


class TrainableSubsample(nn.Module):
    """sigmoid(α · mean of 2x2 - β) at stride 2, with one α and one β for each channel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.alpha = nn.Parameter(torch.ones(channels))
        self.beta = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c i j"]:
        """(b, c, h, w) → (b, c, h/2, w/2)."""
        mean = F.avg_pool2d(x, 2)  # (b, c, h/2, w/2)
        return torch.sigmoid(self.alpha[:, None, None] * mean - self.beta[:, None, None])


def max_pool(
    x: Float[Tensor, "b c h w"], kernel: int, *, stride: int, padding: int = 0, dilation: int = 1
) -> Float[Tensor, "b c i j"]:
    """The maximum of each window, channel by channel; the window's pixels are `dilation` apart. Padding is -inf, so it is
    never the maximum."""
    real = zero_pad(torch.ones_like(x), padding) > 0
    return _windows(zero_pad(x, padding).where(real, -torch.inf), kernel, stride, dilation).amax((-2, -1))


def average_pool(
    x: Float[Tensor, "b c h w"], kernel: int, *, stride: int, padding: int = 0, count_padding: bool = True
) -> Float[Tensor, "b c i j"]:
    """The mean of each window: a box filter. Padding is 0 and counts, unless `count_padding` is False."""
    total = _windows(zero_pad(x, padding), kernel, stride).sum((-2, -1))
    if count_padding:
        return total / kernel**2
    return total / _windows(zero_pad(torch.ones_like(x), padding), kernel, stride).sum((-2, -1))


def _windows(x: Float[Tensor, "b c h w"], kernel: int, stride: int, dilation: int = 1) -> Float[Tensor, "b c i j f f"]:
    """All windows (b, c, rows, columns, kernel, kernel), by loops over positions."""
    rows = range(output_size(x.shape[2], kernel, stride=stride, dilation=dilation))
    columns = range(output_size(x.shape[3], kernel, stride=stride, dilation=dilation))
    reach = dilation * (kernel - 1) + 1
    lines = [
        [
            x[:, :, i * stride : i * stride + reach : dilation, j * stride : j * stride + reach : dilation]
            for j in columns
        ]
        for i in rows
    ]
    return torch.stack([torch.stack(line, 2) for line in lines], 2)  # (b, c, rows, columns, kernel, kernel)
