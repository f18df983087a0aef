"""A layer's backward pass is four formulas, and no Jacobian is ever built.

What are dz, dW, db and da, which shapes have they, and why are they not products with the whole Jacobian?
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, NamedTuple

import torch
from pydantic import Field
from torch import Tensor

from sightline.lab.experiment import Claim, Experiment, Formula, Result, Table, Variation
from sightline.lab.graph import gates
from sightline.lab.graph import operations as ops
from sightline.lab.graph.node import Node, backward, jacobian


@dataclass(frozen=True)
class Parameters:
    samples: Annotated[int, Field(ge=1, le=64)] = 5
    inputs: Annotated[int, Field(ge=1, le=64)] = 4
    units: Annotated[int, Field(ge=1, le=64)] = 3


class LayerGradients(NamedTuple):
    z: Tensor  # (units, samples)
    weight: Tensor  # (units, inputs)
    bias: Tensor  # (units, 1)
    a: Tensor  # (inputs, samples)


def layer_backward(upstream: Tensor, z: Tensor, weight: Tensor, a: Tensor) -> LayerGradients:
    """Of relu(W a + b) with a column a sample; `upstream` is dL/d(output), a loss that sums over samples."""
    dz = upstream * (z > 0)
    return LayerGradients(dz, dz @ a.T, dz.sum(1, keepdim=True), weight.T @ dz)


def run(parameters: Parameters, seed: int) -> Result:
    m, d, k = parameters.samples, parameters.inputs, parameters.units
    a, weight, bias, upstream = (torch.randn(s, dtype=torch.float64) for s in ((d, m), (k, d), (k, 1), (k, m)))
    leaves = [t.clone().requires_grad_() for t in (weight, bias, a)]
    z = leaves[0] @ leaves[2] + leaves[1]
    z.retain_grad()
    (z.relu() * upstream).sum().backward()
    mine = layer_backward(upstream, z.detach(), weight, a)
    torchs = LayerGradients(*(t.grad for t in (z, *leaves)))  # type: ignore[arg-type]
    apart = max((p - q).abs().max().item() for p, q in zip(mine, torchs, strict=True))
    nodes = [Node(t.numpy()) for t in (weight, bias, a)]
    graph_z = nodes[0] @ nodes[2] + nodes[1]
    backward(ops.relu(graph_z), upstream.numpy())
    by_graph = [torch.from_numpy(n.gradient.copy()) for n in (graph_z, *nodes)]
    graph_apart = max((p - q).abs().max().item() for p, q in zip(mine, by_graph, strict=True))
    leaf = Node(z.detach().numpy())
    full = torch.from_numpy(jacobian(ops.relu(leaf), leaf))  # (k·m, k·m)
    by_jacobian = (full.T @ upstream.ravel()).reshape(k, m)
    off = (full - full.diag().diag()).abs().max().item()
    vector, matrix = Node(a[:, :1].numpy()), Node(weight.numpy())
    row_per_output = jacobian(matrix @ vector, vector)  # (k, d)
    shapes = [[name, " × ".join(map(str, t.shape)), formula] for name, t, formula in zip(
        ("dz", "dW", "db", "da"), mine, ("dL/da ∘ g′(z)", "dz aᵀ", "Σ over samples of dz", "Wᵀ dz"),
            strict=True)]  # fmt: skip
    batch, width = 64, 4096
    return Result(
        claims=[
            Claim("The four formulas are what autograd finds.", apart < 1e-12, f"largest difference {apart:.1e}"),
            Claim("Our own graph finds the same.", graph_apart < 1e-12, f"{graph_apart:.1e}"),
            Claim("Each gradient has the shape of what it belongs to.",
                all(p.shape == q.shape for p, q in zip(mine, (z, weight, bias, a), strict=True)),
                ", ".join(r[1] for r in shapes)),
            Claim("The Jacobian of a ReLU layer is diagonal, and its product with the upstream gradient is dz.",
                off == 0 and (by_jacobian - mine.z).abs().max().item() < 1e-12, f"off the diagonal {off:g}"),
            Claim("The Jacobian of Wa has a row for each output (torch); the other convention is its transpose.",
                row_per_output.shape == (k, d) and bool((torch.from_numpy(row_per_output) == weight).all()),
                f"{k} × {d} and {d} × {k}"),
        ],
        numbers={"entries of the ReLU layer's Jacobian": full.numel(),
            "entries that are not 0": int((full != 0).sum())},
        tables=[
            Table(("gradient", "shape", "formula"), shapes, f"{k} units, {d} inputs, {m} samples as columns."),
            Table(("derivative of", "by", "shape"), [
                ["a scalar", "a scalar", "a number"], ["a scalar", f"a vector of {d}", f"{d}: the gradient"],
                [f"a vector of {k}", f"a vector of {d}", f"{k} × {d} (torch), or {d} × {k}: the Jacobian"],
            ], "Shapes of derivatives."),
            Table(("a ReLU over", "Jacobian's entries", "GB in float32"), [
                [f"{k} × {m}", (k * m) ** 2, (k * m) ** 2 * 4 / 1e9],
                [f"{batch} × {width}", float((batch * width) ** 2), math.prod((batch * width, batch * width, 4)) / 1e9],
            ], "What a vector-Jacobian product never stores."),
        ],
    )  # fmt: skip


EXPERIMENT = Experiment(
    run=run,
    parameters=Parameters(),
    notice=(
        "Shapes decide the formulas: only one product of dz and a has the shape of W.",
        "b was added to every sample, so its gradient is a sum over samples: the rule of every broadcast.",
        "The upstream gradient is multiplied with a Jacobian that is known to be diagonal: an element-wise product "
        "does it.",
    ),
    formulas=(
        Formula(
            "dz = da′ ∘ g′(z)\ndW = dz aᵀ\ndb = Σ dz\nda = Wᵀ dz", "Rumelhart, Hinton and Williams 1986, Nature 323"
        ),
        Formula("dL/dx = Jᵀ dL/dy,    Jᵢⱼ = ∂yᵢ/∂xⱼ", "Baydin et al. 2018, JMLR 18, arXiv:1502.05767"),
    ),
    code=(layer_backward, gates.unbroadcast, jacobian),
    variations=(
        Variation("samples=64 units=32", "The Jacobian of one small layer has four million entries."),
        Variation("samples=1", "Without a batch the sum over samples is dz itself."),
    ),
)
