"""A small batch is a noisy gradient for little work.

One sample, a mini-batch or all of them: what does a step cost, how wrong is its direction, and which learns most in one pass?
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from sightline.drawing.curves import Frame, Line, line_chart
from sightline.lab.datasets import Labelled, digits
from sightline.lab.experiment import Claim, Experiment, Formula, Picture, Result, Table, Variation
from sightline.losses.classification import cross_entropy
from sightline.models.early.linear import LinearClassifier
from sightline.structures.targets import Labels


@dataclass(frozen=True)
class Parameters:
    small: Annotated[int, Field(ge=2, le=512)] = 64
    epochs: Annotated[int, Field(ge=1, le=20)] = 3
    lr: Annotated[float, Field(gt=0, le=1)] = 0.02


def gradient(network: nn.Module, data: Labelled) -> Tensor:
    """The gradient of the mean loss over these samples, as one vector."""
    loss, _ = cross_entropy(network(data.x), Labels.of(data.y))
    return torch.cat([g.ravel() for g in torch.autograd.grad(loss, list(network.parameters()))])


def epochs(network: nn.Module, data: Labelled, batch: int, p: Parameters, seed: int) -> tuple[list[float], float]:
    """Stochastic gradient descent; the loss over all samples at the start and after every pass, and the seconds of "
    "the steps."""
    draw = torch.Generator().manual_seed(seed)
    losses, seconds = [_loss(network, data)], 0.0
    for _ in range(p.epochs):
        order = torch.randperm(len(data.y), generator=draw)
        start = time.perf_counter()
        for chosen in order.split(batch):
            step(network, Labelled(data.x[chosen], data.y[chosen]), p.lr)
        seconds += time.perf_counter() - start
        losses.append(_loss(network, data))
    return losses, seconds


def step(network: nn.Module, data: Labelled, lr: float) -> None:
    slope = gradient(network, data)
    with torch.no_grad():
        nn.utils.vector_to_parameters(
            nn.utils.parameters_to_vector(network.parameters()) - lr * slope, network.parameters()
        )


@torch.no_grad()
def _loss(network: nn.Module, data: Labelled) -> float:
    return cross_entropy(network(data.x), Labels.of(data.y))[0].item()


def noise(network: nn.Module, data: Labelled, batch: int, seed: int, draws: int = 150) -> float:
    """The root mean square of |batch gradient - full gradient|, samples drawn with replacement."""
    draw = torch.Generator().manual_seed(seed)
    whole = gradient(network, data)
    squares = []
    for _ in range(draws):
        chosen = torch.randint(len(data.y), (batch,), generator=draw)
        squares.append((gradient(network, Labelled(data.x[chosen], data.y[chosen])) - whole).square().sum())
    return torch.stack(squares).mean().sqrt().item()


def run(parameters: Parameters, seed: int) -> Result:
    train, _ = digits()
    sizes = {"single": 1, "mini-batch": parameters.small, "batch": len(train.y)}
    rows: list[list[str | float]] = []
    lines, final, history = [], {}, {}
    start = LinearClassifier(in_channels=1, image_size=(8, 8))
    for (name, batch), tone in zip(sizes.items(), ("two", "one", "three"), strict=True):
        network = LinearClassifier(in_channels=1, image_size=(8, 8))
        network.load_state_dict(start.state_dict())
        history[name], seconds = epochs(network, train, batch, parameters, seed)
        final[name] = history[name][-1]
        steps = -(-len(train.y) // batch) * parameters.epochs
        rows.append([name, batch, steps, len(train.y) * parameters.epochs, seconds, final[name]])
        lines.append(Line(name, list(range(parameters.epochs + 1)), history[name], tone))
    spread = {batch: noise(start, train, batch, seed) for batch in (1, 16, parameters.small)}
    parts = [gradient(start, Labelled(train.x[i : i + 1], train.y[i : i + 1])) for i in range(64)]
    whole = gradient(start, Labelled(train.x[:64], train.y[:64]))
    apart = ((torch.stack(parts).mean(0) - whole).norm() / whole.norm()).item()
    fall = spread[1] / spread[parameters.small]
    full = history["batch"]
    return Result(
        claims=[
            Claim("The gradient of a batch is the mean of its samples' gradients.", apart < 1e-5,
                f"relative difference {apart:.1e}"),
            Claim("Its error falls like 1/√B, to a fifth.", abs(fall / parameters.small**0.5 - 1) < 0.2,
                f"B = {parameters.small}: {fall:.2f} times less than one sample"),
            Claim("Gradient descent over all samples goes down with every step.",
                all(b < a for a, b in pairwise(full)), f"{full[0]:.3f} to {full[-1]:.3f}"),
            Claim("After the same number of passes mini-batches are lower.", final["mini-batch"] < final["batch"],
                f"{final['mini-batch']:.3f} and {final['batch']:.3f}"),
        ],
        numbers={f"loss after {parameters.epochs} passes, {name}": value for name, value in final.items()},
        pictures=[Picture(line_chart(lines,
            Frame("Loss over passes", "One line a batch size", "passes over the data", "loss over all samples",
                log_y=True)), "One pass reads every sample once, whatever the batch.")],
        tables=[Table(("", "batch", "steps", "samples read", "seconds", "loss"), rows,
            "Seconds are of this machine and this run; one thread."),
                Table(("batch", "error of the gradient", "of one sample's"),
                    [[b, e, e / spread[1]] for b, e in spread.items()], "Root mean square over 150 batches.")],
    )  # fmt: skip


EXPERIMENT = Experiment(
    run=run,
    parameters=Parameters(),
    notice=(
        "Every row of the table reads as many samples. What differs is how many steps they pay for, and how well "
        "the hardware is used: "
        "a thousand steps of one sample take far longer than twenty of 64.",
        "Four times the samples halve the error of the gradient: the last samples of a large batch add little.",
        "With one sample the loss falls fastest at first, and then trembles: the noise of a step does not shrink, "
        "only a smaller rate helps.",
    ),
    formulas=(
        Formula("∇L = 1/n Σᵢ ∇Lᵢ ≈ 1/B Σ_{i in batch} ∇Lᵢ,    error ∝ 1/√B",
            "Robbins and Monro 1951; Bottou, Curtis and Nocedal 2018, arXiv:1606.04838"),
    ),
    code=(epochs, step, noise),
    variations=(
        Variation("small=16", "A quarter of the batch: four times the steps, twice the error."),
        Variation("lr=0.3", "A rate that is right for large batches is too large for single samples."),
    ),
)  # fmt: skip
