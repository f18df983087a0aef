"""The base of optimisers whose update of a parameter depends on no other parameter, and what they share."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

Parameters = Iterable[Tensor] | Iterable[dict[str, Any]]


class EachParameter(Optimizer):
    """An optimiser whose update of a parameter depends on no other parameter."""

    def update(self, p: Tensor, gradient: Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
        """Move `p` in place."""
        raise NotImplementedError

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:  # type: ignore[override]
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    self.update(p, p.grad, self.state[p], group)
        return loss


def moment(state: dict[str, Any], p: Tensor, name: str) -> Tensor:
    """The moment of this name, zero before the first step."""
    if name not in state:
        state[name] = torch.zeros_like(p, memory_format=torch.preserve_format)
    moment: Tensor = state[name]
    return moment


def adam_step(p: Tensor, gradient: Tensor, state: dict[str, Any], group: dict[str, Any]) -> Tensor:
    """Adam's step before the rate, with bias correction (Kingma & Ba 2015, arXiv:1412.6980)."""
    beta1, beta2 = group["betas"]
    if "step" not in state:
        state["step"] = torch.zeros(())
    state["step"] += 1
    t = float(state["step"])
    mean, square = moment(state, p, "exp_avg"), moment(state, p, "exp_avg_sq")
    mean.lerp_(gradient, 1 - beta1)
    square.mul_(beta2).addcmul_(gradient, gradient, value=1 - beta2)
    spread = (square / (1 - beta2**t)).sqrt_().add_(group["eps"])
    return (mean / (1 - beta1**t)).div_(spread)
