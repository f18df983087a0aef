"""Losses of a generator and its critic, as functions of the critic's scores: logits of "real", (b,).

saturating       Goodfellow et al. 2014, arXiv:1406.2661, equation 1: the generator minimises log(1 - D)
non_saturating   the same, section 3: the generator maximises log D, whose gradient does not vanish when D is right
hinge            Lim & Ye 2017, arXiv:1705.02894
least_squares    Mao et al. 2016, arXiv:1611.04076, with 1 for real and 0 for made ones
wasserstein      Arjovsky et al. 2017, arXiv:1701.07875, of a critic whose slope is held near 1
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import relu, softplus

from sightline.registry import lookup

Game = Literal["saturating", "non_saturating", "hinge", "least_squares", "wasserstein"]
GAMES: tuple[Game, ...] = get_args(Game)
Scores = Float[Tensor, "b"]


def critic_loss(game: str, real: Scores, made: Scores) -> Float[Tensor, ""]:
    """What the critic minimises; for the first two the cross-entropy of "real" and "made", log 4 where it only guesses."""
    if game in ("saturating", "non_saturating"):
        return softplus(-real).mean() + softplus(made).mean()
    if game == "hinge":
        return relu(1 - real).mean() + relu(1 + made).mean()
    if game == "least_squares":
        return ((real - 1).square().mean() + made.square().mean()) / 2
    return lookup("game", game, {"wasserstein": made.mean() - real.mean()})


def generator_loss(game: str, made: Scores) -> Float[Tensor, ""]:
    """What the generator minimises. With D = sigmoid(s) the derivative by s is -D for the saturating loss, which vanishes where
    the critic is right (D → 0), and D - 1 for the non-saturating one."""
    if game == "saturating":
        return -softplus(made).mean()  # log(1 - D)
    if game == "non_saturating":
        return softplus(-made).mean()
    if game == "least_squares":
        return (made - 1).square().mean()
    return lookup("game", game, {name: -made.mean() for name in ("hinge", "wasserstein")})


def gradient_penalty(
    critic: Callable[[Tensor], Scores], real: Float[Tensor, "b *shape"], made: Float[Tensor, "b *shape"], share: Scores
) -> Float[Tensor, ""]:
    """Mean of (|slope| - 1)² at points between real and made ones, `share` (b,) of the way (Gulrajani et al. 2017,
    arXiv:1704.00028). A critic of slope 1 along these lines is the best one of slope at most 1."""
    along = share.reshape(-1, *(1,) * (real.dim() - 1))  # (b,) → (b, 1, …)
    between = (real + along * (made - real)).detach().requires_grad_()
    with torch.enable_grad():
        (slope,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
    return (slope.flatten(1).norm(dim=1) - 1).square().mean()  # (b, …) → (b,)
