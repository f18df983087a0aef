"""Which places learn which object, decided anew at every step by how well the network answers there.

    simota   Ge et al. 2021, arXiv:2107.08430, section 2, "SimOTA", as in Megvii's code: the places of lowest cost, as many
             for an object as the IoUs of its ten best places add up to
    soft     Lyu et al. 2022, arXiv:2212.07784 (RTMDet), section 3.4: the same with soft labels in the cost of the class, and
             a cost that grows with the distance from the object's centre

Pure functions of one image: n places, t objects. Nothing here has a gradient.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F

from sightline.structures.boxes import iou

RADIUS = 2.5  # strides around the centre of an object in which places are candidates
CANDIDATES = 10  # places whose IoUs add up to the number that an object gets
CANDIDATES_SOFT = 13
IOU_WEIGHT = 3.0
OUTSIDE = 100_000.0  # added to the cost of a place that is not both in the object's box and near its centre
SOFT_RADIUS = 3.0  # strides; from this distance the cost of the centre exceeds 1
EPS = 1e-8


class Assignment(NamedTuple):
    """`place` (p,) sorted indices of the places that learn an object, `truth` (p,) the object of each, `iou` (p,) how well
    the predicted box fits it now."""

    place: Int[Tensor, "p"]
    truth: Int[Tensor, "p"]
    iou: Float[Tensor, "p"]


class Predicted(NamedTuple):
    """What the network answers for one image: `boxes` (n, 4) xyxy, `score` (n, k) probability of each class."""

    boxes: Float[Tensor, "n 4"]
    score: Float[Tensor, "n k"]


class Objects(NamedTuple):
    """The true objects of one image: `boxes` (t, 4) xyxy, `label` (t,)."""

    boxes: Float[Tensor, "t 4"]
    label: Int[Tensor, "t"]


@torch.no_grad()
def simota(
    predicted: Predicted, objects: Objects, centre: Float[Tensor, "n 2"], stride: Float[Tensor, "n"]
) -> Assignment:
    """Candidates lie in an object's box or within 2.5 strides of its centre. The cost of a candidate is the cross-entropy of
    the root of its score with the object's class, minus three times the logarithm of its IoU, and 100,000 unless it lies in
    both. A place wanted by several objects goes to the one that it costs least."""
    inside, near, _ = _positions(objects.boxes, centre, stride)  # (t, n)
    index = (inside | near).any(0).nonzero()[:, 0]
    both = (inside & near)[:, index]
    overlap = iou(objects.boxes, predicted.boxes[index])  # (t, m)
    root = predicted.score[index].float().sqrt()  # (m, k)
    wanted = F.one_hot(objects.label, root.shape[1]).to(root.dtype)  # (t, k)
    of_class = _cross_entropy(root, wanted)  # (t, m)
    # in float64: beside 100,000, float32 has only two decimal places left for the rest
    cost = (of_class - IOU_WEIGHT * (overlap + EPS).log()).double() + OUTSIDE * ~both
    return _chosen(cost, overlap, index, CANDIDATES, torch.ones_like(both))


@torch.no_grad()
def soft_assignment(
    predicted: Predicted, objects: Objects, centre: Float[Tensor, "n 2"], stride: Float[Tensor, "n"]
) -> Assignment:
    """Candidates lie in an object's box. The cost of a candidate is CE(p, y) (y - p)² for the score p of the object's class and
    the IoU y in place of 1, minus three times the logarithm of y, plus 10^(distance in strides from the centre - 3)."""
    inside, _, distance = _positions(objects.boxes, centre, stride)
    index = inside.any(0).nonzero()[:, 0]
    inside = inside[:, index]
    overlap = iou(objects.boxes, predicted.boxes[index])  # (t, m)
    score = predicted.score[index].float()  # (m, k)
    own = F.one_hot(objects.label, score.shape[1]).to(score.dtype)[:, None] * overlap[..., None]  # (t, m, k)
    of_class = F.binary_cross_entropy(score.expand_as(own), own, reduction="none") * (own - score).square()
    of_centre = 10.0 ** (distance[:, index].clamp(max=30.0) - SOFT_RADIUS)
    cost = of_class.sum(-1) - IOU_WEIGHT * (overlap + EPS).log() + of_centre
    return _chosen(cost.where(inside, float("inf")), overlap.where(inside, 0.0), index, CANDIDATES_SOFT, inside)


def _positions(
    boxes: Float[Tensor, "t 4"], centre: Float[Tensor, "n 2"], stride: Float[Tensor, "n"]
) -> tuple[Bool[Tensor, "t n"], Bool[Tensor, "t n"], Float[Tensor, "t n"]]:
    """Which places lie in each box; which within `RADIUS` strides of its centre (a square); their distance in strides."""
    x, y = centre[None, :, 0], centre[None, :, 1]  # (1, n)
    x1, y1, x2, y2 = (edge[:, None] for edge in boxes.unbind(1))  # (t, 1)
    inside = torch.stack((x - x1, y - y1, x2 - x, y2 - y)).amin(0) > 0
    across, down = ((x - (x1 + x2) / 2) / stride).abs(), ((y - (y1 + y2) / 2) / stride).abs()
    return inside, torch.maximum(across, down) < RADIUS, torch.hypot(across, down)


def _cross_entropy(p: Float[Tensor, "m k"], wanted: Float[Tensor, "t k"]) -> Float[Tensor, "t m"]:
    """Binary cross-entropies of every place with every object, summed over classes; logarithms are at least -100."""
    yes, no = p.log().clamp(min=-100.0), (1 - p).log().clamp(min=-100.0)  # (m, k)
    return -(wanted @ yes.T + (1 - wanted) @ no.T)


def _chosen(
    cost: Float[Tensor, "t m"],
    overlap: Float[Tensor, "t m"],
    index: Int[Tensor, "m"],
    candidates: int,
    allowed: Bool[Tensor, "t m"],
) -> Assignment:
    """For each object its places of lowest cost, as many as the sum of its best IoUs rounds down to, at least one."""
    if not cost.numel():
        return Assignment(index[:0], index[:0], overlap.new_zeros(0))
    number = overlap.topk(min(candidates, overlap.shape[1]), dim=1).values.sum(1).int().clamp(min=1)  # (t,)
    rank = cost.argsort(dim=1, stable=True).argsort(dim=1, stable=True)  # (t, m): 0 for the lowest cost
    matched = (rank < number[:, None]) & allowed
    contested = matched.sum(0) > 1
    cheapest = F.one_hot(cost.argmin(0), len(cost)).T.bool()  # (t, m)
    matched = torch.where(contested, cheapest, matched)
    column = matched.any(0).nonzero()[:, 0]
    truth = matched[:, column].int().argmax(0)
    return Assignment(index[column], truth, overlap[truth, column])
