"""Numbers about gradients, each computed by the laboratory's own graph or by differences."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from sightline.lab.differences import numerical_gradient
from sightline.lab.graph import operations as ops
from sightline.lab.graph.node import Node, backward, jacobian
from tests.golden.rows import Golden

golden = Golden("gradients")
Inputs = dict[str, Any]


@pytest.mark.parametrize("identifier", golden.rows)
def test_row(identifier: str) -> None:
    golden.check(identifier)


def test_every_row_is_computed() -> None:
    assert golden.computed.keys() == golden.rows.keys()


@golden("graph-abc")
def _abc(inputs: Inputs) -> dict[str, float]:
    a, b, c = (Node(inputs[name]) for name in "abc")
    f = a * b + c
    backward(f)
    return {"f": float(f.value), "da": float(a.gradient), "db": float(b.gradient), "dc": float(c.gradient)}


@golden("gate-patterns")
def _gates(inputs: Inputs) -> list[float]:
    x, y, z, w = (Node(inputs[name]) for name in "xyzw")
    backward(ops.scaled(x * y + ops.maximum(z, w), 2.0))
    return [float(leaf.gradient) for leaf in (x, y, z, w)]


@golden("local-derivatives")
def _local(inputs: Inputs) -> list[float]:
    gates = [ops.reciprocal, lambda x: ops.shifted(x, 1.0), ops.exp, lambda x: ops.scaled(x, -1.0)]
    leaves = [Node(x) for x in inputs["x"]]
    for gate, leaf in zip(gates, leaves, strict=True):
        backward(gate(leaf))
    return [float(leaf.gradient) for leaf in leaves]


@golden("chain-rule-slide")
def _chain(inputs: Inputs) -> float:
    a = Node(inputs["a"])
    backward(ops.scaled(ops.square(a), 3.0))
    return float(a.gradient)


@golden("jacobian-layout")
def _layout(inputs: Inputs) -> dict[str, list[int]]:
    n, m = inputs["N"], inputs["M"]
    x, w = Node(np.arange(1.0, n + 1)[None]), Node(np.arange(n * m, dtype=float).reshape(n, m))
    ours = jacobian(x @ w, x)
    torchs = torch.autograd.functional.jacobian(lambda t: t @ torch.tensor(w.value), torch.tensor(x.value[0]))
    assert ours == pytest.approx(torchs.numpy(), abs=1e-12)
    return {"deck": list(ours.T.shape), "torch": list(ours.shape)}


def _difference(inputs: Inputs) -> float:
    """The losses of the row, as those of w and of w + h."""
    return numerical_gradient(
        lambda w: inputs["loss_plus_h"] if w > 0 else inputs["loss"], np.asarray(0.0), h=inputs["h"], scheme="forward"
    ).item()


golden("numgrad-coord0")(_difference)
golden("numgrad-coord1")(_difference)
