"""Architecture search: let an algorithm choose the network.

Can evolution over a small space of networks find better children than drawing them at random, at the same cost?
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field
from typing import Annotated, Any

import numpy as np
import torch
from pydantic import Field

from sightline.drawing.curves import Frame, Line, line_chart
from sightline.lab.datasets import Labelled
from sightline.lab.descent import accuracy, descend
from sightline.lab.experiment import Claim, Experiment, Formula, Picture, Result, Table, Variation
from sightline.lab.seeing.canvas import anywhere, ink
from sightline.models.create import create_model

# The space: every combination is a network of the builder, 144 in all.
SPACE: dict[str, tuple[Any, ...]] = {
    "widths": ((4,), (8,), (4, 8), (8, 16)), "convs": (1, 2), "kernel": (1, 3, 5), "pool": (True, False),
    "dense": ((), (16,), (32,)),
}  # fmt: skip
SIDE = 10
Child = tuple[int, ...]  # the place of each choice in the space


@dataclass(frozen=True)
class Parameters:
    budget: Annotated[int, Field(ge=6, le=60)] = 24
    steps: Annotated[int, Field(ge=10, le=1_000)] = 60


@dataclass
class Trial:
    """Children in the order of their evaluation, each with its estimate."""

    train: Labelled
    val: Labelled
    steps: int
    seed: int
    seen: list[tuple[Child, float]] = field(default_factory=list)

    def evaluate(self, child: Child) -> float:
        """The estimate: validation accuracy after a short training; the same again for a child seen before."""
        known = dict(self.seen).get(child)
        score = _trained(child, self.train, self.val, self.steps, self.seed) if known is None else known
        self.seen.append((child, score))
        return score


def _trained(child: Child, train: Labelled, judged: Labelled, steps: int, seed: int) -> float:
    network = build(child, seed)
    descend(network, train, steps=steps, lr=0.05, batch=32, seed=seed)
    return accuracy(network, judged)


def build(child: Child, seed: int) -> torch.nn.Module:
    options = {key: values[i] for (key, values), i in zip(SPACE.items(), child, strict=True)}
    return create_model("convnet", in_channels=1, num_classes=10, image_size=(SIDE, SIDE), seed=seed, **options)


def chosen(child: Child) -> list[str]:
    """The value of every choice, as text."""
    return [str(values[i]) for values, i in zip(SPACE.values(), child, strict=True)]


def drawn(draw: np.random.Generator) -> Child:
    return tuple(int(draw.integers(len(v))) for v in SPACE.values())


def mutated(child: Child, draw: np.random.Generator) -> Child:
    """The child with one choice changed to another value."""
    where = int(draw.integers(len(child)))
    choices = [i for i in range(len(list(SPACE.values())[where])) if i != child[where]]
    return (*child[:where], int(draw.choice(choices)), *child[where + 1 :])


def evolve(trial: Trial, budget: int, draw: np.random.Generator, population: int = 6, sample: int = 5) -> None:
    """Regularised evolution: the best of a few of the population has a child; the oldest dies."""
    alive = []
    for _ in range(population):
        child = drawn(draw)
        alive.append((child, trial.evaluate(child)))
    while len(trial.seen) < budget:
        rivals = [alive[i] for i in draw.choice(len(alive), sample, replace=False)]
        child = mutated(max(rivals, key=lambda r: r[1])[0], draw)
        alive.append((child, trial.evaluate(child)))
        alive.pop(0)


def run(parameters: Parameters, seed: int) -> Result:
    p = parameters
    whole, test = ink()
    train = anywhere(Labelled(whole.x[:400], whole.y[:400]), SIDE, seed)
    val = anywhere(Labelled(whole.x[400:600], whole.y[400:600]), SIDE, seed + 1)
    unseen = anywhere(Labelled(test.x[:300], test.y[:300]), SIDE, seed + 2)
    evolution, random = (Trial(train, val, p.steps, seed) for _ in range(2))
    evolve(evolution, p.budget, np.random.default_rng(seed))
    draw = np.random.default_rng(1000 + seed)
    for _ in range(p.budget):
        random.evaluate(drawn(draw))
    scores = {"evolution": [s for _, s in evolution.seen], "random": [s for _, s in random.seen]}
    best = {n: max(t.seen, key=lambda r: r[1]) for n, t in (("evolution", evolution), ("random", random))}
    final = {name: _trained(child, train, unseen, 6 * p.steps, seed) for name, (child, _) in best.items()}
    late = statistics.fmean(scores["evolution"][p.budget // 2 :])
    everybody, size = statistics.fmean(scores["random"]), int(np.prod([len(v) for v in SPACE.values()]))
    running = {n: [max(s[: i + 1]) for i in range(p.budget)] for n, s in scores.items()}
    x = list(range(1, p.budget + 1))
    lines = [Line(n, x, v, t) for (n, v), t in zip(running.items(), ("one", "quiet"), strict=True)]
    lines.append(Line("each child", x, scores["evolution"], "two", sizes=[0.15] * p.budget))
    frame = Frame("Best child so far", "Best accuracy so far", "networks trained", "accuracy", y_range=(0, 1))
    rows: list[list[str | float]] = [[n, *chosen(c), s, final[n]] for n, (c, s) in best.items()]
    return Result(
        claims=[
            Claim("Evolution's best child beats the mean random child by at least 0.1.",
                  best["evolution"][1] - everybody >= 0.1, f"{best['evolution'][1]:.3f} against {everybody:.3f}"),
            Claim("Random search is a strong control: its best child, too, beats the mean random child by at least 0.1.",
                  best["random"][1] - everybody >= 0.1,
                  f"{best['random'][1]:.3f} and {best['evolution'][1]:.3f}"),
        ],
        numbers={"best of evolution, unseen digits": final["evolution"],
                 "best of random search, unseen digits": final["random"], "mean random child": everybody,
                 "mean of evolution's second half": late},
        pictures=[Picture(line_chart(lines, frame), f"{p.budget} of {size} networks, {p.steps} steps each.")],
        tables=[Table(("search", *SPACE, "estimate", "unseen digits"), rows, "The best child of each")],
    )  # fmt: skip


EXPERIMENT = Experiment(
    run=run,
    parameters=Parameters(),
    notice=("A space, a strategy, a cheap estimate of what a network is worth: most of the result lies in the space.",
            "The estimate ranks networks by how fast they learn, which is not the same as how well."),
    formulas=(Formula("child = best of a sample with one change; the oldest dies",
                      "Real et al. 2018, arXiv:1802.01548"),
              Formula("search by a controller; random search as the control",
                      "Zoph and Le 2016, arXiv:1611.01578; Li and Talwalkar 2019, arXiv:1902.07638")),
    code=(evolve, mutated, build),
    variations=(Variation("budget=40", "More children: both find good ones."),
                Variation("steps=15", "A noisy estimate: the search follows chance.")),
)  # fmt: skip
