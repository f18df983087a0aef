"""Images as sequences: cut into square patches, each of them one token.

    Dosovitskiy et al. 2020, arXiv:2010.11929: flatten each patch and send it through one dense layer

That is a convolution whose stride is its kernel, which is how networks compute it; `embed_patches` is the sentence above.
"""

from __future__ import annotations

import math

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from sightline.errors import UsageError


def patch_grid(image_size: tuple[int, int], patch: int) -> tuple[int, int]:
    """(rows, columns) of patches in an image. UsageError where pixels would be left over, with the nearest size."""
    height, width = image_size
    if height % patch or width % patch:
        near = [patch * max(1, (side + patch // 2) // patch) for side in image_size]
        raise UsageError(f"patches of {patch} do not tile {height}x{width} pixels", f"use {near[0]}x{near[1]}")
    return height // patch, width // patch


def patches(x: Float[Tensor, "b c h w"], patch: int) -> Float[Tensor, "b n v"]:
    """Row by row, each flattened to c · patch · patch values, channel by channel."""
    rows, columns = patch_grid((x.shape[2], x.shape[3]), patch)
    x = x.unflatten(3, (columns, patch)).unflatten(2, (rows, patch))  # (b, c, rows, patch, columns, patch)
    return x.permute(0, 2, 4, 1, 3, 5).flatten(3).flatten(1, 2)  # (b, rows · columns, c · patch · patch)


def patch_convolution(in_channels: int, width: int, patch: int) -> nn.Conv2d:
    """A token of `width` numbers from each patch. Starts from LeCun's variance 1 / fan-in, cut off, as torchvision's."""
    convolution = nn.Conv2d(in_channels, width, patch, stride=patch)
    nn.init.trunc_normal_(convolution.weight, std=math.sqrt(1 / (in_channels * patch**2)))
    nn.init.zeros_(convolution.get_parameter("bias"))
    return convolution


def embed_patches(x: Float[Tensor, "b c h w"], convolution: nn.Conv2d) -> Float[Tensor, "b n d"]:
    """What a patch convolution computes, by flattening and a dense layer with its weights."""
    return F.linear(patches(x, convolution.stride[0]), convolution.weight.flatten(1), convolution.bias)


def as_tokens(x: Float[Tensor, "b d h w"]) -> Float[Tensor, "b n d"]:
    """A map as a sequence, row by row."""
    return x.flatten(2).transpose(1, 2)  # (b, h · w, d)


def as_map(tokens: Float[Tensor, "b n d"], grid: tuple[int, int]) -> Float[Tensor, "b d h w"]:
    """`as_tokens` undone."""
    return tokens.transpose(1, 2).unflatten(2, grid)  # (b, d, h, w)
