"""Muon: steps that are orthogonal matrices."""

from __future__ import annotations

import math
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from .each import EachParameter, Parameters, adam_step, moment

# Coefficients of Newton and Schulz's iteration, chosen for the steepest slope at zero (Jordan et al. 2024).
NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)


class Muon(EachParameter):
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
            step = adam_step(p, gradient, state, group)
            p.mul_(kept).add_(step, alpha=-group["lr"])
            return
        mean = moment(state, p, "momentum_buffer")
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
