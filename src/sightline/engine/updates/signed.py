"""Lion and LAMB: steps of one length for every coordinate, or in proportion to each layer's weights."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .each import EachParameter, Parameters, adam_step, moment


class Lion(EachParameter):
    """Every coordinate moves by the rate, in the direction of the sign of a mean of gradients (Chen et al. 2023,
    arXiv:2302.06675, algorithm 2). Rates are 3 to 10 times smaller than AdamW's, decays as much larger."""

    def __init__(
        self, params: Parameters, lr: float = 1e-4, betas: tuple[float, float] = (0.9, 0.99), weight_decay: float = 0.0
    ) -> None:
        super().__init__(params, {"lr": lr, "betas": betas, "weight_decay": weight_decay})

    def update(self, p: Tensor, gradient: Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
        beta1, beta2 = group["betas"]
        mean = moment(state, p, "exp_avg")
        p.mul_(1 - group["lr"] * group["weight_decay"])
        p.add_(mean.lerp(gradient, 1 - beta1).sign_(), alpha=-group["lr"])
        mean.lerp_(gradient, 1 - beta2)


class Lamb(EachParameter):
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
        step = adam_step(p, gradient, state, group).add_(p, alpha=group["weight_decay"])
        weights, length = p.norm(), step.norm()
        trust = torch.where((weights > 0) & (length > 0), weights / length, torch.ones_like(length))
        p.add_(step.mul_(trust), alpha=-group["lr"])
