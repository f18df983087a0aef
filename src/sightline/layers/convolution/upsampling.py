"""Upsampling: interpolation, unpooling, and transposed convolution.

    bilinear            pixel centres at half integers (align_corners=False), as in torch and OpenCV
    bicubic             Keys 1981, "Cubic convolution interpolation for digital image processing", with a = -0.75
    trilinear           bilinear, and linear between the slices of a volume
    unpool              Zeiler & Fergus 2013, arXiv:1311.2901: maxima return to their places
    spread              the transposed convolution in explicit form: each input pixel adds a copy of the kernel, scaled
    bilinear_kernel     Long, Shelhamer & Darrell 2014, FCN, arXiv:1411.4038: initialises a transposed convolution

Networks use `nn.ConvTranspose2d`, `nn.MaxPool2d(return_indices=True)` and `nn.MaxUnpool2d`. A transposed convolution is
not the inverse of the convolution, only of its change of shape: it is the convolution's gradient. Its implicit padding
is dilation · (k - 1) *minus* `padding` (some texts print a plus).
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from sightline.errors import UsageError


def nearest(x: Float[Tensor, "b c h w"], size: tuple[int, int]) -> Float[Tensor, "b c i j"]:
    """Resize to (height, width) `size`: each output pixel copies the input pixel that contains its centre."""
    return F.interpolate(x, size=size, mode="nearest-exact")


def bilinear(x: Float[Tensor, "b c h w"], size: tuple[int, int]) -> Float[Tensor, "b c i j"]:
    """Resize to (height, width) `size`, between pixel centres, without antialiasing; borders are replicated."""
    return F.interpolate(x, size=size, mode="bilinear", align_corners=False)


def bicubic(x: Float[Tensor, "b c h w"], size: tuple[int, int]) -> Float[Tensor, "b c i j"]:
    """Resize to (height, width) `size` by cubics through 4 x 4 pixels: sharper than `bilinear`, and it may overshoot."""
    return F.interpolate(x, size=size, mode="bicubic", align_corners=False)


def trilinear(x: Float[Tensor, "b c d h w"], size: tuple[int, int, int]) -> Float[Tensor, "b c k i j"]:
    """Resize volumes to (depth, height, width) `size`, between voxel centres; borders are replicated."""
    return F.interpolate(x, size=size, mode="trilinear", align_corners=False)


def bilinear_at(x: Float[Tensor, "c h w"], points: Float[Tensor, "n 2"]) -> Float[Tensor, "n c"]:
    """Values (n, c) at points (x, y) in pixel indices, where (0, 0) is the *centre* of the first pixel. Outside, border values.

    x = [[0, 1],      (0.5, 0)   → 0.5     halfway between 0 and 1
         [2, 3]]      (0.5, 0.5) → 1.5     the mean of all four
    """
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
    """Maxima at their original places on a map of `size`, 0 elsewhere; `where` comes from max pooling with
    `return_indices=True`."""
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
    dilation: int = 1,
    groups: int = 1,
) -> Float[Tensor, "b o i j"]:
    """Transposed convolution by loops over input pixels; the kernel is (in, out / groups, p, q).

    Scaled copies of the kernel, `stride` apart and their own elements `dilation` apart, are added where they overlap; then
    `padding` pixels are cropped on every side and `output_padding` rows and columns kept at the end. Channels spread within
    their group only. Along one axis, kernel (1, 2, 1), stride 2:

        (a, b) → (a, 2a, a + b, 2b, b)
    """
    (b, c, h, w), (depth, k, p, q) = x.shape, kernel.shape
    if c != depth:
        raise UsageError(f"a transposed kernel of depth {depth} cannot spread {c} channels", f"use depth {c}")
    if c % groups:
        raise UsageError(f"{c} channels do not divide into {groups} groups", f"use a divisor of {c}")
    reach_p, reach_q = dilation * (p - 1) + 1, dilation * (q - 1) + 1
    canvas = x.new_zeros(
        b, k * groups, (h - 1) * stride + reach_p + output_padding, (w - 1) * stride + reach_q + output_padding
    )
    grouped = kernel.unflatten(0, (groups, -1))  # (groups, c / groups, k, p, q)
    for i in range(h):
        for j in range(w):
            stamp = torch.einsum("bgc,gckpq->bgkpq", x[:, :, i, j].unflatten(1, (groups, -1)), grouped).flatten(1, 2)
            down = slice(i * stride, i * stride + reach_p, dilation)
            canvas[:, :, down, slice(j * stride, j * stride + reach_q, dilation)] += stamp
    rows, columns = canvas.shape[2] - padding, canvas.shape[3] - padding
    return canvas[:, :, padding:rows, padding:columns]


def spread_size(
    size: int, kernel: int, *, stride: int = 1, padding: int = 0, dilation: int = 1, output_padding: int = 0
) -> int:
    """The output size of a transposed convolution. A strided convolution maps several sizes to one; `output_padding` chooses
    among them."""
    return (size - 1) * stride - 2 * padding + dilation * (kernel - 1) + output_padding + 1


def bilinear_kernel(factor: int) -> Float[Tensor, "k k"]:
    """The tent kernel with which a transposed convolution of stride `factor` interpolates; k = 2 · factor - factor mod 2.

    >>> bilinear_kernel(2)[0] * 4  # the outer product of (¼, ¾, ¾, ¼) with itself
    tensor([0.2500, 0.7500, 0.7500, 0.2500], dtype=torch.float64)
    """
    side = 2 * factor - factor % 2
    distance = (torch.arange(side, dtype=torch.float64) - (side - 1) / 2).abs() / factor
    tent = 1 - distance
    return tent[:, None] * tent


def bilinear_upsampler(channels: int, factor: int, *, mixing: bool = False) -> nn.ConvTranspose2d:
    """A learnable layer that upsamples by `factor`, initialised as bilinear interpolation of each channel.

    The outermost pixels differ from `bilinear`, because borders are not replicated. With `mixing` every channel may learn
    to read all others.
    """
    groups = 1 if mixing else channels
    with torch.device("cpu"):  # the kernel needs values even where the layer is on the meta device
        kernel = bilinear_kernel(factor)
        channel_map = torch.eye(channels) if mixing else torch.ones(channels, 1)  # (channels, channels / groups)
    layer = nn.ConvTranspose2d(
        channels, channels, len(kernel), stride=factor, padding=(factor - factor % 2) // 2, groups=groups, bias=False
    )
    with torch.no_grad():
        layer.weight.copy_(channel_map[:, :, None, None] * kernel)
    return layer
