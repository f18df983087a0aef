"""Attention over maps against its formulas, written out by hand; what it costs; that it only ever turns values down."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sightline.layers.attention.scores import CBAM, ChannelAttention, SpatialAttention, SqueezeExcite

torch.set_num_threads(1)


def count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def drawn(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def dense(layer: nn.Conv2d, x: Tensor) -> Tensor:
    """A 1x1 convolution as the matrix product that it is, of vectors (b, c)."""
    y = x @ layer.weight.flatten(1).T
    return y if layer.bias is None else y + layer.bias


def around(channels: int, size: int) -> int:
    """Parameters of two dense layers with biases."""
    return channels * size + size + size * channels + channels


def test_parameters() -> None:
    assert count(ChannelAttention(64, bias=False)) == 2 * 64 * 4 == 512
    assert count(ChannelAttention(64)) == count(SqueezeExcite(64)) == around(64, 4) == 580
    assert count(ChannelAttention(64, reduction=8)) == count(SqueezeExcite(64, 8)) == around(64, 8)
    assert count(ChannelAttention(8)) == count(SqueezeExcite(8)) == around(8, 1)  # one unit is left of half
    assert count(SpatialAttention()) == 2 * 7 * 7 == 98
    assert count(SpatialAttention(3)) == 2 * 3 * 3
    assert count(CBAM(64)) == 580 + 98


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (ChannelAttention(32, reduction=1), (2, 32, 1, 1)),  # so many units that some let a value through
        (ChannelAttention(32, reduction=1, bias=False), (2, 32, 1, 1)),
        (SpatialAttention(), (2, 1, 5, 9)),
        (SpatialAttention(3), (2, 1, 5, 9)),
    ],
)
def test_weights_are_between_0_and_1(layer: nn.Module, shape: tuple[int, ...]) -> None:
    weights = layer.double()(drawn(2, 32, 5, 9))
    assert weights.shape == shape
    assert 0 < weights.min() < weights.max() < 1


@pytest.mark.parametrize("layer", [SqueezeExcite(32), SqueezeExcite(32, 5, activation=nn.SiLU), CBAM(32)])
def test_values_keep_their_sign_and_lose_size(layer: nn.Module) -> None:
    x = drawn(2, 32, 5, 9)
    y = layer.double()(x)
    assert y.shape == x.shape
    assert torch.equal(y.sign(), x.sign())
    assert (y.abs() < x.abs()).all()


@pytest.mark.parametrize(("activation", "g"), [(nn.ReLU, F.relu), (nn.SiLU, F.silu)])
def test_squeeze_and_excite(activation: type[nn.Module], g) -> None:
    layer, x = SqueezeExcite(6, 3, activation=activation).double(), drawn(2, 6, 4, 5)
    z = x.sum((2, 3)) / 20  # (b, 6)
    weights = 1 / (1 + torch.exp(-dense(layer.fc2, g(dense(layer.fc1, z)))))
    assert torch.allclose(layer.weights(x), weights[:, :, None, None], rtol=0, atol=1e-12)
    assert torch.allclose(layer(x), x * weights[:, :, None, None], rtol=0, atol=1e-12)


def channel_weights(layer: ChannelAttention, x: Tensor) -> Tensor:
    mean, most = x.sum((2, 3)) / (x.shape[2] * x.shape[3]), x.flatten(2).max(2).values  # (b, c)
    mixed = sum(dense(layer.fc2, dense(layer.fc1, z).clamp(min=0)) for z in (mean, most))
    return (1 / (1 + torch.exp(-mixed)))[:, :, None, None]


def spatial_weights(layer: SpatialAttention, x: Tensor) -> Tensor:
    """Place by place: the window of the two maps, zeros around them, times the kernel."""
    maps = torch.stack([x.sum(1) / x.shape[1], x.max(1).values], 1)  # (b, 2, h, w)
    kernel = layer.conv.weight[0]  # (2, k, k)
    side = kernel.shape[1]
    padded = F.pad(maps, [side // 2] * 4)
    rows = [
        torch.stack([(padded[:, :, i : i + side, j : j + side] * kernel).sum((1, 2, 3)) for j in range(x.shape[3])], -1)
        for i in range(x.shape[2])
    ]
    return (1 / (1 + torch.exp(-torch.stack(rows, 1))))[:, None]  # (b, 1, h, w)


@pytest.mark.parametrize("bias", [True, False])
def test_channel_attention(bias: bool) -> None:
    layer, x = ChannelAttention(48, bias=bias).double(), drawn(2, 48, 4, 5)
    assert torch.allclose(layer(x), channel_weights(layer, x), rtol=0, atol=1e-12)


@pytest.mark.parametrize("kernel", [7, 3])
def test_spatial_attention(kernel: int) -> None:
    layer, x = SpatialAttention(kernel).double(), drawn(2, 6, 4, 5)
    assert torch.allclose(layer(x), spatial_weights(layer, x), rtol=0, atol=1e-12)


def test_cbam_is_channels_then_places() -> None:
    layer, x = CBAM(16).double(), drawn(2, 16, 4, 5)
    y = x * channel_weights(layer.channel, x)
    assert torch.allclose(layer(x), y * spatial_weights(layer.spatial, y), rtol=0, atol=1e-12)
    other = x * spatial_weights(layer.spatial, x)
    assert not torch.allclose(layer(x), other * channel_weights(layer.channel, other), rtol=0, atol=1e-4)
