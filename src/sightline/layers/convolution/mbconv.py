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
from functools import partial

from jaxtyping import Float
from torch import Tensor, nn

from sightline.layers.attention.scores import SqueezeExcite

from .stochastic_depth import StochasticDepth

Norm = Callable[[int], nn.Module]


def whole_channels(channels: float) -> int:
    """The nearest multiple of 8 (at least 8), or the next one where that would be below 90 % of `channels`."""
    nearest = max(math.floor(channels / 8 + 0.5), 1) * 8
    return nearest if nearest >= 0.9 * channels else nearest + 8


class SameConv2d(nn.Conv2d):
    """Convolution with TensorFlow's "SAME" padding: the output has ⌈size / stride⌉ rows and columns, and the odd zero of an
    uneven total lies below and to the right. Torch pads both sides alike, which reads other pixels where the stride is 2.

        224 pixels, kernel 3, stride 2:   here 0 above, 1 below; torch's padding=1 has 1 above, and 1 below that is unread

    `skipped` is a stride that was taken from it, for a finer map: it keeps the zeros above that it had, so that it answers at
    the pixels between what it answered before.
    """

    skipped = 1

    def forward(self, input: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d i j"]:
        """(b, in_channels, h, w) → (b, out_channels, ⌈h/stride⌉, ⌈w/stride⌉)."""
        rows, columns = (self._zeros(axis, input.shape[2 + axis]) for axis in (0, 1))
        return super().forward(nn.functional.pad(input, (*columns, *rows)))

    def _zeros(self, axis: int, size: int) -> tuple[int, int]:
        """Zeros before and after."""
        kernel, stride, dilation = self.kernel_size[axis], self.stride[axis], self.dilation[axis]
        reach = dilation * (kernel - 1) + 1
        total = max((math.ceil(size / stride) - 1) * stride + reach - size, 0)
        before = total // 2 if self.skipped == 1 else dilation * max((kernel - self.skipped) // 2, 0)
        return before, total - before


def convolution(
    inputs: int,
    outputs: int,
    kernel: int,
    *,
    stride: int = 1,
    groups: int = 1,
    norm: Norm = nn.BatchNorm2d,
    activation: type[nn.Module] = nn.SiLU,
    same: bool = False,
) -> nn.Sequential:
    """Convolution, norm, activation. The padding is half the kernel on each side, or with `same` TensorFlow's."""
    if same:
        conv: nn.Conv2d = SameConv2d(inputs, outputs, kernel, stride, groups=groups, bias=False)
    else:
        conv = nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, groups=groups, bias=False)
    return nn.Sequential(conv, norm(outputs), activation(inplace=True))


class MBConv(nn.Module):
    """Expand, depthwise, squeeze and excite, project.

    expansion    width of the depthwise convolution relative to the input; 1: no expanding layer
    drop         rate of stochastic depth, where there is a shortcut
    norm         a function from the number of channels to a norm layer
    excite       with squeeze and excite; MobileNetV2 and EfficientNet-Lite have none
    activation   after the expanding and the depthwise convolution
    same         TensorFlow's padding
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
        excite: bool = True,
        activation: type[nn.Module] = nn.SiLU,
        same: bool = False,
    ) -> None:
        super().__init__()
        width = inputs * expansion
        layer = partial(convolution, norm=norm, activation=activation)
        expand = [layer(inputs, width, 1)] if expansion > 1 else []
        depthwise = layer(width, width, kernel, stride=stride, groups=width, same=same)
        # squeezed to a quarter of the block's input, not of the expanded width
        attention = [SqueezeExcite(width, max(inputs // 4, 1), activation=activation)] if excite else []
        project = nn.Sequential(nn.Conv2d(width, outputs, 1, bias=False), norm(outputs))
        self.block = nn.Sequential(*expand, depthwise, *attention, project)
        self.stochastic_depth = StochasticDepth(drop) if stride == 1 and inputs == outputs else None

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d i j"]:
        """(b, inputs, h, w) → (b, outputs, h/stride, w/stride)."""
        y = self.block(x)  # (b, d, h/s, w/s)
        return y if self.stochastic_depth is None else self.stochastic_depth(y).add_(x)
