"""Attention over maps: which channels matter, and which places. Each layer scales a map by weights between 0 and 1.

    SE      Hu, Shen, Albanie, Sun & Wu 2017       arXiv:1709.01507   channels, from their means
    CBAM    Woo, Park, Lee & Kweon 2018            arXiv:1807.06521   channels from means and maxima, then places

Dense layers are 1x1 convolutions with biases, as in torchvision and timm. `ChannelAttention(bias=False)` matches CBAM's
published code; with biases the parameter counts match the paper's table.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn


class SqueezeExcite(nn.Module):
    """Squeeze and excitation: x · σ(W₂ g(W₁ mean(x))).

    squeezed     units between the two layers; None: a 16th of the channels, the paper's r = 16
    activation   the class of g
    """

    def __init__(self, channels: int, squeezed: int | None = None, *, activation: type[nn.Module] = nn.ReLU) -> None:
        super().__init__()
        squeezed = max(channels // 16, 1) if squeezed is None else squeezed
        self.fc1, self.fc2 = nn.Conv2d(channels, squeezed, 1), nn.Conv2d(squeezed, channels, 1)
        self.activation = activation()

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """`x` (b, c, h, w) with each channel scaled by its weight."""
        return x * self.weights(x)

    def weights(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c 1 1"]:
        """The weight of each channel, (b, c, 1, 1), between 0 and 1."""
        z = x.mean((2, 3), keepdim=True)  # (b, c, 1, 1)
        return torch.sigmoid(self.fc2(self.activation(self.fc1(z))))


class ChannelAttention(nn.Module):
    """The weight of each channel: σ(MLP(mean) + MLP(max)) with one MLP for both."""

    def __init__(self, channels: int, *, reduction: int = 16, bias: bool = True) -> None:
        super().__init__()
        squeezed = max(channels // reduction, 1)
        self.fc1, self.fc2 = nn.Conv2d(channels, squeezed, 1, bias=bias), nn.Conv2d(squeezed, channels, 1, bias=bias)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c 1 1"]:
        """(b, c, h, w) → (b, c, 1, 1)."""
        mean, most = x.mean((2, 3), keepdim=True), x.amax((2, 3), keepdim=True)  # (b, c, 1, 1)
        return torch.sigmoid(self.fc2(self.fc1(mean).relu()) + self.fc2(self.fc1(most).relu()))


class SpatialAttention(nn.Module):
    """The weight of each place: σ of a 7x7 convolution of the channels' mean and maximum."""

    def __init__(self, kernel: int = 7) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 1, kernel, padding=kernel // 2, bias=False)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b 1 h w"]:
        """(b, c, h, w) → (b, 1, h, w)."""
        both = torch.cat([x.mean(1, keepdim=True), x.amax(1, keepdim=True)], 1)  # (b, 2, h, w)
        return torch.sigmoid(self.conv(both))


class CBAM(nn.Module):
    """Channel attention, then spatial attention; the paper found this order best."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channel, self.spatial = ChannelAttention(channels), SpatialAttention()

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """`x` (b, c, h, w) scaled by channel and by place."""
        x = self.channel(x) * x
        return self.spatial(x) * x
