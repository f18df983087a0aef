"""Objects in the cells of a grid: which cell learns an object, and which of its predictors answers for it.

Redmon et al. 2016, YOLO, arXiv:1506.02640, section 2: the cell in which an object's centre lies, and in it the predictor
whose box has the largest IoU with the object
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from sightline.structures.boxes import area, coverage
from sightline.structures.grids import CellPredictions, CellTargets


def cell_targets(
    boxes: Float[Tensor, "n 4"],
    label: Int[Tensor, "n"],
    sample: Int[Tensor, "n"],
    ignore: Bool[Tensor, "n"],
    *,
    images: int,
    size: tuple[int, int],
    grid: tuple[int, int],
) -> CellTargets:
    """The cell of each object. A cell can learn one object, so the largest of those with their centre in it is chosen; objects
    without area are left out.

    boxes (n, 4) xyxy in pixels of images of `size` (height, width); `grid` (rows, columns)

        one object (32, 0, 96, 64) in an image of 128 x 128, grid 4 x 4:  centre (64, 32), cells of 32 pixels
        cell (row 1, column 2), centre (0, 0) inside the cell, size (0.5, 0.5)
    """
    edge = boxes.new_tensor((size[1], size[0]))  # width, height
    cells = boxes.new_tensor((grid[1], grid[0]))
    centre = (boxes[:, :2] + boxes[:, 2:]) / 2 / edge * cells  # (n, 2) x, y in cells
    column, row = (centre[:, i].floor().long().clamp(0, grid[1 - i] - 1) for i in range(2))
    place = (sample * grid[0] + row) * grid[1] + column  # (n,)
    large = area(boxes)
    order = (-large).argsort(stable=True)
    order = order[((large > 0) & ~ignore)[order]]
    order = order[place[order].argsort(stable=True)]  # cell by cell, the largest first
    first = torch.ones_like(order, dtype=torch.bool)
    first[1:] = place[order][1:] != place[order][:-1]
    kept = order[first]
    inside = centre[kept] - torch.stack((column, row), 1)[kept]
    extent = (boxes[kept, 2:] - boxes[kept, :2]) / edge
    return CellTargets(
        cell=torch.stack((sample, row, column), 1)[kept],
        boxes=torch.cat((inside, extent), 1),
        label=label[kept],
        truth=kept,
        ignored=_ignored(boxes[ignore], sample[ignore], images, size, grid),
    )


def _ignored(
    regions: Tensor, sample: Tensor, images: int, size: tuple[int, int], grid: tuple[int, int]
) -> Bool[Tensor, "b h w"]:
    """Cells of which more than half lies in a region that is neither object nor background."""
    marked = torch.zeros(images, grid[0] * grid[1], device=regions.device)
    if len(regions):
        y = torch.linspace(0, size[0], grid[0] + 1, device=regions.device)
        x = torch.linspace(0, size[1], grid[1] + 1, device=regions.device)
        low = torch.cartesian_prod(y[:-1], x[:-1]).flip(1)
        cells = torch.cat((low, torch.cartesian_prod(y[1:], x[1:]).flip(1)), 1)  # (h * w, 4)
        covered = coverage(cells, regions) > 0.5  # (h * w, r)
        marked.index_add_(0, sample, covered.T.to(marked.dtype))
    return (marked > 0).view(images, *grid)


def cell_boxes(predicted: CellPredictions, size: tuple[int, int]) -> Float[Tensor, "b h w n 4"]:
    """The predicted boxes, xyxy in pixels of an image of `size` (height, width)."""
    height, width = predicted.boxes.shape[1:3]
    x = torch.arange(width, device=predicted.boxes.device)[None, :, None]
    y = torch.arange(height, device=predicted.boxes.device)[:, None, None]
    numbers = predicted.boxes.float()
    centre_x, centre_y = (numbers[..., 0] + x) * (size[1] / width), (numbers[..., 1] + y) * (size[0] / height)
    half_x, half_y = numbers[..., 2].square() * (size[1] / 2), numbers[..., 3].square() * (size[0] / 2)
    return torch.stack((centre_x - half_x, centre_y - half_y, centre_x + half_x, centre_y + half_y), -1)
