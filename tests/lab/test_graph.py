"""The laboratory's computational graph against torch.autograd, in float64."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from sightline.drawing.figures.graph import Vertex, layered_graph
from sightline.errors import UsageError
from sightline.lab.differences import numerical_gradient, relative_error
from sightline.lab.graph import operations as ops
from sightline.lab.graph.expressions import largest_difference, random_expression
from sightline.lab.graph.node import Node, backward, forward, jacobian, topological_order
from sightline.lab.graph.picture import graph_picture


def test_a_thousand_random_expressions_are_autograds() -> None:
    draw = np.random.default_rng(0)
    differences = np.array([largest_difference(random_expression(draw)) for _ in range(1000)])
    assert np.isfinite(differences).all()
    assert differences.max() <= 1e-10


def test_a_layer_is_autograds() -> None:
    """Matrix product, a bias that broadcasts, ReLU, another layer, softmax cross-entropy."""
    draw = np.random.default_rng(1)
    arrays = [draw.standard_normal(shape) for shape in ((5, 4), (4, 6), (6,), (6, 3), (1, 3))]
    labels = np.array([0, 2, 1, 2, 0])
    x, w1, b1, w2, b2 = leaves = [Node(a) for a in arrays]
    loss = ops.softmax_cross_entropy(ops.relu(x @ w1 + b1) @ w2 + b2, labels)
    backward(loss)
    tx, tw1, tb1, tw2, tb2 = tensors = [torch.tensor(a, requires_grad=True) for a in arrays]
    expected = F.cross_entropy((tx @ tw1 + tb1).relu() @ tw2 + tb2, torch.tensor(labels))
    assert float(loss.value) == pytest.approx(expected.item(), abs=1e-12)
    for leaf, gradient in zip(leaves, torch.autograd.grad(expected, tensors), strict=True):
        assert leaf.gradient.shape == leaf.value.shape
        assert leaf.gradient == pytest.approx(gradient.numpy(), abs=1e-12)


def test_a_node_read_twice_adds_up_and_a_second_pass_starts_anew() -> None:
    x = Node(3.0)
    y = x * x + x
    for _ in range(2):
        backward(y)
        assert x.gradient == 7.0
    x.value = np.asarray(1.0)
    assert forward(y) == 2.0
    assert len({id(n) for n in topological_order(y)}) == len(topological_order(y)) == 3


def test_equal_inputs_of_a_maximum_share_its_gradient_as_in_torch() -> None:
    a, b = Node([1.0, 2.0]), Node([1.0, 3.0])
    backward(ops.total(ops.maximum(a, b)))
    x, y = (torch.tensor(n.value, requires_grad=True) for n in (a, b))
    expected = torch.autograd.grad(torch.maximum(x, y).sum(), (x, y))
    assert [n.gradient.tolist() for n in (a, b)] == [g.tolist() for g in expected] == [[0.5, 0.0], [0.5, 1.0]]


def test_five_thousand_nodes_need_no_recursion() -> None:
    x = node = Node(1.0)
    for _ in range(5000):
        node = node + 0.0
    backward(node)
    assert x.gradient == 1.0


def test_a_root_of_several_values_needs_an_upstream_gradient() -> None:
    w = Node(np.ones((2, 3)))
    with pytest.raises(UsageError, match=r"\(2, 3\)"):
        backward(w * 2.0)
    backward(w * 2.0, np.arange(6.0).reshape(2, 3))
    assert (w.gradient == 2 * np.arange(6.0).reshape(2, 3)).all()


def test_the_jacobian_is_torchs() -> None:
    x = Node(np.array([0.3, -1.2, 2.0]))
    found = jacobian(ops.sine(x) * ops.exp(x), x)
    expected = torch.autograd.functional.jacobian(lambda t: t.sin() * t.exp(), torch.tensor(x.value))
    assert found == pytest.approx(expected.numpy(), abs=1e-12)


def test_differences_of_both_schemes() -> None:
    w = np.array([[0.5, -1.0], [2.0, 0.0]])
    kept = w.copy()
    exact = 3 * w**2
    errors = {
        (scheme, h): np.abs(numerical_gradient(lambda v: float((v**3).sum()), w, h=h, scheme=scheme) - exact).max()
        for scheme in ("forward", "central")
        for h in (1e-2, 1e-3)
    }
    assert (w == kept).all()
    assert errors["forward", 1e-2] / errors["forward", 1e-3] == pytest.approx(10, rel=0.05)
    assert errors["central", 1e-2] / errors["central", 1e-3] == pytest.approx(100, rel=0.05)
    assert relative_error(np.array([1.0, 0.0]), np.array([2.0, 0.0])) == 0.5


def test_a_graph_is_drawn_with_values_above_and_gradients_below() -> None:
    a, b, c = Node(3.0, "a"), Node(2.0, "b"), Node(-4.0, "c")
    f = a * b + c
    backward(f)
    svg = graph_picture(f, title="f", description="d")
    assert [svg.count(f"c-{kind}") for kind in ("node", "forward", "backward")] == [5, 5, 5]
    for text in (">a<", ">×<", ">6<", ">−4<"):
        assert text in svg


def test_edges_lead_right_and_a_cycle_is_refused() -> None:
    svg = layered_graph([Vertex("a"), Vertex("<b>")], [(0, 1)], title="t", description="d")
    assert "&lt;b&gt;" in svg
    with pytest.raises(ValueError, match="cycle"):
        layered_graph([Vertex("a"), Vertex("b")], [(0, 1), (1, 0)], title="t", description="d")
