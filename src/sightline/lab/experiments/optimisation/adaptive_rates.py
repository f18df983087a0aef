"""Adaptive rules give shallow directions the larger rate, and Adadelta needs no rate at all.

How large is the effective rate of each direction, how does it change with time, and in which units is it?
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from sightline.drawing.curves import Frame, Line, line_chart
from sightline.engine.optimizers import make_optimizer
from sightline.lab import updates
from sightline.lab.datasets import digits
from sightline.lab.descent import accuracy
from sightline.lab.experiment import Claim, Experiment, Formula, Picture, Result, Table, Variation
from sightline.lab.surfaces import Rule
from sightline.losses.classification import cross_entropy
from sightline.models.early.mlp import MLP
from sightline.structures.targets import Labels


@dataclass(frozen=True)
class Parameters:
    lr: Annotated[float, Field(gt=0, le=10)] = 0.1
    steepness: Annotated[float, Field(ge=1, le=10_000)] = 25.0
    steps: Annotated[int, Field(ge=100, le=5_000)] = 400


def effective(rule: Rule, gradients: Tensor) -> Tensor:
    """(t, 2) the step in each direction over its gradient, for gradients (t, 2) that do not depend on where one is."""
    w = torch.zeros(2, dtype=torch.float64)
    memory: updates.Memory = {}
    rates = []
    for g in gradients:
        moved, memory = rule(w, g, memory)
        rates.append((w - moved) / g)
        w = moved
    return torch.stack(rates)


def fallen(rule: Rule, unit: float, steepness: float, steps: int) -> float:
    """The share of the height of ½(x² + steepness · y²) that is left, when lengths are measured in another unit."""
    curve = torch.tensor([1.0, steepness], dtype=torch.float64) / unit**2
    w = start = unit * torch.tensor([10.0, 1.0], dtype=torch.float64)
    memory: updates.Memory = {}
    for _ in range(steps):
        w, memory = rule(w, curve * w, memory)
    return ((curve * w * w).sum() / (curve * start * start).sum()).item()


def on_digits(seed: int, steps: int = 400) -> float:
    """Accuracy on the test digits of a network of 32 hidden units, trained by torch's Adadelta at its rate of 1."""
    train, test = digits()
    network = MLP(image_size=(8, 8), hidden=(32,))
    optimizer = make_optimizer("adadelta", [network], lr=1.0)
    draw = torch.Generator().manual_seed(seed)
    for _ in range(steps):
        chosen = torch.randint(len(train.y), (64,), generator=draw)
        loss, _ = cross_entropy(network(train.x[chosen]), Labels.of(train.y[chosen]))
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return accuracy(network, test)


def run(parameters: Parameters, seed: int) -> Result:
    p = parameters
    sizes = torch.tensor([1.0, p.steepness], dtype=torch.float64)  # gradients along the floor and across it
    gradients = sizes * (1 + 0.3 * torch.rand(p.steps, 2, dtype=torch.float64))
    rules: dict[str, Callable[..., tuple[Tensor, updates.Memory]]] = {
        "AdaGrad": partial(updates.adagrad, lr=p.lr), "RMSProp": partial(updates.rmsprop, lr=p.lr),
            "Adam": partial(updates.adam, lr=p.lr),
    }  # fmt: skip
    rates = {name: effective(rule, gradients) for name, rule in rules.items()}
    ratio = {name: (r[-1, 0] / r[-1, 1]).item() for name, r in rates.items()}
    quarter = p.steps // 4
    shrunk = {name: (r[-1, 0] / r[quarter - 1, 0]).item() for name, r in rates.items()}
    free = {u: fallen(partial(updates.adadelta, eps=1e-6), u, p.steepness, p.steps) for u in (1.0, 10.0)}
    sgd = {u: fallen(partial(updates.sgd, lr=0.03), u, p.steepness, p.steps) for u in (1.0, 10.0)}
    trained = on_digits(seed)
    steps = list(range(1, p.steps + 1))
    lines = [
        Line(f"{n}, floor", steps, r[:, 0].tolist(), t)
        for (n, r), t in zip(rates.items(), ("one", "two", "three"), strict=True)
    ]
    lines += [Line("AdaGrad, wall", steps, rates["AdaGrad"][:, 1].tolist(), "quiet")]
    frame = Frame("Effective rates", "Step over gradient", "step", "step / gradient", log_y=True)
    return Result(
        claims=[
            Claim("Every rule's rate along the floor exceeds that across by the ratio of the gradients, within 30 %.",
                all(abs(v / p.steepness - 1) < 0.3 for n, v in ratio.items()),
                ", ".join(f"{n} {v:.1f}" for n, v in ratio.items())),
            Claim("AdaGrad's rate halves when the number of steps is four times as large.",
                abs(shrunk["AdaGrad"] - 0.5) < 0.05, f"{shrunk['AdaGrad']:.3f}"),
            Claim("RMSProp's settles: it forgets.", shrunk["RMSProp"] > 0.7, f"{shrunk['RMSProp']:.3f}"),
            Claim("Adadelta, without a rate, trains a network on digits to 85 % or more.", trained >= 0.85,
                f"{trained:.1%} of 500"),
            Claim("With lengths in another unit SGD's rate is wrong by the square of the unit.",
                sgd[10.0] > 100 * sgd[1.0], f"{sgd[1.0]:.1e} and {sgd[10.0]:.2f} left"),
        ],
        numbers={f"rate along the floor over that across, {n}": v for n,
            v in ratio.items()} | {"accuracy on digits, Adadelta": trained},
        pictures=[Picture(line_chart(lines, frame),
            "Gradients along the floor are small, those across the wall are large.")],
        tables=[Table(("rule", "floor", "wall", "ratio", "last / quarter"),
            [[n, r[-1, 0].item(), r[-1, 1].item(), ratio[n], shrunk[n]] for n, r in rates.items()]),
                Table(("unit of length", "SGD, η = 0.03", "Adadelta"), [[u, sgd[u], free[u]] for u in (1.0, 10.0)],
                    f"Share of the height that is left after {p.steps} steps.")],
    )  # fmt: skip


EXPERIMENT = Experiment(
    run=run,
    parameters=Parameters(),
    notice=(
        "The rate is for each weight its own: the rule divides by the root of what its gradients were.",
        "AdaGrad remembers everything, so its rate falls like 1/√t and never recovers. RMSProp and Adam remember "
        "about 1/(1 − β) steps.",
        "SGD's rate has the units of weight²/loss: scale the weights by 10, and it must grow by 100. Adadelta's "
        "step has the units of the weights; "
        "its ε has not, so the first steps still depend on them.",
    ),
    formulas=(
        Formula("AdaGrad: η / √(Σ g²)", "Duchi, Hazan and Singer 2011, JMLR 12"),
        Formula("RMSProp: η / √E[g²],    E[g²] ← βE[g²] + (1 − β)g²", "Tieleman and Hinton 2012, lecture 6.5"),
        Formula("Adadelta: √(E[Δw²] + ε) / √(E[g²] + ε)", "Zeiler 2012, arXiv:1212.5701"),
    ),
    code=(updates.adagrad, updates.rmsprop, updates.adadelta, effective, on_digits),
    variations=(
        Variation("steepness=1", "Equal gradients, equal rates."),
        Variation("steps=5000", "AdaGrad's rate goes on falling."),
    ),
)  # fmt: skip
