"""Scores in the network's frame → a class for each pixel of the original image.

The scores are resampled first and the largest is taken afterwards: class indexes cannot be averaged, and resampling them
by nearest neighbour would show the network's coarser pixels. Pixel (i, j) is the square from (j, i) to (j + 1, i + 1);
the frame maps its centre (j + 0.5, i + 0.5).
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from .covering import covered


def class_map(
    score: Float[Tensor, "k h w"], frame: Float[Tensor, "3 3"], natural: tuple[int, int]
) -> Int[Tensor, "height width"]:
    """The class of each pixel of the original image, (H, W) = `natural`; of equal scores the lowest class.

    score    of each class at each pixel of the network's frame
    frame    affine, maps a point (x, y, 1) of the original to the scores' pixels. Scores are interpolated bilinearly
             between pixel centres and constant beyond the outermost ones. If the original covers whole pixels (after
             stretching or padding), only these are used: the padding around them says nothing about it.
    """
    rows, columns = (covered(frame[axis].tolist(), axis, natural, score.shape[2 - axis]) for axis in (1, 0))
    if rows is not None and columns is not None:
        visible = score[None, :, rows, columns]  # (1, k, i, j)
        if visible.shape[2:] != natural:
            visible = F.interpolate(visible, natural, mode="bilinear", align_corners=False)
    else:
        grid = _places(frame, natural, score).to(score)[None]  # (1, H, W, 2)
        visible = F.grid_sample(score[None], grid, mode="bilinear", padding_mode="border", align_corners=False)
    return visible[0].max(0).indices  # (k, H, W) → (H, W); argmax takes six times as long on a CPU


def _places(frame: Float[Tensor, "3 3"], natural: tuple[int, int], score: Float[Tensor, "k h w"]) -> Tensor:
    """(H, W, 2): the centre of each pixel in `grid_sample` coordinates of the scores, -1 to 1 from edge to edge."""
    height, width = natural
    x = torch.arange(width, dtype=torch.float64)[None, :, None] + 0.5  # (1, W, 1)
    y = torch.arange(height, dtype=torch.float64)[:, None, None] + 0.5  # (H, 1, 1)
    across, down, shift = frame[:2].cpu().double().T  # (2,) each
    sides = torch.tensor([score.shape[2], score.shape[1]])  # width, height
    return (across * x + down * y + shift) * 2 / sides - 1
