"""A computation is a graph, and its derivatives flow back along the same edges.

How does f = ab + c know its derivatives with respect to a, b and c?
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from pydantic import Field

from sightline.lab.experiment import Claim, Experiment, Formula, Picture, Result, Table, Variation
from sightline.lab.graph import gates
from sightline.lab.graph.node import Node, backward, forward, topological_order
from sightline.lab.graph.picture import graph_picture

Number = Annotated[float, Field(ge=-1e6, le=1e6)]


@dataclass(frozen=True)
class Parameters:
    a: Number = 3.0
    b: Number = 2.0
    c: Number = -4.0
    moved: Annotated[float, Field(gt=0, le=1)] = 0.001


def run(parameters: Parameters, seed: int) -> Result:
    a, b, c = Node(parameters.a, "a"), Node(parameters.b, "b"), Node(parameters.c, "c")
    f = a * b + c
    backward(f)
    found = [float(f.value), *(float(leaf.gradient) for leaf in (a, b, c))]
    expected = [parameters.a * parameters.b + parameters.c, parameters.b, parameters.a, 1.0]
    picture = graph_picture(f, title="f = ab + c", description="Leaves a, b, c; a times b, plus c")
    order = topological_order(f)
    rows: list[list[str | float]] = [
        [i + 1, node.name or (node.gate.symbol if node.gate else ""), float(node.value), float(node.gradient)]
        for i, node in enumerate(order)
    ]
    place = {id(node): i for i, node in enumerate(order)}
    behind = all(place[id(parent)] < place[id(node)] for node in order for parent in node.parents)
    slope = float(a.gradient)
    a.value = np.asarray(parameters.a + parameters.moved)
    rise = float(forward(f)) - found[0]
    return Result(
        claims=[
            Claim(
                "The forward pass gives ab + c; the backward pass b, a and 1.",
                bool(np.allclose(found, expected, rtol=1e-12, atol=0)),
                f"f = {found[0]:g}; df/da = {found[1]:g}, df/db = {found[2]:g}, df/dc = {found[3]:g}",
            ),
            Claim("Every node comes behind all that it reads.", behind, " ".join(str(row[1]) for row in rows)),
            Claim(
                "Moving a by δ moves f by df/da · δ.",
                abs(rise - slope * parameters.moved) <= 1e-9 * max(1.0, abs(found[0]), abs(slope)),
                f"δ = {parameters.moved:g}: f rises by {rise:.6g}",
            ),
        ],
        numbers={"f": found[0], "df/da": found[1], "df/db": found[2], "df/dc": found[3]},
        pictures=[Picture(picture,
            "Above each node its value on the way forward, below it df/d(node) on the way back.")],
        tables=[Table(("step", "node", "value", "gradient"), rows, "The order of the forward pass; back goes up.")],
    )  # fmt: skip


EXPERIMENT = Experiment(
    run=run,
    parameters=Parameters(),
    notice=(
        "The last node starts with the gradient 1: df/df.",
        "The sum hands its gradient on unchanged. The product multiplies it by the other factor, which it remembers "
        "from the "
        "way forward: its cache.",
        "One pass forward and one pass back give all three derivatives, however many leaves there are.",
    ),
    formulas=(
        Formula(
            "df/da = df/d(ab) · d(ab)/da = 1 · b", "Rumelhart, Hinton and Williams 1986, Nature 323; Linnainmaa 1970"
        ),
    ),
    code=(Node, backward, topological_order, gates.Gate),
    variations=(
        Variation("a=-1 b=5 c=0", "df/da is b and df/db is a, whatever they are; c does not matter to either."),
        Variation("moved=1", "f is linear in a, so the gradient is right for steps of any size."),
    ),
    random=False,
)
