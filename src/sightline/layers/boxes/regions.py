"""Pooling of regions: a grid of fixed size from any box on a map, differentiable with respect to the map.

    roi_pool            Girshick 2015, Fast R-CNN, arXiv:1504.08083: edges rounded to pixels, the maximum of each window
    roi_align           He et al. 2017, Mask R-CNN, arXiv:1703.06870: no rounding, the mean of bilinear samples
    pyramid_roi_align   Lin et al. 2017, arXiv:1612.03144, eq. 1: each box read from the level that fits its size

All three are a weighted sum (or a maximum) over bags of pixels, for which torch has a fast kernel with a gradient on
every device: `embedding_bag` over the rows of the flattened map. Results equal torchvision's operators, including two
quirks: sampling points up to one pixel outside count as border pixels, and `aligned=False` omits the half-pixel shift,
as the paper's first code did. Boxes get no gradient.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from sightline.errors import UsageError

_PORTION = 1 << 20  # pixels gathered at once where their number depends on the boxes: bounds the memory of the indices
_Grid = int | tuple[int, int]


def roi_align(
    features: Float[Tensor, "b c h w"],
    boxes: Float[Tensor, "n 4"],
    sample: Int[Tensor, "n"],
    *,
    output: _Grid,
    scale: float | int,
    samples: int = 0,
    aligned: bool = True,
) -> Float[Tensor, "n c i j"]:
    """Mean of `samples`² bilinear samples in each cell of an `output` grid over each box: (n, c, *output).

    boxes (n, 4) xyxy in image pixels, `sample` (n,) the image of each; `scale` is map pixels per image pixel. With
    `samples=0` their number is that of map pixels in a cell, at least one (not exportable, as shapes depend on the boxes).

        x = torch.arange(16.0).view(1, 1, 4, 4)          0  1  2  3
        box = torch.tensor([[0.0, 0.0, 4.0, 4.0]])       4  5  6  7       mean of each quadrant:   2.5   4.5
        roi_align(x, box, torch.tensor([0]),             8  9 10 11                               10.5  12.5
                  output=2, scale=1.0, samples=2)       12 13 14 15
    """
    level = torch.zeros_like(sample)
    return _align([features], boxes, sample, level, _pair(output), [scale], samples, aligned)


def pyramid_roi_align(
    features: Sequence[Float[Tensor, "b c _h _w"]],
    boxes: Float[Tensor, "n 4"],
    sample: Int[Tensor, "n"],
    *,
    size: tuple[int, int],
    output: _Grid,
    samples: int = 2,
    aligned: bool = False,
    canonical_size: float | int = 224,
    canonical_level: int = 4,
) -> Float[Tensor, "n c i j"]:
    """`roi_align` from the level of a feature pyramid that fits each box (see `pyramid_level`), finest map first.

    `size` is (height, width) of the network's input; with the maps' sizes it gives the scales, rounded to powers of two.
    Shapes do not depend on the level of a box, so this is exportable with `samples` > 0.
    """
    steps = [_step(size, f) for f in features]
    level = pyramid_level(boxes, steps, canonical_size=canonical_size, canonical_level=canonical_level)
    return _align(features, boxes, sample, level, _pair(output), [2.0**-s for s in steps], samples, aligned)


def pyramid_level(
    boxes: Float[Tensor, "n 4"], steps: Sequence[int], *, canonical_size: float | int = 224, canonical_level: int = 4
) -> Int[Tensor, "n"]:
    """The index of the map that each box is read from: ⌊4 + log2(√area / 224)⌋ of eq. 1, clamped to the maps given.

    Pixels of a map are 2^step image pixels wide. With steps (2, 3, 4, 5) a box of 224 x 224 is read from step 4, index 2,
    and one of 112 x 112 from step 3, index 1.
    """
    extent = (boxes[:, 2:] - boxes[:, :2]).detach()  # (n, 2)
    side = (extent[:, 0] * extent[:, 1]).sqrt()
    level = (canonical_level + torch.log2(side / canonical_size) + 1e-6).floor()
    return level.clamp(steps[0], steps[-1]).long() - steps[0]


def roi_pool(
    features: Float[Tensor, "b c h w"],
    boxes: Float[Tensor, "n 4"],
    sample: Int[Tensor, "n"],
    *,
    output: _Grid,
    scale: float | int,
    windows: str = "covering",
) -> Float[Tensor, "n c i j"]:
    """The maximum of each window of an `output` grid over each box, whose edges are rounded to map pixels, both included.

    `windows="covering"` is the rule of Fast R-CNN's code and torchvision: from ⌊i · size / out⌋ to ⌈(i + 1) · size / out⌉,
    so that neighbours may share a row. `windows="equal"` follows the text of the paper (section 2.1, windows of about
    size / out): ⌊size / out⌋ rows each, and the last takes the remainder. 5 rows in 2 windows are 0-2 and 2-4 or 0-1 and
    2-4. A window without pixels gives 0.
    """
    if windows not in ("covering", "equal"):
        raise UsageError(f"unknown windows {windows!r}", "use 'covering' or 'equal'")
    (h, w), (rows, columns) = features.shape[2:], _pair(output)
    edges = _round_half_away(boxes.detach().to(features.dtype) * scale).long()  # (n, 4)
    top, bottom = _windows(edges[:, 1], edges[:, 3], rows, h, windows)  # (n, rows)
    left, right = _windows(edges[:, 0], edges[:, 2], columns, w, windows)  # (n, columns)
    table, corner = _rows(features), sample * h * w  # (b * h * w, c), (n,)
    pooled = [table.new_zeros(0, table.shape[1])]
    for part in _portions((bottom - top).sum(1) * (right - left).sum(1)):
        lines = _lines((bottom - top)[part], (right - left)[part])
        y, x = top[part][lines.roi, lines.row] + lines.y, left[part][lines.roi, lines.column]
        index = lines.along(corner[part][lines.roi] + y * w + x)
        pooled.append(F.embedding_bag(index, table, lines.offsets, mode="max"))
    grid = torch.cat(pooled).unflatten(0, (len(boxes), rows, columns))  # (n, rows, columns, c)
    return grid.permute(0, 3, 1, 2).to(features.dtype)


def _align(
    features: Sequence[Tensor],
    boxes: Tensor,
    sample: Tensor,
    level: Tensor,
    output: tuple[int, int],
    scales: Sequence[float],
    samples: int,
    aligned: bool,
) -> Tensor:
    """(n, c, *output): each box from its `level` of the maps."""
    table = torch.cat([_rows(f) for f in features]) if len(features) > 1 else _rows(features[0])  # (Σ b h w, c)
    boxes = boxes.detach().to(table.dtype)
    sizes = [tuple(f.shape) for f in features]
    h, w = (level.new_tensor([s[i] for s in sizes])[level] for i in (2, 3))
    starts = [0, *itertools.accumulate(b * height * width for b, _, height, width in sizes)]
    base = level.new_tensor(starts[:-1])[level] + sample * h * w  # (n,) first row of each box's map
    edges = boxes * boxes.new_tensor(scales)[level, None] - (0.5 if aligned else 0.0)  # (n, 4) in map pixels
    extent = edges[:, 2:] - edges[:, :2]  # (n, 2): width, height
    if not aligned:
        extent = extent.clamp(min=1)
    cell = extent.flip(1) / extent.new_tensor(output)  # (n, 2): height, width of an output cell
    start, size = edges[:, [1, 0]], torch.stack((h, w), 1)  # (n, 2) each: y, x
    if samples:
        y, down = fixed_taps(start[:, 0], cell[:, 0], size[:, 0], output[0], samples)  # (n, rows, 2 samples)
        x, right = fixed_taps(start[:, 1], cell[:, 1], size[:, 1], output[1], samples)  # (n, columns, 2 samples)
        line = base[:, None, None] + y * w[:, None, None]
        index = line[:, :, None, :, None] + x[:, None, :, None, :]  # (n, rows, columns, 2 samples, 2 samples)
        weight = down[:, :, None, :, None] * right[:, None, :, None, :]
        index, weight = index.reshape(-1, 4 * samples**2), weight.reshape(-1, 4 * samples**2)  # a bag for each cell
        sums = F.embedding_bag(index, table, mode="sum", per_sample_weights=weight)
    else:
        sums = _fitted_sums(table, base, w, start, cell, size, output)
    return sums.unflatten(0, (len(boxes), *output)).permute(0, 3, 1, 2).to(features[0].dtype)  # (n, c, rows, columns)


def fixed_taps(start: Tensor, cell: Tensor, size: Tensor, cells: int, samples: int) -> tuple[Tensor, Tensor]:
    """Along one axis: the pixels (n, cells, 2 samples) that each cell reads, and their weights (sum 1 inside)."""
    i = torch.arange(cells, device=start.device, dtype=start.dtype)
    k = torch.arange(samples, device=start.device, dtype=start.dtype) + 0.5
    corner = start[:, None] + i * cell[:, None]  # (n, cells)
    position = corner[:, :, None] + k * cell[:, None, None] / samples  # (n, cells, samples)
    index, weight = _taps(position, size[:, None, None])
    return index.flatten(2), weight.flatten(2) / samples  # (n, cells, 2 samples)


def _fitted_sums(
    table: Tensor, base: Tensor, w: Tensor, start: Tensor, cell: Tensor, size: Tensor, output: tuple[int, int]
) -> Tensor:
    """(n * rows * columns, c) with as many samples as map pixels in a cell, a number that differs between boxes.

    Weights of samples on the same pixel are added first, which leaves a quarter of the work.
    """
    top, tall, down = _fitted_taps(start[:, 0], cell[:, 0], size[:, 0], output[0])
    left, wide, right = _fitted_taps(start[:, 1], cell[:, 1], size[:, 1], output[1])
    sums = [table.new_zeros(0, table.shape[1])]
    for part in _portions(tall.sum(1) * wide.sum(1)):
        lines = _lines(tall[part], wide[part])
        y, x = top[part][lines.roi, lines.row] + lines.y, left[part][lines.roi, lines.column]
        index = lines.along(base[part][lines.roi] + y * w[part][lines.roi] + x)
        column = lines.along((lines.roi * output[1] + lines.column) * right.shape[2])
        weight = down[part][lines.roi, lines.row, lines.y].index_select(0, lines.line)  # (s,)
        weight *= right[part].flatten().index_select(0, column)
        sums.append(F.embedding_bag(index, table, lines.offsets, mode="sum", per_sample_weights=weight))
    return torch.cat(sums)


def _fitted_taps(start: Tensor, cell: Tensor, size: Tensor, cells: int) -> tuple[Tensor, Tensor, Tensor]:
    """Along one axis: each cell's first pixel (n, cells), number of pixels (n, cells) and their weights (n, cells, most)."""
    samples = cell.ceil().long().clamp(min=0)[:, None, None]  # (n, 1, 1)
    most = int(samples.max()) if len(samples) else 0
    i = torch.arange(cells, device=start.device)[:, None]
    k = torch.arange(most, device=start.device)
    start, cell = start[:, None, None], cell[:, None, None]
    position = start + i * cell + (k + 0.5) * cell / samples.clamp(min=1)  # (n, cells, most)
    index, weight = _taps(position, size[:, None, None])  # (n, cells, most, 2)
    real = (k < samples)[..., None]
    first = index[:, :, :1, :1] if most else index.new_zeros(len(start), cells, 1, 1)
    place = torch.where(real, index - first, 0).flatten(2)  # (n, cells, 2 most)
    weight = torch.where(real, weight / samples.clamp(min=1)[..., None], 0).flatten(2)
    table = weight.new_zeros(len(start), cells, most + 2).scatter_add_(2, place, weight)
    count = (place + real.expand_as(index).flatten(2)).amax(2) if most else first.flatten(1)
    return first.flatten(1), count, table


