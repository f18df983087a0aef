"""Gradients, optimisers, starts and normalisations: what is printed, what is right.

Which printed steps climb instead of descending, divide by zero, or name the wrong statistic?
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from sightline.lab import updates
from sightline.lab.differences import numerical_gradient
from sightline.lab.errata import Erratum, judged
from sightline.lab.experiment import Experiment, Formula, Result
from sightline.lab.graph import operations as ops
from sightline.lab.graph.node import Node, backward
from sightline.layers.dropout import inverted_dropout
from sightline.layers.initialise import activation_statistics, xavier
from sightline.layers.normalisation import standardise, window_channels


@dataclass(frozen=True)
class Parameters:
    pass


def double(values: object) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def forward_difference() -> float:
    """Of a loss that is 1.2345 at w and 1.2331 a step of 0.0001 away."""
    return numerical_gradient(lambda w: 1.2331 if w > 0 else 1.2345, np.asarray(0.0), h=1e-4, scheme="forward").item()


def second_coordinate() -> float:
    """Of 3a, which does not depend on b."""
    return float(numerical_gradient(lambda w: 3 * float(w[0]), np.array([0.3, 0.24]), scheme="forward")[1])


def chain() -> float:
    a = Node(2.0)
    backward(ops.scaled(ops.square(a), 3.0))
    return float(a.gradient)


def descent() -> float:
    """One step on ½(y - θx)² from 0, with x = y = 1."""
    return updates.sgd(double(0.0), double(-1.0), {}, lr=0.1)[0].item()


def adam() -> list[float]:
    w = double([1.0, -2.0])
    memory: updates.Memory = {}
    for g in ([0.1, -0.3], [0.2, 0.1], [-0.1, 0.4]):
        w, memory = updates.adam(w, double(g), memory, lr=0.1)
    return w.tolist()


def xavier_deviation() -> float:
    weight = torch.empty(400, 1600)
    xavier(weight)
    return weight.std().item()


def through_tanh() -> list[float]:
    layers = activation_statistics("lecun", "tanh", samples=1000, width=500, layers=10)
    return [layers[0].std, layers[-1].std]


def kept_mean() -> float:
    ones = torch.ones(1000, 1000)
    return inverted_dropout(ones, torch.rand(1000, 1000) > 0.5, 0.5).mean().item()


def deviation() -> float:
    return standardise(double([[1.0], [3.0], [5.0]]), (0,)).variance.sqrt().item()


def learnable() -> str:
    norm = nn.BatchNorm1d(64)
    return f"{', '.join(n for n, _ in norm.named_parameters())}; {sum(p.numel() for p in norm.parameters())} numbers"


ROWS = (
    Erratum("slope where the loss goes from 1.2345 to 1.2331 in 0.0001", 23.5, -14, forward_difference,
            "the difference was taken the wrong way round, and miscalculated", 1e-6),
    Erratum("slope along b of a loss 3a that does not know b", 3, 0, second_coordinate,
        "two coordinates were moved at once"),
    Erratum("d(3b)/da with b = a², at a = 2", "df/db · db/dz", 12, chain, "df/da = df/db · db/da; there is no z"),
    Erratum("θ after one step of 0.1 from 0 towards 1", -0.1, 0.1, descent, "θ + η∇L climbs"),
    Erratum("Adam after three steps from (1, −2)", (-0.004611, 0.003591), (0.7614728861, -1.890934023), adam,
            "W = −αm/… forgets W; m and v were overwritten by their corrected values; t began at 0", 1e-6),
    Erratum("deviation of Xavier's start, 1600 → 400", 0.025, 0.0316228, xavier_deviation,
            "1/in is LeCun's; Glorot and Bengio have 2/(in + out)", 5e-3),
    Erratum("deviation after the first and tenth tanh, variance 1/in", (1, 1), (0.6276, 0.2284), through_tanh,
            "it is kept before the tanh, not after", 1e-2),
    Erratum("mean of 1 after dropout of a half, in training", 0.5, 1, kept_mean,
        "nothing was divided by the keep probability", 5e-3),
    Erratum("“σ” of 1, 3, 5", 2.6667, 1.63299, deviation, "2.667 is the variance", 1e-4),
    Erratum("what batch norm of 64 features learns", "σ, μ", "weight, bias; 128 numbers", learnable,
            "it learns γ and β; μ and σ² are statistics"),
    Erratum("channels that normalise channel 3 of 6, window 5", (-2, -1, 0, 1, 2), (1, 2, 3, 4, 5),
            lambda: window_channels(3, 5, 6), "a_j was printed for a_{i+j}"),
)  # fmt: skip


def run(parameters: Parameters, seed: int) -> Result:
    return judged(ROWS, "Formulas and worked examples of course notes on training.")


EXPERIMENT = Experiment(
    run=run,
    parameters=Parameters(),
    notice=(
        "The printed Adam runs without an error and even learns a little: only numbers beside numbers show that it "
        "is another rule.",
        "“Xavier” is two formulas, and so is “σ”: a name is no definition.",
    ),
    formulas=(
        Formula("w ← w − η m̂/(√v̂ + ε),  m̂ = m/(1 − β₁ᵗ),  t = 1, 2, …", "Kingma and Ba 2015, arXiv:1412.6980"),
        Formula("Var W = 2/(in + out)", "Glorot and Bengio 2010, AISTATS"),
        Formula("y = γx̂ + β", "Ioffe and Szegedy 2015, arXiv:1502.03167"),
    ),
    code=(updates.sgd, updates.adam, numerical_gradient, xavier),
)
