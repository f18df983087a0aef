"""Activations by name, and explicit versions of those that torch lacks.

ScaledTanh   LeCun et al. 1998, appendix A: A = 1.7159, S = 2/3, so that f(±1) = ±1
LeakyReLU    Maas et al. 2013; slope 0.1 here (torch: 0.01)
ELU          Clevert et al. 2015, arXiv:1511.07289
GELU         Hendrycks & Gimpel 2016, arXiv:1606.08415; its tanh approximation
Maxout       Goodfellow et al. 2013, arXiv:1302.4389; it has weights, so it is a layer and not in the table
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from sightline.registry import lookup


class ScaledTanh(nn.Module):
    """A · tanh(S x)."""

    def __init__(self, amplitude: float = 1.7159, slope: float = 2 / 3) -> None:
        super().__init__()
        self.amplitude, self.slope = amplitude, slope

    def forward(self, x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """Same shape as `x`."""
        return self.amplitude * torch.tanh(self.slope * x)


class Maxout(nn.Module):
    """The maximum of `pieces` affine maps of the input, unit by unit: a learned convex function."""

    def __init__(self, in_features: int, out_features: int, *, pieces: int = 2) -> None:
        super().__init__()
        self.pieces = pieces
        self.linear = nn.Linear(in_features, pieces * out_features)

    def forward(self, x: Float[Tensor, "b d"]) -> Float[Tensor, "b k"]:
        """(b, in_features) → (b, out_features)."""
        return self.linear(x).unflatten(1, (self.pieces, -1)).amax(1)  # (b, pieces, k) → (b, k)


ACTIVATIONS: Mapping[str, Callable[[], nn.Module]] = {
    "identity": nn.Identity,
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
    "scaled_tanh": ScaledTanh,
    "relu": nn.ReLU,
    "leaky_relu": lambda: nn.LeakyReLU(0.1),
    "elu": nn.ELU,
    "gelu": lambda: nn.GELU(approximate="tanh"),
}


def activation(name: str) -> nn.Module:
    """A new activation module by name; UsageError with the nearest name."""
    return lookup("activation", name, ACTIVATIONS)()


class SoftmaxSteps(NamedTuple):
    """The intermediate values of a softmax: exp of each score, their sum, and the probabilities."""

    exponential: Float[Tensor, "*b k"]
    normaliser: Float[Tensor, "*b 1"]
    probability: Float[Tensor, "*b k"]


def softmax_steps(scores: Float[Tensor, "*b k"]) -> SoftmaxSteps:
    """Softmax with its intermediate values, for reading.

    The probabilities are computed from scores minus their maximum, because exp(1000) overflows; the exponentials are not.
    """
    exponential = scores.exp()
    stable = (scores - scores.amax(-1, keepdim=True)).exp()
    probability = stable / stable.sum(-1, keepdim=True)
    return SoftmaxSteps(exponential, exponential.sum(-1, keepdim=True), probability)


def hardmax(scores: Float[Tensor, "*b k"]) -> Int[Tensor, "*b k"]:
    """1 at the largest score (the first among equals), 0 elsewhere."""
    return torch.nn.functional.one_hot(scores.argmax(-1), scores.shape[-1])
