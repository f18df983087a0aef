"""Eight Gaussians on a ring, and the games that a generator and a critic of points play over them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from sightline.losses.generative import critic_loss, generator_loss, gradient_penalty
from sightline.metrics.distributions import Coverage, coverage

MODES, DEVIATION = 8, 0.1  # on a circle of radius 1
GOOD = 3 * DEVIATION  # a sample this near to a mode is good
COLLAPSED = MODES // 2  # as many modes or fewer
MADE = 2_000  # samples that are judged


@dataclass(frozen=True)
class Parameters:
    steps: Annotated[int, Field(ge=10, le=20_000)] = 1_200
    batch: Annotated[int, Field(ge=8, le=4_096)] = 128
    hidden: Annotated[int, Field(ge=4, le=1_024)] = 128
    noise: Annotated[int, Field(ge=1, le=256)] = 8
    penalty: Annotated[float, Field(gt=0, le=1_000)] = 0.3
    rate: Annotated[float, Field(gt=0, le=1)] = 2e-3


def centres() -> Float[np.ndarray, "k 2"]:
    angle = 2 * np.pi * np.arange(MODES) / MODES
    return np.stack([np.cos(angle), np.sin(angle)], 1)


def real(n: int, draw: torch.Generator) -> Float[Tensor, "n 2"]:
    """Points of the ring, each mode equally likely."""
    place = torch.randint(MODES, (n,), generator=draw)
    return torch.from_numpy(centres()).float()[place] + DEVIATION * torch.randn(n, 2, generator=draw)


def network(inputs: int, outputs: int, hidden: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(inputs, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, outputs)
    )


@dataclass
class Game:
    """A generator and a critic of points, their optimisers, and the draws that both see."""

    game: str
    parameters: Parameters
    seed: int
    penalty: float = 0.0
    critic_steps: int = 1

    def __post_init__(self) -> None:
        torch.manual_seed(self.seed)
        p = self.parameters
        self.generator, self.critic = network(p.noise, 2, p.hidden), network(2, 1, p.hidden)
        betas = (0.0, 0.9) if self.penalty else (0.5, 0.999)
        self.optimizers = [torch.optim.Adam(n.parameters(), p.rate, betas) for n in (self.critic, self.generator)]
        self.draw = torch.Generator().manual_seed(self.seed)

    def score(self, points: Float[Tensor, "n 2"]) -> Float[Tensor, "n"]:
        return self.critic(points)[:, 0]

    def made(self, n: int) -> Float[Tensor, "n 2"]:
        return self.generator(torch.randn(n, self.parameters.noise, generator=self.draw))

    def teach_critic(self) -> None:
        """One step of the critic."""
        n = self.parameters.batch
        points, made = real(n, self.draw), self.made(n).detach()
        loss = critic_loss(self.game, self.score(points), self.score(made))
        if self.penalty:
            share = torch.rand(n, generator=self.draw)
            loss = loss + self.penalty * gradient_penalty(self.score, points, made, share)
        _step(self.optimizers[0], loss)

    def play(self, steps: int) -> Coverage:
        """So many steps of the generator, each after those of the critic; what is covered then."""
        for step in range(steps):
            for optimizer in self.optimizers:  # the rate falls to 0: a constant one keeps both circling around the end
                optimizer.param_groups[0]["lr"] = self.parameters.rate * (1 - step / steps)
            for _ in range(self.critic_steps):
                self.teach_critic()
            _step(self.optimizers[1], generator_loss(self.game, self.score(self.made(self.parameters.batch))))
        return coverage(self.samples(), centres(), GOOD)

    @torch.no_grad()
    def samples(self) -> Float[np.ndarray, "n 2"]:
        self.draw.manual_seed(self.seed)  # the same noise whenever it is looked at
        return self.made(MADE).numpy()

    def pull(self, game: str) -> float:
        """The norm of the generator's gradient by the loss of this game, with the critic as it is."""
        loss = generator_loss(game, self.score(self.made(self.parameters.batch)))
        gradients = torch.autograd.grad(loss, list(self.generator.parameters()))
        return float(torch.nn.utils.get_total_norm(gradients))


def _step(optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()


def vanishing(parameters: Parameters, seed: int, steps: int = 300, every: int = 20) -> dict[str, list[float]]:
    """The gradient that a generator at its start would get by two losses, while the critic alone learns."""
    game = Game("non_saturating", parameters, seed)
    found: dict[str, list[float]] = {"step": [], "saturating": [], "non_saturating": []}
    for step in range(steps + 1):
        if step % every == 0:
            found["step"].append(float(step))
            for name in ("saturating", "non_saturating"):
                found[name].append(game.pull(name))
        game.teach_critic()
    return found


def judgement(covered: Coverage) -> str:
    """What the mode counter says."""
    if covered.reached <= COLLAPSED:
        return f"collapsed: {covered.reached} of {MODES} modes"
    return f"{covered.reached} of {MODES} modes"
