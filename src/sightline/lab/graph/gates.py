"""Gates: each computes its output with a cache on the way forward, and a vector-Jacobian product on the way back.

    forward    inputs → (output, cache)
    backward   cache, dL/doutput → dL/dinput for each input

The upstream gradient has the shape of the output, each result that of its input; no Jacobian is ever built. Where an
input was broadcast, its gradient is the sum over the copies. Rumelhart, Hinton & Williams 1986; the words distributor,
switcher and router follow Karpathy, Stanford CS231n.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int

Array = Float[np.ndarray, "..."]


@dataclass(frozen=True)
class Gate:
    """A function that knows its derivative. `symbol` is what a drawing shows."""

    symbol: str
    forward: Callable[..., tuple[Array, Any]]
    backward: Callable[[Any, Array], tuple[Array, ...]]


def unbroadcast(gradient: Array, shape: tuple[int, ...]) -> Array:
    """The gradient of an input of that shape which numpy stretched to `gradient.shape`: its copies' gradients add up."""
    added = gradient.ndim - len(shape)
    stretched = [added + i for i, n in enumerate(shape) if n == 1 and gradient.shape[added + i] != 1]
    return gradient.sum(axis=(*range(added), *stretched), keepdims=True).reshape(shape)


def _add_back(cache: Any, up: Array) -> tuple[Array, ...]:
    return tuple(unbroadcast(up, shape) for shape in cache)


def _multiply_back(cache: Any, up: Array) -> tuple[Array, ...]:
    a, b = cache
    return unbroadcast(up * b, a.shape), unbroadcast(up * a, b.shape)


def _divide_back(cache: Any, up: Array) -> tuple[Array, ...]:
    a, b = cache
    return unbroadcast(up / b, a.shape), unbroadcast(-up * a / b**2, b.shape)


def _maximum_back(cache: Any, up: Array) -> tuple[Array, ...]:
    """All of it to the larger input; equal ones share it, as in torch."""
    a, b = cache
    to_a = (a > b) + 0.5 * (a == b)
    return unbroadcast(up * to_a, a.shape), unbroadcast(up * (1 - to_a), b.shape)


def _matmul_back(cache: Any, up: Array) -> tuple[Array, ...]:
    a, b = cache  # (n, k), (k, m); up (n, m)
    return up @ b.T, a.T @ up


ADD = Gate("+", lambda a, b: (a + b, (a.shape, b.shape)), _add_back)
SUBTRACT = Gate(
    "−",
    lambda a, b: (a - b, (a.shape, b.shape)),
    lambda cache, up: (unbroadcast(up, cache[0]), unbroadcast(-up, cache[1])),
)
MULTIPLY = Gate("×", lambda a, b: (a * b, (a, b)), _multiply_back)
DIVIDE = Gate("÷", lambda a, b: (a / b, (a, b)), _divide_back)
MAXIMUM = Gate("max", lambda a, b: (np.maximum(a, b), (a, b)), _maximum_back)
MATMUL = Gate("@", lambda a, b: (a @ b, (a, b)), _matmul_back)


def elementwise(symbol: str, function: Callable[[Array], Array], slope: Callable[[Array, Array], Array]) -> Gate:
    """A gate y = function(x) of one input, with slope(x, y) = dy/dx entry by entry."""

    def forward(x: Array) -> tuple[Array, Any]:
        y = function(x)
        return y, (x, y)

    return Gate(symbol, forward, lambda cache, up: (up * slope(*cache),))


EXP = elementwise("exp", np.exp, lambda x, y: y)
LOG = elementwise("log", np.log, lambda x, y: 1 / x)
RECIPROCAL = elementwise("1/x", lambda x: 1 / x, lambda x, y: -y * y)
SQUARE = elementwise("x²", np.square, lambda x, y: 2 * x)
SQRT = elementwise("√", np.sqrt, lambda x, y: 0.5 / y)
SINE = elementwise("sin", np.sin, lambda x, y: np.cos(x))
COSINE = elementwise("cos", np.cos, lambda x, y: -np.sin(x))
TANH = elementwise("tanh", np.tanh, lambda x, y: 1 - y * y)
SIGMOID = elementwise("σ", lambda x: 0.5 * (1 + np.tanh(0.5 * x)), lambda x, y: y * (1 - y))
RELU = elementwise("relu", lambda x: np.maximum(x, 0.0), lambda x, y: (x > 0).astype(float))


def scaling(factor: float) -> Gate:
    """factor · x."""
    return Gate(f"×{factor:g}".replace("-", "−"), lambda x: (factor * x, None), lambda cache, up: (factor * up,))


def shifting(constant: float) -> Gate:
    """x + constant."""
    return Gate(f"+{constant:g}".replace("+-", "−"), lambda x: (x + constant, None), lambda cache, up: (up,))


SUM = Gate("Σ", lambda x: (np.asarray(x.sum()), x.shape), lambda shape, up: (np.broadcast_to(up, shape).copy(),))
MEAN = Gate(
    "mean",
    lambda x: (np.asarray(x.mean()), x.shape),
    lambda shape, up: (np.broadcast_to(up / np.prod(shape), shape).copy(),),
)


def softmax_cross_entropy(labels: Int[np.ndarray, "n"]) -> Gate:
    """Scores (n, k) → the mean of -log softmax at the labels. Its gradient at the scores is (p - onehot) / n."""

    def forward(scores: Array) -> tuple[Array, Any]:
        shifted = scores - scores.max(1, keepdims=True)  # (n, k); exp(1000) would overflow
        logs = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
        return np.asarray(-logs[np.arange(len(labels)), labels].mean()), np.exp(logs)

    def backward(probability: Any, up: Array) -> tuple[Array, ...]:
        truth = np.eye(probability.shape[1])[labels]  # (n, k)
        return (up * (probability - truth) / len(labels),)

    return Gate("softmax CE", forward, backward)
