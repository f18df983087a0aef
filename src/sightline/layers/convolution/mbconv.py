"""MBConv, the mobile inverted bottleneck: it expands the channels in between, where a bottleneck reduces them.

    expand 1x1 → depthwise kxk → squeeze and excite → project 1x1, and a shortcut where the shape is unchanged

    inverted bottleneck   Sandler, Howard, Zhu, Zhmoginov & Chen 2018   arXiv:1801.04381   MobileNetV2
    attention inside      Tan et al. 2018                               arXiv:1807.11626   MnasNet
    SiLU for ReLU6        Tan & Le 2019                                 arXiv:1905.11946   EfficientNet

The projection is linear, because rectifying a map of few channels destroys information. Parameter names are
torchvision's.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from jaxtyping import Float
from torch import Tensor, nn

from sightline.layers.attention.scores import SqueezeExcite

from .stochastic_depth import StochasticDepth

Norm = Callable[[int], nn.Module]


def whole_channels(channels: float) -> int:
    """The nearest multiple of 8 (at least 8), or the next one where that would be below 90 % of `channels`."""
    nearest = max(math.floor(channels / 8 + 0.5), 1) * 8
    return nearest if nearest >= 0.9 * channels else nearest + 8


def convolution(
    inputs: int, outputs: int, kernel: int, *, stride: int = 1, groups: int = 1, norm: Norm = nn.BatchNorm2d
) -> nn.Sequential:
    """Convolution with same padding, norm, SiLU."""
    conv = nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, groups=groups, bias=False)
    return nn.Sequential(conv, norm(outputs), nn.SiLU(inplace=True))


class MBConv(nn.Module):
    """Expand, depthwise, squeeze and excite, project.

    expansion    width of the depthwise convolution relative to the input; 1: no expanding layer
    drop         rate of stochastic depth, where there is a shortcut
    norm         a function from the number of channels to a norm layer
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        kernel: int = 3,
        stride: int = 1,
        expansion: int = 6,
        drop: float = 0.0,
        norm: Norm = nn.BatchNorm2d,
    ) -> None:
        super().__init__()
        width = inputs * expansion
        expand = [convolution(inputs, width, 1, norm=norm)] if expansion > 1 else []
        depthwise = convolution(width, width, kernel, stride=stride, groups=width, norm=norm)
        attention = SqueezeExcite(
            width, max(inputs // 4, 1), activation=nn.SiLU
        )  # a quarter of the block's input, not of the expanded width
        project = nn.Sequential(nn.Conv2d(width, outputs, 1, bias=False), norm(outputs))
        self.block = nn.Sequential(*expand, depthwise, attention, project)
        self.stochastic_depth = StochasticDepth(drop) if stride == 1 and inputs == outputs else None

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d i j"]:
        """(b, inputs, h, w) → (b, outputs, h/stride, w/stride)."""
        y = self.block(x)  # (b, d, h/s, w/s)
        return y if self.stochastic_depth is None else self.stochastic_depth(y).add_(x)
