"""Atrous spatial pyramid pooling: what surrounds a pixel, at several distances at once.

    Chen, Papandreou, Schroff & Adam 2017, DeepLab v3, arXiv:1706.05587, section 3.3

Beside each other on one map: a 1x1 convolution, 3x3 convolutions whose taps lie `rates` pixels apart, and the mean of the
whole image; a last 1x1 convolution joins them. Parameter names are torchvision's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

Norm = Callable[[int], nn.Module]


class _ImageMean(nn.Sequential):
    """The mean of the image at every pixel, after a 1x1 convolution. The batch norm of a single image would see one value a
    channel, which has no deviation: it then uses its running statistics."""

    def __init__(self, inputs: int, outputs: int, norm: Norm) -> None:
        super().__init__(nn.AdaptiveAvgPool2d(1), nn.Conv2d(inputs, outputs, 1, bias=False), norm(outputs), nn.ReLU())

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d h w"]:
        """(b, inputs, h, w) → (b, outputs, h, w)."""
        pool, convolve, norm, relu = self
        y = convolve(pool(x))  # (b, outputs, 1, 1)
        if isinstance(norm, nn.BatchNorm2d) and self.training and len(y) == 1:
            y = F.batch_norm(y, norm.running_mean, norm.running_var, norm.weight, norm.bias, eps=norm.eps)
        else:
            y = norm(y)
        return relu(y).expand(-1, -1, *x.shape[2:])


class AtrousPyramid(nn.Module):
    """(b, inputs, h, w) → (b, width, h, w).

    rates      distances of the taps of each 3x3 convolution, in pixels of the map; arXiv:1706.05587 has (6, 12, 18) at an
               output stride of 16 and twice that at 8
    norm       a function from the number of channels to a norm layer
    dropout    rate after the last 1x1
    """

    def __init__(
        self,
        inputs: int,
        rates: Sequence[int],
        width: int = 256,
        *,
        norm: Norm = nn.BatchNorm2d,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()

        def convolution(channels: int, kernel: int, rate: int = 1) -> list[nn.Module]:
            padding = rate * (kernel // 2)
            conv = nn.Conv2d(channels, width, kernel, padding=padding, dilation=rate, bias=False)
            return [conv, norm(width), nn.ReLU()]

        branches = [nn.Sequential(*convolution(inputs, 1))]
        branches += [nn.Sequential(*convolution(inputs, 3, rate)) for rate in rates]
        self.convs = nn.ModuleList([*branches, _ImageMean(inputs, width, norm)])
        self.project = nn.Sequential(*convolution(width * len(self.convs), 1), nn.Dropout(dropout))

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d h w"]:
        """(b, inputs, h, w) → (b, width, h, w)."""
        return self.project(torch.cat([branch(x) for branch in self.convs], 1))  # joined: (b, branches · width, h, w)
