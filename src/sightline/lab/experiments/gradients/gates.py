"""A sum distributes the gradient, a product switches it, a maximum routes it.

What does each kind of gate do with the gradient that reaches it?
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from pydantic import Field

from sightline.lab.experiment import Claim, Experiment, Formula, Picture, Result, Table, Variation
from sightline.lab.graph import gates
from sightline.lab.graph import operations as ops
from sightline.lab.graph.node import Node, backward
from sightline.lab.graph.picture import graph_picture

Number = Annotated[float, Field(ge=-10, le=10)]


@dataclass(frozen=True)
class Parameters:
    x: Number = 3.0
    y: Number = -4.0
    z: Number = 2.0
    w: Number = -1.0


def patterns(p: Parameters) -> tuple[Node, list[Node]]:
    """f = 2(xy + max(z, w)) and its leaves."""
    x, y, z, w = Node(p.x, "x"), Node(p.y, "y"), Node(p.z, "z"), Node(p.w, "w")
    return ops.scaled(x * y + ops.maximum(z, w), 2.0), [x, y, z, w]


def neuron() -> tuple[Node, dict[str, Node]]:
    """1 / (1 + exp(-(w₀x₀ + w₁x₁ + w₂))) from the smallest gates."""
    leaves = {n: Node(v, n) for n, v in {"w0": 2.0, "x0": -1.0, "w1": -3.0, "x1": -2.0, "w2": -3.0}.items()}
    score = leaves["w0"] * leaves["x0"] + leaves["w1"] * leaves["x1"] + leaves["w2"]
    return ops.reciprocal(ops.shifted(ops.exp(ops.scaled(score, -1.0)), 1.0)), leaves


def run(parameters: Parameters, seed: int) -> Result:
    f, leaves = patterns(parameters)
    backward(f)
    found = [float(leaf.gradient) for leaf in leaves]
    p = parameters
    to_z = 1.0 if p.z > p.w else 0.5 if p.z == p.w else 0.0
    expected = [2 * p.y, 2 * p.x, 2 * to_z, 2 * (1 - to_z)]
    single, parts = neuron()
    backward(single)
    output = float(single.value)
    slope = output * (1 - output)
    whole = Node(1.0)
    backward(ops.sigmoid(whole))
    by_hand = {"w0": -slope, "x0": 2 * slope, "w1": -2 * slope, "x1": -3 * slope, "w2": slope}
    apart = max(abs(float(parts[n].gradient) - by_hand[n]) for n in parts)
    places = {"1/x": (ops.reciprocal, 1.37, -(1.37**-2)), "x + c": (lambda x: ops.shifted(x, 1.0), 0.37, 1.0),
              "eˣ": (ops.exp, -1.0, math.exp(-1)),
                  "ax, a = −1": (lambda x: ops.scaled(x, -1.0), 1.0, -1.0)}  # fmt: skip
    rows: list[list[str | float]] = []
    for name, (gate, at, formula) in places.items():
        leaf = Node(at)
        backward(gate(leaf))
        rows.append([name, at, float(leaf.gradient), formula])
    return Result(
        claims=[
            Claim(
                "The sum gives both inputs 2; the product gives each the other times 2; the maximum gives all to "
                "the larger.",
                bool(np.allclose(found, expected, atol=1e-12)), ", ".join(f"{v:g}" for v in found),
            ),
            Claim(
                "Four small gates have together the slope σ(1 − σ) of one sigmoid gate.",
                apart < 1e-12 and abs(float(whole.gradient) - slope) < 1e-12, f"σ = {output:.4f}, slope {slope:.4f}",
            ),
            Claim("The local derivatives are their formulas.",
                all(abs(float(r[2]) - float(r[3])) < 1e-12 for r in rows),
                ", ".join(f"{r[0]}: {float(r[2]):.4f}" for r in rows)),
        ],
        numbers={"df/dx": found[0], "df/dy": found[1], "df/dz": found[2], "df/dw": found[3]},
        pictures=[
            Picture(graph_picture(f, title="2(xy + max(z, w))", description="Four leaves"),
                "f = 2(xy + max(z, w)). Below each node its gradient.", wide=True),
            Picture(graph_picture(single, title="A neuron", description="Five leaves and seven gates", digits=2),
                "A neuron with a sigmoid, down to the smallest gates.", wide=True),
        ],
        tables=[Table(("gate", "at x", "slope by the graph", "slope by formula"), rows,
            "Local derivatives along the neuron's exit.")],
    )  # fmt: skip


EXPERIMENT = Experiment(
    run=run,
    parameters=Parameters(),
    notice=(
        "A sum is a distributor: both inputs receive the same gradient, whatever their values.",
        "A product is a switcher: the large input gives the small one a large gradient. So a bad scale of inputs "
        "makes a bad "
        "scale of the gradients of weights.",
        "A maximum is a router: the input that lost learns nothing.",
    ),
    formulas=(
        Formula("σ(x) = 1/(1 + e⁻ˣ)\ndσ/dx = (1 − σ)σ", "Rumelhart, Hinton and Williams 1986, Nature 323"),
        Formula("+: (g, g)    ×: (g·b, g·a)    max: (g·[a > b], g·[b > a])", "Karpathy, Stanford CS231n notes"),
    ),
    code=(patterns, neuron, gates.elementwise, Node),
    variations=(
        Variation("w=5", "The maximum now routes to w; z learns nothing."),
        Variation("x=0", "The product gives y no gradient: a zero input trains no weight."),
    ),
    random=False,
)