def _taps(position: Tensor, size: Tensor) -> tuple[Tensor, Tensor]:
    """The two pixels around each position and their weights, in a new last axis: 2.25 → pixels (2, 3), weights (0.75, 0.25).

    Positions up to one pixel outside take the border's value; beyond that the weights are 0.
    """
    inside = (position >= -1) & (position <= size)
    position = position.clamp(min=0).minimum((size - 1).to(position.dtype))
    low = position.floor()
    high_weight = position - low
    index = torch.stack((low, (low + 1).minimum((size - 1).to(low.dtype))), -1).long()
    return index, torch.stack((1 - high_weight, high_weight), -1) * inside[..., None]


def _windows(first: Tensor, last: Tensor, out: int, size: int, rule: str) -> tuple[Tensor, Tensor]:
    """Along one axis: begin and end (n, out) of the windows over the pixels first … last (n,), clipped to the map."""
    length = (last - first + 1).clamp(min=1)[:, None]  # (n, 1)
    i = torch.arange(out, device=first.device)
    if rule == "equal":
        begin, end = i * (length // out), (i + 1) * (length // out)
        end = torch.where(i == out - 1, length, end)
    else:
        bin_size = length.float() / out
        begin, end = (i * bin_size).floor().long(), ((i + 1) * bin_size).ceil().long()
    return (first[:, None] + begin).clamp(0, size), (first[:, None] + end).clamp(0, size)


class _Lines(NamedTuple):
    """The windows of grids over boxes, split into l lines of pixels, s pixels in all.

    roi, row, column (l,)   box, and row and column of its grid, that a line belongs to; y (l,) its row within the window
    begin (l,)              number of the line's first pixel, counting all pixels in order; line (s,) the line of each pixel
    offsets (g,)            number of the first pixel of each window
    """

    offsets: Int[Tensor, "g"]
    roi: Int[Tensor, "l"]
    row: Int[Tensor, "l"]
    column: Int[Tensor, "l"]
    y: Int[Tensor, "l"]
    begin: Int[Tensor, "l"]
    line: Int[Tensor, "s"]

    def along(self, first: Int[Tensor, "l"]) -> Int[Tensor, "s"]:
        """Consecutive numbers along each line, starting at `first`: lines of 2 and 3 pixels, first (7, 0) → 7 8 0 1 2."""
        return (first - self.begin).index_select(0, self.line).add_(torch.arange(len(self.line), device=first.device))


def _lines(tall: Int[Tensor, "n rows"], wide: Int[Tensor, "n columns"]) -> _Lines:
    """The lines of windows of `tall` x `wide` pixels, for every row of a grid with every column."""
    rows, columns = tall.shape[1], wide.shape[1]
    height = tall[:, :, None].expand(-1, -1, columns).flatten()  # (n * rows * columns,)
    count = (tall[:, :, None] * wide[:, None, :]).flatten()
    window = torch.arange(len(height), device=tall.device).repeat_interleave(height)
    y = torch.arange(len(window), device=tall.device) - (height.cumsum(0) - height)[window]
    roi, row, column = window // (rows * columns), window // columns % rows, window % columns
    width = wide[roi, column]
    line = torch.arange(len(window), device=tall.device).repeat_interleave(width)
    return _Lines(count.cumsum(0) - count, roi, row, column, y, width.cumsum(0) - width, line)


def _portions(count: Int[Tensor, "n"]) -> Iterator[slice]:
    """Slices of consecutive boxes with about `_PORTION` pixels each at most."""
    total = count.cumsum(0)
    steps = total.new_tensor(range(_PORTION, int(total[-1]), _PORTION) if len(total) else [])
    cuts = [0, *torch.searchsorted(total, steps).tolist(), len(total)]
    return (slice(i, j) for i, j in itertools.pairwise(cuts) if i < j)


def _rows(features: Float[Tensor, "b c h w"]) -> Float[Tensor, "p c"]:
    """A row for each pixel, in float32 at least; channels-last maps are not copied."""
    wide = features if features.dtype == torch.float64 else features.float()
    return wide.permute(0, 2, 3, 1).reshape(-1, features.shape[1])  # (b * h * w, c)


def _round_half_away(x: Tensor) -> Tensor:
    """Round half away from zero, as C does: 2.5 → 3, where torch rounds to the even 2."""
    return x.sign() * (x.abs() + 0.5).floor()


def _step(size: tuple[int, int], features: Tensor) -> int:
    """log2 of the width of a map pixel in image pixels."""
    return round(math.log2(size[0] / features.shape[2]))


def _pair(output: _Grid) -> tuple[int, int]:
    return (output, output) if isinstance(output, int) else output
