"""The gates as functions of nodes."""

from __future__ import annotations

import numpy as np
from jaxtyping import Int

from . import gates
from .node import Node, Operand, apply


def exp(x: Operand) -> Node:
    return apply(gates.EXP, x)


def log(x: Operand) -> Node:
    return apply(gates.LOG, x)


def reciprocal(x: Operand) -> Node:
    return apply(gates.RECIPROCAL, x)


def square(x: Operand) -> Node:
    return apply(gates.SQUARE, x)


def sqrt(x: Operand) -> Node:
    return apply(gates.SQRT, x)


def sine(x: Operand) -> Node:
    return apply(gates.SINE, x)


def cosine(x: Operand) -> Node:
    return apply(gates.COSINE, x)


def tanh(x: Operand) -> Node:
    return apply(gates.TANH, x)


def sigmoid(x: Operand) -> Node:
    return apply(gates.SIGMOID, x)


def relu(x: Operand) -> Node:
    return apply(gates.RELU, x)


def maximum(a: Operand, b: Operand) -> Node:
    return apply(gates.MAXIMUM, a, b)


def scaled(x: Operand, factor: float) -> Node:
    """factor · x as a gate of one input."""
    return apply(gates.scaling(factor), x)


def shifted(x: Operand, constant: float) -> Node:
    """x + constant as a gate of one input."""
    return apply(gates.shifting(constant), x)


def total(x: Operand) -> Node:
    """The sum of all entries, shape ()."""
    return apply(gates.SUM, x)


def mean(x: Operand) -> Node:
    """The mean of all entries, shape ()."""
    return apply(gates.MEAN, x)


def softmax_cross_entropy(scores: Operand, labels: Int[np.ndarray, "n"]) -> Node:
    """The mean cross-entropy of scores (n, k) with true classes (n,), shape ()."""
    return apply(gates.softmax_cross_entropy(labels), scores)
