"""Separable convolution: one over space, map by map, then one across maps. Without a nonlinearity between, one low-rank
kernel.

    Sifre 2014, "Rigid-motion scattering for image classification", section 6.2
    Howard et al. 2017, arXiv:1704.04861     norm and ReLU after each step (MobileNet v1)

For M input maps, N output maps and a kernel of side D it costs M D² + M N multiply-adds per pixel, where a standard
convolution costs M N D²: 1/N + 1/D² of it.
"""

from __future__ import annotations

from collections.abc import Callable

from jaxtyping import Float
from torch import Tensor, nn


def depthwise(channels: int, kernel: int = 3, stride: int = 1) -> nn.Conv2d:
    """One filter for each map, without bias, zero-padded to keep the size at stride 1."""
    return nn.Conv2d(channels, channels, kernel, stride, padding=kernel // 2, groups=channels, bias=False)


class Separable(nn.Module):
    """Depthwise convolution, norm, ReLU; 1x1 convolution, norm, ReLU. `activation` is another class that accepts `inplace`."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        kernel: int = 3,
        stride: int = 1,
        activation: Callable[..., nn.Module] = nn.ReLU,
    ) -> None:
        super().__init__()
        self.depthwise, self.bn1 = depthwise(inputs, kernel, stride), nn.BatchNorm2d(inputs)
        self.pointwise, self.bn2 = nn.Conv2d(inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs)
        self.relu = activation(inplace=True)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d i j"]:
        """(b, inputs, h, w) → (b, outputs, h/stride, w/stride)."""
        x = self.relu(self.bn1(self.depthwise(x)))  # (b, inputs, h/s, w/s)
        return self.relu(self.bn2(self.pointwise(x)))  # (b, outputs, h/s, w/s)


def product_kernel(
    depthwise: Float[Tensor, "m 1 p q"], pointwise: Float[Tensor, "n m 1 1"]
) -> Float[Tensor, "n m p q"]:
    """The standard convolution equal to both steps with nothing between them: all N filters read an input map through the same
    p x q pattern, only scaled, so that its slice (n, p · q) has rank one."""
    return pointwise * depthwise[:, 0]  # (n, m, 1, 1) · (m, p, q)
