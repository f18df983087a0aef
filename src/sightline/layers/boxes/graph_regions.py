"""RoIAlign on a pyramid for graphs that leave torch: the numbers of `pyramid_roi_align`, by operations that every format has.

`embedding_bag` becomes a loop over bags in ONNX, and ONNX's own RoiAlign reads one map, channel by channel: pooling on
four levels to choose one took ten times as long as this. Here all maps are one table with a row for each pixel, whose
rows are gathered and weighted: 784 rows for a region of 7 x 7 cells, so callers pool a few hundred regions at a time.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from .regions import fixed_taps, pyramid_level

_SAMPLES = 2  # per cell and side, as `pyramid_roi_align` takes by default


def pyramid_table(maps: Sequence[Float[Tensor, "b c _h _w"]]) -> Float[Tensor, "b p c"]:
    """A row for each pixel of all maps, finest first."""
    return torch.cat([x.flatten(2).transpose(1, 2) for x in maps], 1)


def pyramid_sizes(size: tuple[int, int], strides: Sequence[int]) -> list[tuple[int, int]]:
    """Height and width of each map for an image of `size`, whose sides are multiples of every stride."""
    return [(size[0] // stride, size[1] // stride) for stride in strides]


def table_roi_align(
    table: Float[Tensor, "b p c"],
    boxes: Float[Tensor, "n 4"],
    sample: Int[Tensor, "n"],
    *,
    sizes: Sequence[tuple[int, int]],
    strides: Sequence[int],
    output: int,
) -> Float[Tensor, "n c i j"]:
    """`pyramid_roi_align` from the table of maps of these sizes and strides."""
    level = pyramid_level(boxes, [round(math.log2(stride)) for stride in strides])
    starts = [sum(h * w for h, w in sizes[:i]) for i in range(len(sizes))]
    h, w, start = (level.new_tensor(values)[level] for values in (*zip(*sizes, strict=True), starts))
    base = start + sample * table.shape[1]
    edges = boxes * boxes.new_tensor([1 / stride for stride in strides])[level, None]  # (n, 4) in map pixels
    cell = (edges[:, 2:] - edges[:, :2]).clamp(min=1).flip(1) / output  # (n, 2): height, width of an output cell
    y, down = fixed_taps(edges[:, 1], cell[:, 0], h, output, _SAMPLES)  # (n, rows, 2 samples)
    x, right = fixed_taps(edges[:, 0], cell[:, 1], w, output, _SAMPLES)  # (n, columns, 2 samples)
    line = base[:, None, None] + y * w[:, None, None]
    index = line[:, :, None, :, None] + x[:, None, :, None, :]  # (n, rows, columns, 2 samples, 2 samples)
    weight = down[:, :, None, :, None] * right[:, None, :, None, :]
    taps = 4 * _SAMPLES**2
    gathered = table.flatten(0, 1)[index.reshape(-1, taps)]  # (n · rows · columns, taps, c)
    pooled = (weight.reshape(-1, 1, taps) @ gathered)[:, 0]
    return pooled.reshape(-1, output, output, table.shape[2]).permute(0, 3, 1, 2)  # (n, c, rows, columns)
