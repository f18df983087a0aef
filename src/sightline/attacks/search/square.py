"""Random search by squares: Andriushchenko, Croce, Flammarion & Hein 2020, "Square attack: a query-efficient black-box
adversarial attack via random search" (arXiv:1912.00049), maximum norm.

It asks for scores only, so a network cannot withstand it by hiding its gradients. Every pixel always sits at the edge of
the budget: the start is vertical stripes of ±ε, and each query gives one square window a new sign in every channel and
keeps it if the margin shrinks.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from sightline.attacks.draws import Ids, flat, signs
from sightline.attacks.scores import Labels, Pixels, Scores, margin
from sightline.losses.adversarial import clipped

SHARE = 0.8  # of the image that the first squares cover
_HALVINGS = (10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000)  # queries of 10,000 after which the share halves


def share(query: int, queries: int) -> float:
    """The share of the image that a square covers, by the paper's schedule stretched to `queries`."""
    return SHARE / 2 ** sum(query / queries * 10_000 > place for place in _HALVINGS)


@torch.no_grad()
def square(
    scores: Scores,
    x: Pixels,
    y: Labels,
    *,
    eps: float,
    queries: int = 1000,
    seed: int = 0,
    ids: Ids,
    target: Labels | None = None,
) -> Pixels:
    """The image (b, c, h, w) of the smallest margin, within `eps` levels of `x` in the maximum norm.

    Images that are already wrong are asked no further.
    """
    _, channels, height, width = x.shape

    def value(pixels: Pixels, rows: Tensor) -> Tensor:
        """What is to be decreased, below 0 where the attack has succeeded."""
        answer = scores(pixels).float()
        return margin(answer, y[rows]) if target is None else -margin(answer, target[rows])

    stripes = signs((channels, 1, width), seed, "square stripes", ids)
    best = clipped(x + eps * stripes, x, eps)
    least = value(best, torch.arange(len(x), device=x.device))
    for query in range(1, queries):
        rows = (least >= 0).nonzero()[:, 0]  # still right
        if not len(rows):
            break
        side = min(max(round(math.sqrt(share(query, queries) * height * width)), 1), height, width)
        place = flat((2,), seed, "square place", ids[rows], query)
        top, left = ((place[:, i] * (n - side + 1)).long() for i, n in enumerate((height, width)))
        inside = _window(top, height, side)[:, None, :, None] & _window(left, width, side)[:, None, None, :]
        change = signs((channels, 1, 1), seed, "square sign", ids[rows], query) * eps
        moved = torch.where(inside, clipped(x[rows] + change, x[rows], eps), best[rows])
        margins = value(moved, rows)
        better = margins < least[rows]
        best[rows[better]], least[rows[better]] = moved[better], margins[better]
    return best


def _window(first: Tensor, length: int, side: int) -> Tensor:
    """(b,) → (b, length): true for the `side` places from `first` on."""
    place = torch.arange(length, device=first.device)
    return (place >= first[:, None]) & (place < first[:, None] + side)
