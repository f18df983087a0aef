"""The attacks by name, each with the budgets and the number of steps that it has unless others are asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from sightline.errors import UsageError, nearest

from .balls import ball_named
from .draws import Ids
from .gradient.apgd import apgd
from .gradient.fgsm import fgsm
from .gradient.pgd import pgd
from .scores import Labels, Objective, Pixels, Scores
from .search.one_pixel import POPULATION, one_pixel
from .search.square import square

LEVELS = (1.0, 2.0, 4.0, 8.0)  # of 255
LENGTHS = (32.0, 64.0, 128.0)  # Euclidean, in levels


@dataclass(frozen=True)
class Plan:
    """What an attack is asked for. `eps` in levels; `target` the classes (b,) to reach, None: any other; `value` what is to
    be increased of the function's answers, None: the cross-entropy; `quick` nearly the same function, but faster, by which a
    search compares its candidates."""

    eps: float
    steps: int
    norm: str = "linf"
    seed: int = 0
    target: Labels | None = None
    value: Objective | None = None
    quick: Scores | None = None


Attack = Callable[[Scores, Pixels, Labels, Ids, Plan], Tensor]


@dataclass(frozen=True)
class Method:
    """`steps` by default, and what they count; `budgets`: whether there is an eps; `gradients`: whether it needs them, and
    so increases whatever a gradient can be asked of, also where an image has no single class."""

    name: str
    title: str
    source: str
    attack: Attack
    steps: int
    unit: str
    norms: tuple[str, ...] = ("linf",)
    budgets: bool = True
    gradients: bool = True


def _start(x: Pixels, ids: Ids, plan: Plan) -> Pixels:
    return ball_named(plan.norm).start(x, plan.eps, plan.seed, ids)


def _fgsm(scores: Scores, x: Pixels, y: Labels, ids: Ids, plan: Plan) -> Tensor:
    return fgsm(scores, x, y, eps=plan.eps, target=plan.target, value=plan.value)


def _pgd(scores: Scores, x: Pixels, y: Labels, ids: Ids, plan: Plan) -> Tensor:
    start = _start(x, ids, plan)
    return pgd(
        scores, x, y, eps=plan.eps, steps=plan.steps, norm=plan.norm, start=start, target=plan.target,
        value=plan.value,
    )  # fmt: skip


def _apgd(scores: Scores, x: Pixels, y: Labels, ids: Ids, plan: Plan) -> Tensor:
    start = _start(x, ids, plan)
    return apgd(
        scores, x, y, eps=plan.eps, steps=plan.steps, norm=plan.norm, start=start, target=plan.target,
        value=plan.value,
    )  # fmt: skip


def _square(scores: Scores, x: Pixels, y: Labels, ids: Ids, plan: Plan) -> Tensor:
    return square(scores, x, y, eps=plan.eps, queries=plan.steps, seed=plan.seed, ids=ids, target=plan.target)


def _one_pixel(scores: Scores, x: Pixels, y: Labels, ids: Ids, plan: Plan) -> Tensor:
    return one_pixel(
        scores,
        x,
        y,
        population=POPULATION,
        generations=plan.steps,
        seed=plan.seed,
        ids=ids,
        target=plan.target,
        quick=plan.quick,
    ).to(torch.float32)


METHODS = {
    method.name: method
    for method in (
        Method("fgsm", "Fast gradient sign", "Goodfellow et al. 2014, arXiv:1412.6572", _fgsm, 1, "step"),
        Method(
            "pgd", "Projected gradient descent", "Madry et al. 2017, arXiv:1706.06083", _pgd, 20, "steps",
            norms=("linf", "l2"),
        ),
        Method(
            "apgd", "Auto-PGD on the cross-entropy", "Croce & Hein 2020, arXiv:2003.01690", _apgd, 50, "steps",
            norms=("linf", "l2"),
        ),
        Method(
            "square", "Square attack", "Andriushchenko et al. 2020, arXiv:1912.00049", _square, 1000, "queries",
            gradients=False,
        ),
        Method(
            "one-pixel", "One pixel", "Su et al. 2019, arXiv:1710.08864", _one_pixel, 30, "generations",
            budgets=False, gradients=False,
        ),
    )
}  # fmt: skip


def method_named(name: str) -> Method:
    if name not in METHODS:
        raise UsageError(f"unknown attack {name!r}", nearest(name, METHODS))
    return METHODS[name]
