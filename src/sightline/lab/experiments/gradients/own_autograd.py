"""Autograd keeps the same books: two engines train a network to the same weights.

Does a graph of two hundred lines train a network on digits exactly as torch.autograd does?
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from sightline.drawing.curves import Frame, Line, line_chart
from sightline.lab.datasets import Labelled, digits
from sightline.lab.experiment import Claim, Experiment, Formula, Picture, Result, Variation
from sightline.lab.graph import operations as ops
from sightline.lab.graph.expressions import largest_difference, random_expression
from sightline.lab.graph.node import Node, backward
from sightline.losses.classification import cross_entropy
from sightline.models.early.mlp import MLP
from sightline.structures.targets import Labels


@dataclass(frozen=True)
class Parameters:
    hidden: Annotated[int, Field(ge=1, le=256)] = 32
    steps: Annotated[int, Field(ge=1, le=2_000)] = 300
    batch: Annotated[int, Field(ge=1, le=512)] = 64
    lr: Annotated[float, Field(gt=0, le=10)] = 0.2
    expressions: Annotated[int, Field(ge=1, le=1_000)] = 100


def graph_loss(weights: list[Node], x: np.ndarray, y: np.ndarray) -> Node:
    """The mean cross-entropy of a batch (n, 64) as a graph over W₁ (64, h), b₁, W₂ (h, 10), b₂."""
    w1, b1, w2, b2 = weights
    return ops.softmax_cross_entropy(ops.relu(Node(x) @ w1 + b1) @ w2 + b2, y)


def graph_step(weights: list[Node], x: np.ndarray, y: np.ndarray, lr: float) -> float:
    """One step of gradient descent; the loss before it."""
    loss = graph_loss(weights, x, y)
    backward(loss)
    for weight in weights:
        weight.value = weight.value - lr * weight.gradient
    return float(loss.value)


def torch_step(network: MLP, x: Tensor, y: Tensor, lr: float) -> float:
    """The same by torch.autograd: `requires_grad`, `backward`, `.grad`."""
    loss, _ = cross_entropy(network(x), Labels.of(y))
    loss.backward()  # type: ignore[no-untyped-call]
    with torch.no_grad():
        for p in network.parameters():
            assert p.grad is not None
            p.sub_(lr * p.grad)
            p.grad = None
    return loss.item()


def run(parameters: Parameters, seed: int) -> Result:
    train, test = (Labelled(part.x.double(), part.y) for part in digits())
    network = MLP(image_size=(8, 8), hidden=(parameters.hidden,)).double()
    weights = [Node(p.detach().numpy().T.copy()) for p in network.parameters()]  # torch keeps W as (out, in)
    draw = torch.Generator().manual_seed(seed)
    ours, torchs = [], []
    for _ in range(parameters.steps):
        chosen = torch.randint(len(train.y), (parameters.batch,), generator=draw)
        x, y = train.x[chosen], train.y[chosen]
        ours.append(graph_step(weights, x.flatten(1).numpy(), y.numpy(), parameters.lr))
        torchs.append(torch_step(network, x, y, parameters.lr))
    pairs = zip(weights, network.parameters(), strict=True)
    apart = max(float(np.abs(w.value.T - p.detach().numpy()).max()) for w, p in pairs)
    w1, b1, w2, b2 = (w.value for w in weights)
    scores = np.maximum(test.x.flatten(1).numpy() @ w1 + b1, 0) @ w2 + b2
    right = float((scores.argmax(1) == test.y.numpy()).mean())
    expressions = np.random.default_rng(seed)
    difference = max(largest_difference(random_expression(expressions)) for _ in range(parameters.expressions))
    steps = list(range(1, parameters.steps + 1))
    lines = [Line("our graph", steps, ours, "one"), Line("autograd", steps, torchs, "two")]
    frame = Frame("Training loss", "Two curves that coincide", "step", "loss", log_y=True)
    return Result(
        claims=[
            Claim("After training all weights agree to 1e-9.", apart <= 1e-9, f"largest difference {apart:.1e}"),
            Claim("Random expressions have the same value and gradients to 1e-10.", difference <= 1e-10,
                f"{parameters.expressions} expressions: {difference:.1e}"),
            Claim("The network reads digits: at least 90 % of 500.", right >= 0.9, f"{right:.1%}"),
        ],
        numbers={"largest difference of weights": apart, "accuracy on the test digits": right},
        pictures=[Picture(line_chart(lines, frame),
            "The loss of every step by both engines: one curve hides the other.")],
    )  # fmt: skip


EXPERIMENT = Experiment(
    run=run,
    parameters=Parameters(),
    notice=(
        "Both start from the same weights, read the same batches and take the same steps; nothing else would agree "
        "so far.",
        "What torch adds is not another idea: kernels, devices, types, and a graph that it records while the "
        "network runs.",
        "The difference is rounding: sums are added in another order.",
    ),
    formulas=(
        Formula("∂L/∂scores = (softmax(scores) − onehot(y)) / n", "Bridle 1990, Neurocomputing"),
        Formula("x̄ⱼ = Σᵢ ȳᵢ ∂yᵢ/∂xⱼ", "Griewank and Walther 2008, Evaluating Derivatives (reverse mode)"),
    ),
    code=(graph_loss, graph_step, torch_step, backward),
    variations=(
        Variation("steps=2000 hidden=128", "The difference grows slowly: rounding is amplified step by step."),
        Variation("expressions=1000", "A thousand random expressions."),
    ),
)
