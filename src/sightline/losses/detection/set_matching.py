"""Which query answers for which object: the cheapest one-to-one assignment.

Carion et al. 2020, DETR, arXiv:2005.12872, equations 1 and 2, appendix A.2: the cost of a pair is - p(class)
+ 5 · L1 distance + 2 · (- GIoU), solved by the Hungarian algorithm (Kuhn 1955) in SciPy
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from sightline.structures.boxes import giou

L1, GIOU = 5.0, 2.0


def corners(places: Float[Tensor, "*n 4"]) -> Float[Tensor, "*n 4"]:
    """(x, y, width, height) around the centre → xyxy."""
    half = places[..., 2:] / 2
    return torch.cat((places[..., :2] - half, places[..., :2] + half), -1)


def places_of(boxes: Float[Tensor, "t 4"], size: Int[Tensor, "t 2"]) -> Float[Tensor, "t 4"]:
    """xyxy in pixels → centre, width, height in units of each box's image of `size` (height, width)."""
    edge = size.flip(1).to(boxes.dtype)
    return torch.cat(((boxes[:, :2] + boxes[:, 2:]) / 2 / edge, (boxes[:, 2:] - boxes[:, :2]) / edge), 1)


def pair_costs(
    logits: Float[Tensor, "q c"], places: Float[Tensor, "q 4"], label: Int[Tensor, "t"], true: Float[Tensor, "t 4"]
) -> Float[Tensor, "q t"]:
    """The cost of each pair of a query and an object; `places` and `true` are (x, y, width, height) in units of the image."""
    probability = logits.float().softmax(-1)[:, label]
    distance = torch.cdist(places.float(), true.float(), p=1)
    return L1 * distance - probability - GIOU * giou(corners(places.float()), corners(true.float()))


@torch.no_grad()
def match_set(costs: Float[Tensor, "q t"]) -> tuple[Int[Tensor, "m"], Int[Tensor, "m"]]:
    """The queries and the objects of the cheapest assignment, m = min(q, t) pairs. Costs that are no numbers count as very
    large, so that a diverged step is found by its loss."""
    from scipy.optimize import linear_sum_assignment  # half a second that importing this package should not cost

    finite = torch.nan_to_num(costs.double(), nan=1e9, posinf=1e9, neginf=-1e9).cpu().numpy()
    query, truth = linear_sum_assignment(finite)
    return torch.as_tensor(query, device=costs.device), torch.as_tensor(truth, device=costs.device)
