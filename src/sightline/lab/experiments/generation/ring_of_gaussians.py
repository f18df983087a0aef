"""A generator may collapse onto a few modes, and its gradient may vanish: eight Gaussians on a ring.

Which loss finds all eight, which collapses, and what is left of the gradient once the critic is right?
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from sightline.drawing.curves import Frame, Line, line_chart
from sightline.lab.experiment import Claim, Experiment, Formula, Picture, Result, Table, Variation
from sightline.losses.generative import critic_loss, generator_loss, gradient_penalty
from sightline.metrics.distributions import Coverage, coverage

MODES, DEVIATION = 8, 0.1  # on a circle of radius 1
GOOD = 3 * DEVIATION  # a sample this near to a mode is good
COLLAPSED = MODES // 2  # as many modes or fewer
MADE = 2_000  # samples that are judged
SHOWN = 400


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


def run(parameters: Parameters, seed: int) -> Result:
    games: dict[str, Callable[[], Game]] = {
        "Wasserstein with penalty": lambda: Game("wasserstein", parameters, seed, parameters.penalty, 5),
        "bare": lambda: Game("non_saturating", parameters, seed),
        "bare, saturating": lambda: Game("saturating", parameters, seed),
    }
    played = {name: make() for name, make in games.items()}
    covered = {name: game.play(parameters.steps) for name, game in played.items()}
    pulls = vanishing(parameters, seed)
    held, bare = covered["Wasserstein with penalty"], covered["bare"]
    left = pulls["saturating"][-1] / pulls["non_saturating"][-1]
    rise = pulls["non_saturating"][-1] / pulls["non_saturating"][0]
    lines = [
        Line(name.replace("_", "-"), pulls["step"], pulls[name], tone)
        for name, tone in (("saturating", "one"), ("non_saturating", "two"))
    ]
    frame = Frame(
        "Gradient of the generator", "While the critic alone learns", "step of the critic", "norm", log_y=True
    )
    return Result(
        claims=[
            Claim("With the gradient penalty all eight modes are reached, and eight of ten samples are good.",
                held.reached == MODES and held.good >= 0.8, f"{judgement(held)}, {held.good:.1%} good"),
            Claim("The bare game reaches fewer modes, and the mode counter says so.",
                bare.reached < MODES, f"{judgement(bare)}, {bare.good:.1%} good"),
            Claim("Once the critic is right, the saturating gradient is less than a hundredth of the other.",
                left < 0.01, f"{left:.3g} of it after 300 steps of the critic"),
            Claim("The non-saturating one is larger than at the start.", rise > 1, f"{rise:.3g} times"),
        ],
        numbers={f"modes, {name}": float(c.reached) for name, c in covered.items()}
        | {f"good samples, {name}": c.good for name, c in covered.items()},
        pictures=[Picture(line_chart(lines, frame), "The same critic, the same samples, two losses.")]
        + [_picture(name, game, covered[name]) for name, game in played.items()],
        tables=[Table(("game", "modes", "good", "samples a mode"),
            [[name, judgement(c), c.good, " ".join(map(str, c.counts))] for name, c in covered.items()])],
    )  # fmt: skip


def _picture(name: str, game: Game, covered: Coverage) -> Picture:
    points, ring = game.samples()[:SHOWN], centres()
    dots = Line("", points[:, 0].tolist(), points[:, 1].tolist(), "one", sizes=[0.05] * len(points))
    modes = Line("", ring[:, 0].tolist(), ring[:, 1].tolist(), "two", sizes=[0.2] * MODES)
    frame = Frame(name, "Samples and the eight modes", "x", "y", (-1.5, 1.5), (-1.5, 1.5), square=True)
    return Picture(line_chart([modes, dots], frame), f"{name}: {judgement(covered)}, {covered.good:.1%} good.")


EXPERIMENT = Experiment(
    run=run,
    parameters=Parameters(),
    notice=(
        "The critic scores one sample at a time: a generator that makes one good point again and again is never told that the "
        "others are missing.",
        "The derivative of the saturating loss by the critic's logit is −D, and D → 0 on samples that it recognises.",
        "With a slope of at most 1 the critic cannot become right by a cliff: its score falls steadily towards every mode, and "
        "its gradient leads there.",
    ),
    formulas=(
        Formula("∂/∂s log(1 − σ(s)) = −σ(s),    ∂/∂s (−log σ(s)) = σ(s) − 1",
            "Goodfellow et al. 2014, arXiv:1406.2661, section 3"),
        Formula("E D(made) − E D(real) + λ E (|∇D| − 1)²", "Gulrajani et al. 2017, arXiv:1704.00028"),
    ),
    code=(critic_loss, generator_loss, gradient_penalty, coverage),
    variations=(
        Variation("noise=1", "A line of noise cannot be torn apart: more samples lie between the modes."),
        Variation("steps=100", "After a tenth of the steps the samples still fill the ring's inside."),
    ),
)  # fmt: skip
