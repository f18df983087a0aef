"""Update rules as equations, for reading and for drawing trajectories. Training uses torch's optimisers (`optimizers`).

Each takes the weights w, their gradient g, its memory (initially {}) and its rates, and returns the new weights and
memory; only Nesterov's asks for the gradient at a place of its own. Sources: Polyak 1964; Nesterov 1983; Sutskever et al.
2013; Duchi et al. 2011; Tieleman & Hinton 2012; Zeiler, arXiv:1212.5701; Kingma & Ba, arXiv:1412.6980.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal, get_args

import torch
from torch import Tensor

from sightline.errors import UsageError
from sightline.registry import suggestion

Memory = Mapping[str, Tensor]
Form = Literal["average", "sum", "alexnet", "nesterov"]
_FORMS = get_args(Form)


def sgd(w: Tensor, g: Tensor, memory: Memory, *, lr: float, weight_decay: float = 0.0) -> tuple[Tensor, Memory]:
    """w - lr (g + decay · w)."""
    return w - lr * (g + weight_decay * w), {}


def momentum(
    w: Tensor,
    g: Tensor,
    memory: Memory,
    *,
    lr: float,
    beta: float = 0.9,
    weight_decay: float = 0.0,
    form: Form = "sum",
) -> tuple[Tensor, Memory]:
    """Momentum in its four published forms; UsageError for any other.

    average   v ← βv + (1-β)g,          w ← w - lr v
    sum       v ← βv + g,               w ← w - lr v          (torch)
    alexnet   v ← βv - lr(decay·w + g), w ← w + v             (Krizhevsky 2012; the same path as sum at constant lr)
    nesterov  v ← βv + g,               w ← w - lr (g + βv)   (torch)
    """
    if form not in _FORMS:
        raise UsageError(f"unknown momentum form {form!r}", suggestion(str(form), dict.fromkeys(_FORMS), {}))
    g = g + weight_decay * w
    v = memory.get("v", torch.zeros_like(w))
    if form == "average":
        v = beta * v + (1.0 - beta) * g
        return w - lr * v, {"v": v}
    if form == "alexnet":
        v = beta * v - lr * g
        return w + v, {"v": v}
    v = beta * v + g
    return w - lr * (g + beta * v if form == "nesterov" else v), {"v": v}


def nesterov(
    w: Tensor, gradient: Callable[[Tensor], Tensor], memory: Memory, *, lr: float, beta: float = 0.9
) -> tuple[Tensor, Memory]:
    """Nesterov's momentum as published: the gradient is that of the place to which the velocity alone would lead.

    v ← βv - lr ∇L(w + βv),   w ← w + v        (Sutskever et al. 2013)

    `momentum(form="nesterov")` walks the places w + βv of this path: torch's form, which needs no second place.
    """
    v = memory.get("v", torch.zeros_like(w))
    v = beta * v - lr * gradient(w + beta * v)
    return w + v, {"v": v}


def adagrad(w: Tensor, g: Tensor, memory: Memory, *, lr: float, eps: float = 1e-7) -> tuple[Tensor, Memory]:
    """Divide the step by the root of the sum of all squared gradients so far."""
    cache = memory.get("cache", torch.zeros_like(w)) + g**2
    return w - lr * g / (cache.sqrt() + eps), {"cache": cache}


def rmsprop(
    w: Tensor, g: Tensor, memory: Memory, *, lr: float, beta: float = 0.99, eps: float = 1e-7
) -> tuple[Tensor, Memory]:
    """AdaGrad with an exponential average in place of the sum."""
    cache = beta * memory.get("cache", torch.zeros_like(w)) + (1.0 - beta) * g**2
    return w - lr * g / (cache.sqrt() + eps), {"cache": cache}


def adadelta(
    w: Tensor, g: Tensor, memory: Memory, *, lr: float = 1.0, rho: float = 0.9, eps: float = 1e-6
) -> tuple[Tensor, Memory]:
    """The step is the root of the averaged squared steps over that of the averaged squared gradients: it has the units of
    the weights, so that no learning rate is needed (lr = 1)."""
    square = rho * memory.get("square", torch.zeros_like(w)) + (1.0 - rho) * g**2
    moved = memory.get("moved", torch.zeros_like(w))
    step = (moved + eps).sqrt() / (square + eps).sqrt() * g
    return w - lr * step, {"square": square, "moved": rho * moved + (1.0 - rho) * step**2}


def adam(
    w: Tensor,
    g: Tensor,
    memory: Memory,
    *,
    lr: float,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    correct_bias: bool = True,
) -> tuple[Tensor, Memory]:
    """Averages of gradient and square, each divided by its bias 1 - β^t (t from 1); the memory holds the uncorrected ones."""
    t = memory.get("t", w.new_zeros(())) + 1
    m = betas[0] * memory.get("m", torch.zeros_like(w)) + (1.0 - betas[0]) * g
    v = betas[1] * memory.get("v", torch.zeros_like(w)) + (1.0 - betas[1]) * g**2
    step, square = (m / (1.0 - betas[0] ** t), v / (1.0 - betas[1] ** t)) if correct_bias else (m, v)
    return w - lr * step / (square.sqrt() + eps), {"t": t, "m": m, "v": v}
