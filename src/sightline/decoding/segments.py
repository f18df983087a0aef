"""Scores in the network's frame → a class for each pixel of the original image.

The scores are resampled, then the largest is taken: a class index cannot be averaged, and nearest neighbours of it would
show the network's coarser pixels. Pixel (i, j) is the square from (j, i) to (j + 1, i + 1); its centre (j + 0.5, i + 0.5)
is what the frame maps.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

_WHOLE = 0.01  # pixels: a frame is kept in 32 bits


def restored(
    score: Float[Tensor, "k h w"], frame: Float[Tensor, "3 3"], natural: tuple[int, int]
) -> Int[Tensor, "height width"]:
    """The class of each pixel of the original image, (H, W) = `natural`; of equal scores the lowest class.

    score    of each class at each pixel of the network's frame
    frame    affine, maps a point (x, y, 1) of the original to the scores' pixels. Between pixel centres scores are bilinear,
             beyond the outermost ones they stay as there. Where the original covers whole pixels (it was stretched, or
             padded), those around them say nothing about it.
    """
    rows, columns = (_covered(frame, axis, natural, score.shape[2 - axis]) for axis in (1, 0))
    if rows is not None and columns is not None:
        seen = score[None, :, rows, columns]  # (1, k, i, j)
        if seen.shape[2:] != natural:
            seen = F.interpolate(seen, natural, mode="bilinear", align_corners=False)
    else:
        grid = _places(frame, natural, score).to(score)[None]  # (1, H, W, 2)
        seen = F.grid_sample(score[None], grid, mode="bilinear", padding_mode="border", align_corners=False)
    return seen[0].max(0).indices  # (k, H, W) → (H, W); argmax takes six times as long on a CPU


def _covered(frame: Float[Tensor, "3 3"], axis: int, natural: tuple[int, int], side: int) -> slice | None:
    """The pixels of the scores, along x (0) or y (1), that the original covers exactly; None where it covers parts of
    pixels, reaches beyond them, or lies turned or mirrored."""
    row = frame[axis].tolist()
    scale, turned, start = row[axis], row[1 - axis], row[2]
    stop = start + scale * natural[1 - axis]
    first, last = round(start), round(stop)
    exact = abs(start - first) < _WHOLE and abs(stop - last) < _WHOLE
    return slice(first, last) if exact and turned == 0 and 0 <= first < last <= side else None


def _places(frame: Float[Tensor, "3 3"], natural: tuple[int, int], score: Float[Tensor, "k h w"]) -> Tensor:
    """(H, W, 2): where the centre of each pixel lies among the scores, from -1 to 1, edge to edge."""
    height, width = natural
    x = torch.arange(width, dtype=torch.float64)[None, :, None] + 0.5  # (1, W, 1)
    y = torch.arange(height, dtype=torch.float64)[:, None, None] + 0.5  # (H, 1, 1)
    across, down, shift = frame[:2].cpu().double().T  # (2,) each
    sides = torch.tensor([score.shape[2], score.shape[1]])  # width, height
    return (across * x + down * y + shift) * 2 / sides - 1
