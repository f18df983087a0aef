"""Making maps larger: copying, interpolating, putting back, spreading.

    bilinear            pixel centres at half integers (align_corners=False), as torch and OpenCV do
    unpool              Zeiler & Fergus 2013, arXiv:1311.2901: maxima return to where they came from
    spread              the transposed convolution, written out: each input pixel stamps the kernel, scaled by its value
    bilinear_kernel     Long, Shelhamer & Darrell 2014, FCN, arXiv:1411.4038: a transposed convolution that starts as bilinear

`nn.ConvTranspose2d`, `nn.MaxPool2d(return_indices=True)` and `nn.MaxUnpool2d` are used as they are. A transposed convolution is
no inverse of the convolution, only of its shape: it is the convolution's gradient. It pads by dilation · (k - 1) *minus*
its `padding` (texts that copied the sum lost the sign).
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from sightline.errors import UsageError


def nearest(x: Float[Tensor, "b c h w"], size: tuple[int, int]) -> Float[Tensor, "b c i j"]:
    """To (height, width) `size`: each output pixel copies the one its centre lies in."""
    return F.interpolate(x, size=size, mode="nearest-exact")


def bilinear(x: Float[Tensor, "b c h w"], size: tuple[int, int]) -> Float[Tensor, "b c i j"]:
    """To (height, width) `size`, between pixel centres, without antialiasing; borders are repeated."""
    return F.interpolate(x, size=size, mode="bilinear", align_corners=False)


def bilinear_at(x: Float[Tensor, "c h w"], points: Float[Tensor, "n 2"]) -> Float[Tensor, "n c"]:
    """Values (n, c) at points (x, y) in pixel indices, where (0, 0) is the *centre* of the first pixel: along one axis
    first, then along the other. Outside, the border's value."""
    h, w = x.shape[1:]
    limit = points.new_tensor([w - 1, h - 1])
    points = points.clamp(min=0).minimum(limit)
    low = points.floor()
    (u, v), high = (points - low).unbind(1), (low + 1).minimum(limit).long()
    (left, top), (right, bottom) = low.long().unbind(1), high.unbind(1)
    above = x[:, top, left] * (1 - u) + x[:, top, right] * u  # (c, n)
    below = x[:, bottom, left] * (1 - u) + x[:, bottom, right] * u
    return (above * (1 - v) + below * v).T


def unpool(
    x: Float[Tensor, "b c h w"], where: Int[Tensor, "b c h w"], size: tuple[int, int]
) -> Float[Tensor, "b c i j"]:
    """Maxima put back on a map of `size` at the places that max pooling remembered (`return_indices=True`); else 0."""
    b, c = x.shape[:2]
    flat = x.new_zeros(b, c, size[0] * size[1]).scatter(2, where.flatten(2), x.flatten(2))
    return flat.unflatten(2, size)  # (b, c, *size)


def spread(
    x: Float[Tensor, "b c h w"],
    kernel: Float[Tensor, "d k p q"],
    *,
    stride: int = 1,
    padding: int = 0,
    output_padding: int = 0,
) -> Float[Tensor, "b k i j"]:
    """Transposed convolution by loops over input pixels: stamps `stride` apart are added up where they overlap, `padding`
    pixels are cut off around, `output_padding` rows and columns stay on at the end. The kernel is (in, out, p, q)."""
    (b, c, h, w), (depth, k, p, q) = x.shape, kernel.shape
    if c != depth:
        raise UsageError(f"a transposed kernel of depth {depth} cannot spread {c} channels", f"use depth {c}")
    canvas = x.new_zeros(b, k, (h - 1) * stride + p + output_padding, (w - 1) * stride + q + output_padding)
    for i in range(h):
        for j in range(w):
            stamp = torch.einsum("bc,ckpq->bkpq", x[:, :, i, j], kernel)
            canvas[:, :, i * stride : i * stride + p, j * stride : j * stride + q] += stamp
    rows, columns = canvas.shape[2] - padding, canvas.shape[3] - padding
    return canvas[:, :, padding:rows, padding:columns]


def spread_size(
    size: int, kernel: int, *, stride: int = 1, padding: int = 0, dilation: int = 1, output_padding: int = 0
) -> int:
    """How many pixels a transposed convolution makes of `size`; `output_padding` chooses among the sizes that the convolution
    would have shrunk to the same."""
    return (size - 1) * stride - 2 * padding + dilation * (kernel - 1) + output_padding + 1


def bilinear_kernel(factor: int) -> Float[Tensor, "k k"]:
    """The tent by which a transposed convolution with stride `factor` interpolates; k = 2 · factor - factor mod 2."""
    side = 2 * factor - factor % 2
    distance = (torch.arange(side, dtype=torch.float64) - (side - 1) / 2).abs() / factor
    tent = 1 - distance
    return tent[:, None] * tent


def bilinear_start(channels: int, factor: int, *, mixing: bool = False) -> nn.ConvTranspose2d:
    """A learnable layer that enlarges `factor` times, channel by channel, and starts as bilinear interpolation; the outermost
    pixels differ, as nothing is repeated beyond the border. `mixing`: every channel may learn to read all others."""
    groups = 1 if mixing else channels
    with torch.device("cpu"):  # also where the layer itself is only a shape
        kernel = bilinear_kernel(factor)
        own = torch.eye(channels) if mixing else torch.ones(channels, 1)  # (channels, channels / groups)
    layer = nn.ConvTranspose2d(
        channels, channels, len(kernel), stride=factor, padding=(factor - factor % 2) // 2, groups=groups, bias=False
    )
    with torch.no_grad():
        layer.weight.copy_(own[:, :, None, None] * kernel)
    return layer
