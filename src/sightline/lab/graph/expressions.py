"""Random expressions, the same one over any arithmetic: for holding one way of differentiating against another."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch

from . import operations as ours
from .node import Node, backward

# Functions whose values and slopes stay moderate on all of their inputs, so that no comparison hides behind an overflow.
_OURS: Mapping[str, Callable[..., Any]] = {
    "add": lambda a, b: a + b, "subtract": lambda a, b: a - b, "multiply": lambda a, b: a * b,
    "divide": lambda a, b: a / (ours.square(b) + 1.0), "maximum": ours.maximum,
    "exp": lambda x: ours.exp(ours.tanh(x)), "log": lambda x: ours.log(ours.square(x) + 1.0),
    "sqrt": lambda x: ours.sqrt(ours.square(x) + 1.0), "sine": ours.sine, "cosine": ours.cosine, "tanh": ours.tanh,
    "sigmoid": ours.sigmoid, "relu": ours.relu, "reciprocal": lambda x: ours.reciprocal(ours.square(x) + 2.0),
}  # fmt: skip
_TORCH: Mapping[str, Callable[..., Any]] = {
    "add": torch.add, "subtract": torch.sub, "multiply": torch.mul, "divide": lambda a, b: a / (b.square() + 1.0),
    "maximum": torch.maximum, "exp": lambda x: x.tanh().exp(), "log": lambda x: (x.square() + 1.0).log(),
    "sqrt": lambda x: (x.square() + 1.0).sqrt(), "sine": torch.sin, "cosine": torch.cos, "tanh": torch.tanh,
    "sigmoid": torch.sigmoid, "relu": torch.relu, "reciprocal": lambda x: 1.0 / (x.square() + 2.0),
}  # fmt: skip
_OF_TWO = ("add", "subtract", "multiply", "divide", "maximum")
_SHAPES: Sequence[tuple[int, ...]] = ((), (3,), (2, 1), (2, 3))


class Expression(NamedTuple):
    """Leaves, and steps (function, places of its operands) over them and over earlier steps. All results count."""

    leaves: Sequence[np.ndarray]
    steps: Sequence[tuple[str, tuple[int, ...]]]


def random_expression(draw: np.random.Generator, *, leaves: int = 4, steps: int = 12) -> Expression:
    """Leaves of shapes that broadcast, and so many steps, each of one or two operands drawn from everything before it."""
    values = [np.asarray(draw.uniform(-2, 2, _SHAPES[int(draw.integers(len(_SHAPES)))])) for _ in range(leaves)]
    names = list(_OURS)
    chosen = []
    for step in range(steps):
        name = names[draw.integers(len(names))]
        operands = draw.integers(leaves + step, size=2 if name in _OF_TWO else 1)
        chosen.append((name, tuple(int(i) for i in operands)))
    return Expression(values, chosen)


def by_graph(expression: Expression) -> tuple[float, list[np.ndarray]]:
    """The sum of tanh of every step's entries, and its gradient at each leaf, by our own graph."""
    leaves = [Node(v) for v in expression.leaves]
    values = list(leaves)
    for name, operands in expression.steps:
        values.append(_OURS[name](*(values[i] for i in operands)))
    root = sum((ours.total(ours.tanh(v)) for v in values), Node(0.0))
    backward(root)
    return float(root.value), [leaf.gradient for leaf in leaves]


def by_torch(expression: Expression) -> tuple[float, list[np.ndarray]]:
    """The same by torch.autograd in float64."""
    leaves = [torch.tensor(v, dtype=torch.float64, requires_grad=True) for v in expression.leaves]
    values = list(leaves)
    for name, operands in expression.steps:
        values.append(_TORCH[name](*(values[i] for i in operands)))
    root = torch.stack([v.tanh().sum() for v in values]).sum()
    found = torch.autograd.grad(root, leaves)
    return root.item(), [g.numpy() for g in found]


def largest_difference(expression: Expression) -> float:
    """Between the two, over the value and every entry of every gradient, relative to values above 1."""
    (value, ours_), (other, torchs) = by_graph(expression), by_torch(expression)
    pairs = [(np.asarray(value), np.asarray(other)), *zip(ours_, torchs, strict=True)]
    return max(float((np.abs(a - b) / np.maximum(np.abs(b), 1.0)).max()) for a, b in pairs)
