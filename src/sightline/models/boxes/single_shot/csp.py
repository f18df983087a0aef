"""CSPDarknet and the blocks of the YOLOX line, under the parameter names of Megvii's code (Apache-2.0).

    Focus           pixels to channels: four pixels of 3 colours become one of 12 (Jocher 2020, YOLOv5)
    CSPLayer        half of the channels pass by the residual blocks (Wang et al. 2019, arXiv:1911.11929)
    SPPBottleneck   max pools of 5, 9 and 13 pixels beside each other (He et al. 2014, arXiv:1406.4729)
    CSPDarknet      Bochkovskiy et al. 2020, arXiv:2004.10934, as Ge et al. 2021, arXiv:2107.08430 build it

Batch norms have ε = 0.001; activations are SiLU. The published norms average over some 33 steps (momentum 0.03). Here it is
ten: trainings have hundreds of steps, not hundreds of thousands, and statistics that lag behind the weights cost AP.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

EPS, MOMENTUM = 1e-3, 0.1


class BaseConv(nn.Module):
    """Convolution without bias, batch norm, SiLU; `size` is odd, and the map shrinks by `stride` only."""

    def __init__(self, inputs: int, outputs: int, size: int, stride: int = 1, groups: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, size, stride, (size - 1) // 2, groups=groups, bias=False)
        self.bn = nn.BatchNorm2d(outputs, eps=EPS, momentum=MOMENTUM)
        self.act = nn.SiLU(inplace=True)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d i j"]:
        """(b, inputs, h, w) → (b, outputs, ⌈h / stride⌉, ⌈w / stride⌉)."""
        return self.act(self.bn(self.conv(x)))


class DepthwiseConv(nn.Module):
    """A convolution of each channel on its own, then a 1x1 across the channels."""

    def __init__(self, inputs: int, outputs: int, size: int, stride: int = 1) -> None:
        super().__init__()
        self.dconv = BaseConv(inputs, inputs, size, stride, groups=inputs)
        self.pconv = BaseConv(inputs, outputs, 1)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d i j"]:
        """As `BaseConv`."""
        return self.pconv(self.dconv(x))


def convolution(inputs: int, outputs: int, size: int, stride: int = 1, *, depthwise: bool) -> nn.Module:
    """The 3x3s of a network: whole, or in two steps."""
    kind = DepthwiseConv if depthwise else BaseConv
    return kind(inputs, outputs, size, stride)


class Focus(nn.Module):
    """Every second pixel of every second row, four times: (b, c, h, w) → (b, 4c, h/2, w/2), then a 3x3.

    The order of the four is upper left, lower left, upper right, lower right.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = BaseConv(4 * inputs, outputs, 3)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d i j"]:
        """(b, c, h, w) → (b, outputs, h / 2, w / 2)."""
        upper, lower = x[:, :, ::2], x[:, :, 1::2]
        return self.conv(torch.cat((upper[..., ::2], lower[..., ::2], upper[..., 1::2], lower[..., 1::2]), 1))


class Bottleneck(nn.Module):
    """1x1, 3x3, and with `shortcut` the input added."""

    def __init__(self, width: int, *, shortcut: bool, depthwise: bool) -> None:
        super().__init__()
        self.conv1 = BaseConv(width, width, 1)
        self.conv2 = convolution(width, width, 3, depthwise=depthwise)
        self.shortcut = shortcut

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """Same shape."""
        y = self.conv2(self.conv1(x))
        return x + y if self.shortcut else y


class CSPLayer(nn.Module):
    """One half of the channels goes through `number` bottlenecks, the other passes by; a 1x1 joins them."""

    def __init__(self, inputs: int, outputs: int, number: int, *, shortcut: bool = True, depthwise: bool) -> None:
        super().__init__()
        hidden = outputs // 2
        self.conv1 = BaseConv(inputs, hidden, 1)
        self.conv2 = BaseConv(inputs, hidden, 1)
        self.conv3 = BaseConv(2 * hidden, outputs, 1)
        self.m = nn.Sequential(*(Bottleneck(hidden, shortcut=shortcut, depthwise=depthwise) for _ in range(number)))

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d h w"]:
        """(b, inputs, h, w) → (b, outputs, h, w)."""
        through, past = self.conv1(x), self.conv2(x)
        return self.conv3(torch.cat((self.m(through), past), 1))


class SPPBottleneck(nn.Module):
    """The map beside its own maxima over 5, 9 and 13 pixels, between two 1x1s."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv1 = BaseConv(inputs, inputs // 2, 1)
        self.m = nn.ModuleList(nn.MaxPool2d(size, stride=1, padding=size // 2) for size in (5, 9, 13))
        self.conv2 = BaseConv(inputs // 2 * 4, outputs, 1)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d h w"]:
        """(b, inputs, h, w) → (b, outputs, h, w)."""
        x = self.conv1(x)
        return self.conv2(torch.cat([x, *(pool(x) for pool in self.m)], 1))


class CSPDarknet(nn.Module):
    """Images → maps at strides 8, 16, 32. `width` is that of the stem, `depth` the bottlenecks of the shortest stage."""

    def __init__(self, inputs: int, width: int, depth: int, *, depthwise: bool) -> None:
        super().__init__()
        self.stem = Focus(inputs, width)
        self.dark2 = self._stage(width, depth, depthwise)
        self.dark3 = self._stage(2 * width, 3 * depth, depthwise)
        self.dark4 = self._stage(4 * width, 3 * depth, depthwise)
        self.dark5 = nn.Sequential(
            convolution(8 * width, 16 * width, 3, 2, depthwise=depthwise),
            SPPBottleneck(16 * width, 16 * width),
            CSPLayer(16 * width, 16 * width, depth, shortcut=False, depthwise=depthwise),
        )

    @staticmethod
    def _stage(width: int, number: int, depthwise: bool) -> nn.Sequential:
        return nn.Sequential(
            convolution(width, 2 * width, 3, 2, depthwise=depthwise),
            CSPLayer(2 * width, 2 * width, number, depthwise=depthwise),
        )

    def forward(self, x: Float[Tensor, "b c h w"]) -> list[Float[Tensor, "b _ _ _"]]:
        """Maps of 4, 8 and 16 times `width` channels at strides 8, 16, 32."""
        fine = self.dark3(self.dark2(self.stem(x)))
        middle = self.dark4(fine)
        return [fine, middle, self.dark5(middle)]
