"""Optimisers that torch does not have, or not for convolutions: Lion, LAMB and Muon. All decay weights apart from the gradient.

Shapes: a parameter of any shape has a gradient and moments of the same shape.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.optim import Optimizer

Parameters = Iterable[Tensor] | Iterable[dict[str, Any]]
# Coefficients of Newton and Schulz's iteration, chosen for the steepest slope at zero (Jordan et al. 2024).
NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)


class _EachParameter(Optimizer):
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


class Lion(_EachParameter):
    """Every coordinate moves by the rate, in the direction of the sign of a mean of gradients (Chen et al. 2023,
    arXiv:2302.06675, algorithm 2). Rates are 3 to 10 times smaller than AdamW's, decays as much larger."""

    def __init__(
        self, params: Parameters, lr: float = 1e-4, betas: tuple[float, float] = (0.9, 0.99), weight_decay: float = 0.0
    ) -> None:
        super().__init__(params, {"lr": lr, "betas": betas, "weight_decay": weight_decay})

    def update(self, p: Tensor, gradient: Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
        beta1, beta2 = group["betas"]
        mean = _first(state, p, "exp_avg")
        p.mul_(1 - group["lr"] * group["weight_decay"])
        p.add_(mean.lerp(gradient, 1 - beta1).sign_(), alpha=-group["lr"])
        mean.lerp_(gradient, 1 - beta2)


class Lamb(_EachParameter):
    """Adam whose step for each layer is as long as the rate times the norm of its weights, for very large batches (You et al.
    2019, arXiv:1904.00962, algorithm 2). A layer whose weights or step are zero takes Adam's own step."""

    def __init__(
        self,
        params: Parameters,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-6,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay})

    def update(self, p: Tensor, gradient: Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
        step = _adam(p, gradient, state, group).add_(p, alpha=group["weight_decay"])
        weights, length = p.norm(), step.norm()
        trust = torch.where((weights > 0) & (length > 0), weights / length, torch.ones_like(length))
        p.add_(step.mul_(trust), alpha=-group["lr"])


class Muon(_EachParameter):
    """Momentum whose matrix is replaced by the nearest orthogonal one (Jordan et al. 2024, kellerjordan.github.io/posts/muon).

    A convolution's weight (o, i, h, w) is the matrix (o, i·h·w). The step is scaled by 0.2 √(larger side), the root mean square
    of AdamW's steps (Liu et al. 2025, arXiv:2502.16982), so that AdamW's rates hold. Biases and scales of normalisation, which
    are no matrices, take AdamW's steps at the same rate. torch.optim.Muon takes matrices only.
    """

    def __init__(
        self,
        params: Parameters,
        lr: float = 2e-3,
        momentum: float = 0.95,
        weight_decay: float = 0.0,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
    ) -> None:
        super().__init__(
            params, {"lr": lr, "momentum": momentum, "betas": betas, "eps": eps, "weight_decay": weight_decay}
        )

    def update(self, p: Tensor, gradient: Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
        kept = 1 - group["lr"] * group["weight_decay"]
        if p.dim() < 2:
            step = _adam(p, gradient, state, group)
            p.mul_(kept).add_(step, alpha=-group["lr"])
            return
        mean = _first(state, p, "momentum_buffer")
        mean.lerp_(gradient, 1 - group["momentum"])
        ahead = gradient.lerp(mean, group["momentum"]).flatten(1)  # Nesterov's; (o, …) → (o, n)
        rate = group["lr"] * 0.2 * math.sqrt(max(ahead.shape))
        p.mul_(kept).add_(orthogonal(ahead).view_as(p).to(p.dtype), alpha=-rate)


def orthogonal(x: Float[Tensor, "m n"], steps: int = 5) -> Float[Tensor, "m n"]:
    """Nearly U Vᵀ of x = U S Vᵀ, by five of Newton and Schulz's iterations in bfloat16: singular values end between about 0.7
    and 1.2, which is close enough for a step."""
    a, b, c = NEWTON_SCHULZ
    wide = x.shape[0] <= x.shape[1]
    y = x.bfloat16() if wide else x.bfloat16().T
    y = y / y.norm().clamp(min=1e-7)
    for _ in range(steps):
        square = y @ y.T
        y = torch.addmm(y, torch.addmm(square, square, square, beta=b, alpha=c), y, beta=a)
    return y if wide else y.T


def _first(state: dict[str, Any], p: Tensor, name: str) -> Tensor:
    """The moment of this name, zero before the first step."""
    if name not in state:
        state[name] = torch.zeros_like(p, memory_format=torch.preserve_format)
    moment: Tensor = state[name]
    return moment


def _adam(p: Tensor, gradient: Tensor, state: dict[str, Any], group: dict[str, Any]) -> Tensor:
    """Adam's step before the rate, with bias correction (Kingma & Ba 2015, arXiv:1412.6980)."""
    beta1, beta2 = group["betas"]
    if "step" not in state:
        state["step"] = torch.zeros(())
    state["step"] += 1
    t = float(state["step"])
    mean, square = _first(state, p, "exp_avg"), _first(state, p, "exp_avg_sq")
    mean.lerp_(gradient, 1 - beta1)
    square.mul_(beta2).addcmul_(gradient, gradient, value=1 - beta2)
    spread = (square / (1 - beta2**t)).sqrt_().add_(group["eps"])
    return (mean / (1 - beta1**t)).div_(spread)
