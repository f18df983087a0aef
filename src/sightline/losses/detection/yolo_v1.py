"""The loss of YOLO: Redmon et al. 2016, arXiv:1506.02640, equation 3.

For an image, with i over all cells, j over the predictors of a cell, and the *responsible* predictor of each object:

    xy          λcoord Σ (x - x̂)² + (y - ŷ)²                  of the responsible predictors; centres in units of the cell
    wh          λcoord Σ (√w - √ŵ)² + (√h - √ĥ)²
    objects     Σ (C - Ĉ)²                                    C is the IoU of the predicted box with the object
    background  λnoobj Σ Ĉ²                                   of all other predictors of all cells
    classes     Σ over cells with an object, over classes, (p - p̂)²

The sums run over S² cells and B predictors, i = 0 … S² - 1 and j = 0 … B - 1; printed as 0 … S² and 0 … B they have one
term too many. The network predicts √w and √h, so there is no square root of its outputs. Nothing passes a gradient
through the IoU or through the choice of the predictor.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from sightline.losses.means import in_32_bits, mean_over
from sightline.structures.boxes import paired_iou
from sightline.structures.grids import CellPredictions, CellTargets

COORDINATES, BACKGROUND = 5.0, 0.5  # λcoord, λnoobj


class CellLoss(NamedTuple):
    """The five terms of each image, with their factors λ."""

    xy: Float[Tensor, "b"]
    wh: Float[Tensor, "b"]
    objects: Float[Tensor, "b"]
    background: Float[Tensor, "b"]
    classes: Float[Tensor, "b"]


def cell_loss(
    predicted: CellPredictions, targets: CellTargets, *, confidence: Float[Tensor, "t"] | None = None
) -> CellLoss:
    """The five terms of each image.

    confidence   what the responsible predictors shall answer; None: the IoU of their boxes with their objects (t,)
    """
    boxes, conf, classes = (in_32_bits(p) for p in predicted)
    images, *grid, number = conf.shape
    image, row, column = targets.cell.unbind(1)
    own = boxes[image, row, column]  # (t, n, 4)
    which, overlap = responsible(own.detach(), targets.boxes, (grid[0], grid[1]))
    at = torch.arange(len(which), device=which.device)
    box = own[at, which]  # (t, 4)
    wanted = overlap if confidence is None else confidence
    busy = torch.zeros(images, *grid, number, dtype=torch.bool, device=conf.device)
    busy[image, row, column, which] = True
    idle = ~busy & ~targets.ignored[..., None]
    true = torch.nn.functional.one_hot(targets.label, classes.shape[-1]).to(classes.dtype)

    def summed(terms: Float[Tensor, "t"]) -> Float[Tensor, "b"]:
        return terms.new_zeros(images).index_add(0, image, terms)

    return CellLoss(
        xy=COORDINATES * summed((box[:, :2] - targets.boxes[:, :2]).square().sum(1)),
        wh=COORDINATES * summed((box[:, 2:] - targets.boxes[:, 2:].sqrt()).square().sum(1)),
        objects=summed((conf[image, row, column, which] - wanted).square()),
        background=BACKGROUND * (conf.square() * idle).sum((1, 2, 3)),
        classes=summed((classes[image, row, column] - true).square().sum(1)),
    )


def mean_cell_loss(predicted: CellPredictions, targets: CellTargets) -> tuple[dict[str, Tensor], Float[Tensor, ""]]:
    """The mean of each term over the images, and their number. The loss is the sum of the means."""
    terms = cell_loss(predicted, targets)
    weight = terms.xy.new_tensor(float(len(terms.xy)))
    return {name: mean_over(term.sum(), weight)[0] for name, term in terms._asdict().items()}, weight


def responsible(
    own: Float[Tensor, "t n 4"], targets: Float[Tensor, "t 4"], grid: tuple[int, int]
) -> tuple[Int[Tensor, "t"], Float[Tensor, "t"]]:
    """For each object the predictor of its cell with the largest IoU, and that IoU; the first of several equal ones.

    own       (x, y, √width, √height) of the predictors of each object's cell; targets (x, y, width, height)
    grid      (rows, columns): a cell is 1 / columns of the image wide and 1 / rows high
    """
    predicted = torch.cat((own[..., :2], own[..., 2:].square()), -1)
    overlap = paired_iou(
        _corners(predicted, grid).flatten(0, 1), _corners(targets[:, None].expand_as(own), grid).flatten(0, 1)
    )
    best = overlap.view(own.shape[:2]).max(1)
    return best.indices, best.values


def _corners(boxes: Float[Tensor, "t n 4"], grid: tuple[int, int]) -> Float[Tensor, "t n 4"]:
    """xyxy in units of the image, around the corner of the cell."""
    centre = boxes[..., :2] / boxes.new_tensor((grid[1], grid[0]))
    return torch.cat((centre - boxes[..., 2:] / 2, centre + boxes[..., 2:] / 2), -1)
