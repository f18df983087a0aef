"""Projected gradient descent: Madry et al. 2017 (arXiv:1706.06083), in the maximum norm or the Euclidean one."""

from __future__ import annotations

from sightline.attacks.balls import ball_named
from sightline.attacks.scores import Labels, Objective, Pixels, Scores, ascent, objective
from sightline.losses.adversarial import REACH


def pgd(
    scores: Scores,
    x: Pixels,
    y: Labels,
    *,
    eps: float,
    steps: int = 20,
    step: float | None = None,
    norm: str = "linf",
    start: Pixels | None = None,
    target: Labels | None = None,
    value: Objective | None = None,
) -> Pixels:
    """x ← project(x + α · direction(∇ₓ J)), `steps` times from `start` (None: from `x`).

    step    α in levels; None: 2.5 · eps / steps
    target  the classes (b,) to reach; None: any but y
    value   what is to be increased of the scores in place of J
    """
    ball, value = ball_named(norm), value or objective(y, target)
    size = REACH * eps / steps if step is None else step
    moved = x if start is None else start
    for _ in range(steps):
        _, gradient = ascent(scores, moved, value)
        moved = ball.project(moved + size * ball.direction(gradient), x, eps)
    return moved
