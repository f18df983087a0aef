"""Convolution in explicit form, for reading and for checking torch's; and a dense layer as a convolution.

Two operations share the name. Cross-correlation slides the kernel as it is: networks compute that, and torch calls it
`conv2d`. Convolution flips the kernel first. Here they have different names; a learned kernel is indifferent to the
flip.

    backward   dF = correlate(X, dO),   dX = full correlation of dO with F rotated by 180°
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sightline.errors import UsageError
from sightline.layers.arithmetic import output_size


def _require_four_axes(**tensors: Tensor) -> None:
    """UsageError unless each is (batch or filters, channels, height, width), with the index that adds the axes."""
    for name, x in tensors.items():
        if x.ndim != 4:
            axes = {2: f"use {name}[None, None]", 3: f"use {name}[None]"}
            raise UsageError(f"{name} has shape {tuple(x.shape)}, not four axes", axes.get(x.ndim, "pass (b, c, h, w)"))


def zero_pad(x: Float[Tensor, "b c h w"], padding: int) -> Float[Tensor, "b c i j"]:
    """`x` with a border of zeros, `padding` pixels wide."""
    _require_four_axes(x=x)
    b, c, h, w = x.shape
    padded = x.new_zeros(b, c, h + 2 * padding, w + 2 * padding)
    padded[:, :, padding : padding + h, padding : padding + w] = x
    return padded


def correlate(
    x: Float[Tensor, "b c h w"],
    kernel: Float[Tensor, "k d p q"],
    bias: Float[Tensor, "k"] | None = None,
    *,
    stride: int = 1,
    padding: int = 0,
    dilation: int = 1,
    groups: int = 1,
) -> Float[Tensor, "b k i j"]:
    """Cross-correlation by loops over positions: each output is the dot product of a filter and a patch, plus a bias.

    Filters have the depth of their input, d = c / groups; k filters give k maps. UsageError where the depths disagree.

        >>> correlate(torch.ones(1, 1, 3, 3), torch.ones(1, 1, 2, 2))[0, 0]
        tensor([[4., 4.],
                [4., 4.]])
    """
    _require_four_axes(x=x, kernel=kernel)
    (b, c, h, w), (k, d, p, q) = x.shape, kernel.shape
    if c != d * groups or k % groups:
        raise UsageError(
            f"{k} filters of depth {d} in {groups} group(s) cannot see {c} channels", f"use depth {c} / groups"
        )
    x = zero_pad(x, padding)
    rows = output_size(h, p, stride=stride, padding=padding, dilation=dilation)
    columns = output_size(w, q, stride=stride, padding=padding, dilation=dilation)
    output = x.new_zeros(b, k, rows, columns)
    for group in range(groups):
        channels = slice(group * d, (group + 1) * d)
        filters = slice(group * (k // groups), (group + 1) * (k // groups))
        for i in range(rows):
            for j in range(columns):
                down = slice(i * stride, i * stride + dilation * (p - 1) + 1, dilation)
                right = slice(j * stride, j * stride + dilation * (q - 1) + 1, dilation)
                patch = x[:, channels, down, right]  # (b, d, p, q)
                output[:, filters, i, j] = torch.einsum("bdpq,kdpq->bk", patch, kernel[filters])
    return output if bias is None else output + bias[:, None, None]


def convolve(
    x: Float[Tensor, "b c h w"], kernel: Float[Tensor, "k d p q"], *, stride: int = 1, padding: int = 0
) -> Float[Tensor, "b k i j"]:
    """Convolution as mathematics defines it, Σ h(m, n) f(i - m, j - n): correlation with the flipped kernel."""
    _require_four_axes(x=x, kernel=kernel)
    return correlate(x, kernel.flip(2, 3), stride=stride, padding=padding)


class Gradients(NamedTuple):
    """Gradients of a loss with respect to the input, kernel and bias of a correlation."""

    x: Float[Tensor, "b c h w"]
    kernel: Float[Tensor, "k c p q"]
    bias: Float[Tensor, "k"]


def correlate_backward(
    gradient: Float[Tensor, "b k i j"],
    x: Float[Tensor, "b c h w"],
    kernel: Float[Tensor, "k c p q"],
    *,
    stride: int = 1,
    padding: int = 0,
) -> Gradients:
    """The chain rule through `correlate`: both gradients are correlations themselves.

    A stride leaves gaps between the outputs, so the gradient is first dilated with zeros to stride 1. Pixels that no
    window covered keep gradient 0.
    """
    (b, k, rows, columns), (p, q) = gradient.shape, kernel.shape[2:]
    spread = gradient.new_zeros(b, k, (rows - 1) * stride + 1, (columns - 1) * stride + 1)
    spread[:, :, ::stride, ::stride] = gradient
    height, width = (
        spread.shape[2] + p - 1,
        spread.shape[3] + q - 1,
    )  # the part of the padded input that the windows covered

    covered = zero_pad(x, padding)[:, :, :height, :width]
    d_kernel = correlate(covered.transpose(0, 1), spread.transpose(0, 1)).transpose(0, 1)  # (k, c, p, q)

    rotated = kernel.flip(2, 3).transpose(0, 1)  # (c, k, p, q), by 180°
    framed = gradient.new_zeros(b, k, spread.shape[2] + 2 * (p - 1), spread.shape[3] + 2 * (q - 1))
    framed[:, :, p - 1 : p - 1 + spread.shape[2], q - 1 : q - 1 + spread.shape[3]] = spread
    d_padded = torch.zeros_like(zero_pad(x, padding))
    d_padded[:, :, :height, :width] = correlate(framed, rotated)  # (b, c, height, width)
    h, w = x.shape[2:]
    d_x = d_padded[:, :, padding : padding + h, padding : padding + w]
    return Gradients(d_x, d_kernel, gradient.sum((0, 2, 3)))


def linear_as_convolution(linear: nn.Linear, channels: int, height: int, width: int) -> nn.Conv2d:
    """The convolution with the weights of a dense layer over (channels, height, width) maps.

    On maps of that size it gives the same numbers, at one position; on larger maps it gives the output of the dense layer
    at every place (Long et al. 2014, arXiv:1411.4038, section 3.1).
    """
    if linear.in_features != channels * height * width:
        raise UsageError(
            f"a layer of {linear.in_features} inputs cannot read {channels}x{height}x{width} maps",
            f"check the size: they have {channels * height * width} values",
        )
    weight = linear.weight.detach()
    convolution = nn.Conv2d(channels, linear.out_features, (height, width), bias=linear.bias is not None)
    convolution = convolution.to(weight.device, weight.dtype)
    with torch.no_grad():
        convolution.weight.copy_(weight.unflatten(1, (channels, height, width)))  # (k, c, h, w)
        if convolution.bias is not None:
            convolution.bias.copy_(linear.bias)
    return convolution
