"""Images as sequences of square patches, each of which becomes one token.

    Dosovitskiy et al. 2020, arXiv:2010.11929: flatten each patch and project it with one dense layer

That equals a convolution whose stride is its kernel, which is what networks use; `embed_patches` is the definition.
"""

from __future__ import annotations

import math

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from sightline.errors import UsageError


def patch_grid(image_size: tuple[int, int], patch: int) -> tuple[int, int]:
    """(rows, columns) of patches in an image. UsageError, with the nearest size, where patches do not tile the image."""
    height, width = image_size
    if height % patch or width % patch:
        near = [patch * max(1, (side + patch // 2) // patch) for side in image_size]
        raise UsageError(f"patches of {patch} do not tile {height}x{width} pixels", f"use {near[0]}x{near[1]}")
    return height // patch, width // patch


def patches(x: Float[Tensor, "b c h w"], patch: int) -> Float[Tensor, "b n v"]:
    """All patches in reading order, each flattened to c · patch · patch values, channel by channel.

    >>> patches(torch.arange(16.0).view(1, 1, 4, 4), 2)[0]
    tensor([[ 0.,  1.,  4.,  5.],
            [ 2.,  3.,  6.,  7.],
            [ 8.,  9., 12., 13.],
            [10., 11., 14., 15.]])
    """
    rows, columns = patch_grid((x.shape[2], x.shape[3]), patch)
    x = x.unflatten(3, (columns, patch)).unflatten(2, (rows, patch))  # (b, c, rows, patch, columns, patch)
    return x.permute(0, 2, 4, 1, 3, 5).flatten(3).flatten(1, 2)  # (b, rows · columns, c · patch · patch)


def patch_convolution(in_channels: int, width: int, patch: int) -> nn.Conv2d:
    """A token of `width` numbers from each patch, initialised as torchvision's: truncated normal of variance 1 / fan-in."""
    convolution = nn.Conv2d(in_channels, width, patch, stride=patch)
    nn.init.trunc_normal_(convolution.weight, std=math.sqrt(1 / (in_channels * patch**2)))
    nn.init.zeros_(convolution.get_parameter("bias"))
    return convolution


def embed_patches(x: Float[Tensor, "b c h w"], convolution: nn.Conv2d) -> Float[Tensor, "b n d"]:
    """The output of a patch convolution, computed by flattening patches and a dense layer with its weights."""
    return F.linear(patches(x, convolution.stride[0]), convolution.weight.flatten(1), convolution.bias)


def as_tokens(x: Float[Tensor, "b d h w"]) -> Float[Tensor, "b n d"]:
    """A map as a sequence of tokens in reading order."""
    return x.flatten(2).transpose(1, 2)  # (b, h · w, d)


def as_map(tokens: Float[Tensor, "b n d"], grid: tuple[int, int]) -> Float[Tensor, "b d h w"]:
    """A sequence of tokens as a map: the inverse of `as_tokens`."""
    return tokens.transpose(1, 2).unflatten(2, grid)  # (b, d, h, w)
