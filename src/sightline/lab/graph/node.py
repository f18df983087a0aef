"""Nodes of a computational graph, the order in which they run, and the two passes.

A `Node` without a gate is a leaf: a weight, an input or a constant. The forward pass visits every node behind its inputs
(a topological order), the backward pass goes the same way back, so that a node hands its gradient on only when all of
it has arrived.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Union

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from sightline.errors import UsageError

from . import gates
from .gates import Array, Gate

Operand = Union["Node", float, int, np.ndarray]


class Node:
    """A value in the graph.

    value      float64 array; scalars have shape ()
    gradient   d(root)/d(value) after `backward(root)`, of the same shape; zero before
    cache      what the gate kept of the way forward for the way back
    """

    # ndarray + Node would otherwise become an array of nodes.
    __array_ufunc__ = None

    def __init__(self, value: ArrayLike, name: str = "", *, gate: Gate | None = None, parents: tuple[Node, ...] = ()):
        self.value: Array = np.asarray(value, dtype=np.float64)
        self.gradient: Array = np.zeros_like(self.value)
        self.name, self.gate, self.parents = name, gate, parents
        self.cache: Any = None

    def forward(self) -> None:
        """Compute the value from those of the parents; a leaf keeps its own."""
        if self.gate is not None:
            self.value, self.cache = self.gate.forward(*(p.value for p in self.parents))

    def backward(self) -> None:
        """Add this node's share to the gradient of each parent: upstream gradient times local derivative."""
        if self.gate is not None:
            for parent, share in zip(self.parents, self.gate.backward(self.cache, self.gradient), strict=True):
                parent.gradient = parent.gradient + share  # never in place: a gate may hand on the same array twice

    def __add__(self, other: Operand) -> Node:
        return apply(gates.ADD, self, other)

    def __mul__(self, other: Operand) -> Node:
        return apply(gates.MULTIPLY, self, other)

    def __sub__(self, other: Operand) -> Node:
        return apply(gates.SUBTRACT, self, other)

    def __rsub__(self, other: Operand) -> Node:
        return apply(gates.SUBTRACT, other, self)

    def __truediv__(self, other: Operand) -> Node:
        return apply(gates.DIVIDE, self, other)

    def __rtruediv__(self, other: Operand) -> Node:
        return apply(gates.DIVIDE, other, self)

    def __matmul__(self, other: Operand) -> Node:
        return apply(gates.MATMUL, self, other)

    def __neg__(self) -> Node:
        return apply(gates.scaling(-1.0), self)

    __radd__, __rmul__ = __add__, __mul__


def apply(gate: Gate, *operands: Operand, name: str = "") -> Node:
    """A new node: the gate over its operands, computed at once. Numbers and arrays become constants."""
    parents = tuple(o if isinstance(o, Node) else Node(o) for o in operands)
    node = Node(0.0, name, gate=gate, parents=parents)
    node.forward()
    return node


def topological_order(root: Node) -> list[Node]:
    """Every node that the root depends on, each behind all its parents; the root is the last."""
    order: list[Node] = []
    done: set[int] = set()
    waiting = [(root, False)]
    while waiting:
        node, parents_done = waiting.pop()
        if parents_done:
            order.append(node)
        elif id(node) not in done:
            done.add(id(node))
            waiting.append((node, True))
            waiting += [(parent, False) for parent in reversed(node.parents)]
    return order


def forward(root: Node) -> Array:
    """Compute every value again, as after a change of leaves; the root's."""
    for node in topological_order(root):
        node.forward()
    return root.value


def backward(root: Node, upstream: Float[np.ndarray, "..."] | None = None) -> None:
    """Set the gradient of every node. `upstream` is dL/d(root), 1 for a scalar root. UsageError where a root that is
    no scalar comes without one."""
    if upstream is None and root.value.size != 1:
        raise UsageError(
            f"the root has shape {root.value.shape}, not one value", "sum it, or give its upstream gradient"
        )
    order = topological_order(root)
    for node in order:
        node.gradient = np.zeros_like(node.value)
    root.gradient = np.ones_like(root.value) if upstream is None else np.asarray(upstream, dtype=np.float64)
    for node in reversed(order):
        node.backward()


def gradients(root: Node, leaves: Mapping[str, Node]) -> dict[str, Array]:
    """d(root)/d(leaf) of each named leaf."""
    backward(root)
    return {name: leaf.gradient for name, leaf in leaves.items()}


def jacobian(root: Node, leaf: Node) -> Float[np.ndarray, "m n"]:
    """∂root/∂leaf of flattened root (m) and leaf (n): row i is the gradient of output i, as torch lays it out. The other
    convention, in which a gradient is a column, is its transpose (n, m). One backward pass for each output."""
    rows = []
    for i in range(root.value.size):
        upstream = np.zeros(root.value.size)
        upstream[i] = 1.0
        backward(root, upstream.reshape(root.value.shape))
        rows.append(leaf.gradient.ravel())
    return np.stack(rows)
