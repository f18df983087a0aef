"""Auto-PGD on the cross-entropy: Croce & Hein 2020, "Reliable evaluation of adversarial robustness with an ensemble of
diverse parameter-free attacks" (arXiv:2003.01690), algorithm 1.

PGD with momentum whose step starts at 2 ε and is halved, with a return to the best point so far, at checkpoints where
either fewer than 75 % of the steps since the last one increased the loss, or neither the step nor the best loss has
changed since. Nobody has to choose a step size, which is what most wrong evaluations got wrong.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from sightline.attacks.balls import Ball, ball_named
from sightline.attacks.scores import Labels, Objective, Pixels, Scores, ascent, objective

MOMENTUM = 0.75
RISING = 0.75  # share of the steps between two checkpoints that must increase the loss
FIRST, SHORTER, SHORTEST = 0.22, 0.03, 0.06  # of all steps: to the first checkpoint, less each time, never below


def checkpoints(steps: int) -> list[int]:
    """The steps after which the step size is reconsidered: p₁ = 0.22, then gaps that shrink by 0.03 down to 0.06."""
    gap, last, places = max(int(FIRST * steps), 1), 0, []
    while last + gap < steps:
        last += gap
        places.append(last)
        gap = max(gap - max(int(SHORTER * steps), 1), max(int(SHORTEST * steps), 1))
    return places


@dataclass
class _Search:
    """Where the search stands for each image."""

    ball: Ball
    x: Pixels
    eps: float
    size: Float[Tensor, "b 1 1 1"]
    best: Pixels
    best_gradient: Pixels
    best_loss: Float[Tensor, "b"]

    def move(self, here: Pixels, before: Pixels, gradient: Pixels, momentum: float) -> Pixels:
        """z = P(x + η d); x' = P(x + a (z - x) + (1 - a) (x - x_before))."""
        straight = self.ball.project(here + self.size * self.ball.direction(gradient), self.x, self.eps)
        mixed = here + momentum * (straight - here) + (1 - momentum) * (here - before)
        return self.ball.project(mixed, self.x, self.eps)

    def remember(self, here: Pixels, gradient: Pixels, loss: Float[Tensor, "b"]) -> Bool[Tensor, "b"]:
        better = loss > self.best_loss
        wide = better.view(-1, 1, 1, 1)
        self.best, self.best_gradient = (
            torch.where(wide, here, self.best),
            torch.where(wide, gradient, self.best_gradient),
        )
        self.best_loss = torch.where(better, loss, self.best_loss)
        return better


def apgd(
    scores: Scores,
    x: Pixels,
    y: Labels,
    *,
    eps: float,
    steps: int = 100,
    norm: str = "linf",
    start: Pixels | None = None,
    target: Labels | None = None,
    value: Objective | None = None,
) -> Pixels:
    """The image (b, c, h, w) of the highest loss on the way, within `eps` levels of `x`; the start is `x` if it is None."""
    ball, value = ball_named(norm), value or objective(y, target)
    here = before = x if start is None else start
    loss, gradient = ascent(scores, here, value)
    search = _Search(ball, x, eps, torch.full((len(x), 1, 1, 1), 2.0 * eps).to(x), here, gradient, loss)
    places, rises = set(checkpoints(steps)), torch.zeros_like(loss)
    since, last_loss = 0, loss
    halved = torch.zeros_like(loss, dtype=torch.bool)
    for number in range(steps):
        moved = search.move(here, before, gradient, MOMENTUM if number else 1.0)
        before, here, previous = here, moved, loss
        loss, gradient = ascent(scores, here, value)
        search.remember(here, gradient, loss)
        rises, since = rises + (loss > previous), since + 1
        if number + 1 in places:
            stuck = ~halved & (last_loss >= search.best_loss)
            halved = (rises <= RISING * since) | stuck
            wide = halved.view(-1, 1, 1, 1)
            search.size = torch.where(wide, search.size / 2, search.size)
            here, gradient = torch.where(wide, search.best, here), torch.where(wide, search.best_gradient, gradient)
            loss = torch.where(halved, search.best_loss, loss)
            rises, since, last_loss = torch.zeros_like(rises), 0, search.best_loss
    return search.best
