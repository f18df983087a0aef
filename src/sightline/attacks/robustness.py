"""Accuracy over the budget: how many images remain right, with intervals, judged on the files that were saved.

An image that was broken with a small budget is broken with every larger one, so budgets are tried in ascending order on
the images that are still right, and the curve falls monotonously by construction. It starts at the clean accuracy of
the same images. Images that were wrong before the attack are not attacked and never count as successes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Float, Int, Num, UInt8
from torch import Tensor

from .balls import ball_named
from .methods import Method, Plan
from .scores import Counted, Scores
from .share import Share

Whole = UInt8[Tensor, "b c h w"]
Keep = Callable[[int, UInt8[Tensor, "c h w"]], UInt8[Tensor, "c h w"]]  # row, image → the image as it was read back


@dataclass(frozen=True)
class Point:
    """The images that remain right with a budget of `eps` levels (None: the budget is one pixel), and those that did before
    they were rounded to whole levels."""

    eps: float | None
    saved: Share
    unrounded: Share

    def to_json(self) -> dict[str, Any]:
        return {"eps": self.eps, **self.saved.to_json(), "accuracy_before_rounding": self.unrounded.accuracy}


@dataclass(frozen=True)
class Answers:
    """What the network says of images: the class (n,) and its probability (n,)."""

    index: Int[Tensor, "n"]
    probability: Float[Tensor, "n"]

    @classmethod
    def of(cls, scores: Scores, images: Num[Tensor, "n c h w"], batch: int) -> Answers:
        with torch.no_grad():
            rows = [scores(part.float()).float().softmax(1).max(1) for part in images.split(batch)]
        return cls(torch.cat([r.indices for r in rows]), torch.cat([r.values for r in rows]))


@dataclass(frozen=True)
class Robustness:
    """The outcome of an attack.

    points     the clean accuracy (eps 0), then one point a budget
    attacked   (n, c, h, w) each image as it was saved last: where it broke, or with the largest budget
    broken_at  (n,) the number of the point at which it broke, from 1; 0: wrong before, or not attacked; -1: still right
    open       images that were attacked; with a target, those of other classes
    forwards, backwards    images that went through the network
    """

    method: Method
    plan: Plan
    points: tuple[Point, ...]
    clean: Answers
    final: Answers
    attacked: Whole
    broken_at: Int[Tensor, "n"]
    open: int
    forwards: int
    backwards: int

    @property
    def broken(self) -> int:
        return int((self.broken_at > 0).sum())

    def to_json(self) -> dict[str, Any]:
        success = Share(self.broken, self.open)
        return {
            "method": self.method.name,
            "source": self.method.source,
            "norm": self.plan.norm if self.method.budgets else "one pixel",
            "steps": self.plan.steps,
            "seed": self.plan.seed,
            "n": self.points[0].saved.n,
            "curve": [point.to_json() for point in self.points],
            "success": {
                "n": success.n,
                "broken": success.right,
                "share": success.accuracy,
                "interval": list(success.interval),
            },
            "forwards": self.forwards,
            "backwards": self.backwards,
        }


def robustness(
    scores: Scores,
    images: Whole,
    labels: Int[Tensor, "n"],
    ids: Int[Tensor, "n"],
    method: Method,
    plan: Plan,
    *,
    budgets: Sequence[float],
    target: int | None = None,
    batch: int = 64,
    keep: Keep = lambda row, image: image,
    progress: Callable[[Iterator[Any], int], Iterator[Any]] = lambda parts, total: parts,
) -> Robustness:
    """Attack the images that the network has right, with each of the budgets (levels, ascending).

    ids     key the random draws of each image
    target  the class to reach; None: any other. With a target the points count images that do not reach it
    keep    saves an image and returns what a reader finds in the file, which is what is judged
    """
    counted, quick = Counted(scores), None if plan.quick is None else Counted(plan.quick)
    clean = Answers.of(counted, images, batch)
    right = clean.index == labels
    open_ = right if target is None else right & (labels != target)
    broken_at = torch.where(open_, -1, 0)
    loose = torch.zeros_like(right)  # broken before rounding
    attacked = images.clone()
    total = Share(int(right.sum()), len(images))
    points = [Point(0.0, total, total)]
    for number, eps in enumerate(budgets if method.budgets else [0.0], 1):
        rows = (broken_at < 0).nonzero()[:, 0]
        for part in progress(iter(rows.split(batch) if len(rows) else ()), len(rows)):
            goal = None if target is None else torch.full_like(labels[part], target)
            own = replace(plan, eps=eps, target=goal, quick=quick)
            x = images[part].float()
            moved = method.attack(counted, x, labels[part], ids[part], own)
            whole = ball_named(plan.norm).rounded(moved, x, eps) if method.budgets else moved.to(torch.uint8)
            saved = torch.stack([keep(int(row), image) for row, image in zip(part.tolist(), whole, strict=True)])
            attacked[part] = saved
            loose[part] |= _succeeds(Answers.of(counted, moved, batch).index, labels[part], target)
            done = _succeeds(Answers.of(counted, saved, batch).index, labels[part], target)
            broken_at[part[done]] = number
        left, unrounded = (Share(int((right & rows).sum()), len(images)) for rows in (broken_at <= 0, ~loose))
        points.append(Point(eps if method.budgets else None, left, unrounded))
    forwards, backwards = counted.forwards + (quick.forwards if quick else 0), counted.backwards
    final = Answers.of(scores, attacked, batch)
    whole_plan = replace(plan, eps=max(budgets) if method.budgets else 0.0)
    return Robustness(
        method, whole_plan, tuple(points), clean, final, attacked, broken_at, int(open_.sum()), forwards, backwards
    )


def _succeeds(index: Tensor, labels: Tensor, target: int | None) -> Tensor:
    return index != labels if target is None else index == target
