"""Max pooling keeps the strongest answer and forgets exactly where it was.

What do kernel and stride make of a map, where does the gradient go, and how much shift does a pooling swallow?
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from sightline.drawing.curves import Frame, Line, line_chart
from sightline.lab.datasets import Labelled
from sightline.lab.experiment import Claim, Experiment, Formula, Picture, Result, Table, Variation
from sightline.lab.seeing.canvas import ink, placed, shifted
from sightline.layers.arithmetic import exact_output_size
from sightline.layers.convolution.convolution import zero_pad
from sightline.layers.convolution.pooling import average_pool, max_pool

# kernel, stride, input, output: every table by hand
TABLES = (
    (2, 2, ((7, 3, 5, 2), (8, 7, 1, 6), (4, 9, 3, 9), (0, 8, 4, 5)), ((8, 6), (9, 9))),
    (2, 1, ((1, 3, 6, 6), (20, 9, 8, 4), (2, 1, 4, 5), (1, 12, 13, 10)), ((20, 9, 8), (20, 9, 8), (12, 13, 13))),
    (2, 2, ((1, 3, 6, 6), (20, 9, 8, 4), (2, 1, 4, 5), (1, 12, 13, 10)), ((20, 8), (12, 13))),
    (2, 2, ((2, 2, 7, 3), (9, 4, 6, 1), (8, 5, 2, 4), (3, 1, 2, 6)), ((9, 7), (8, 6))),
    (2, 2, ((1, 1, 2, 4), (5, 6, 7, 8), (3, 2, 1, 0), (1, 2, 3, 4)), ((6, 8), (3, 4))),
)
SHIFTS = (0, 1, 2, 3, 4)


@dataclass(frozen=True)
class Parameters:
    window: Annotated[int, Field(ge=2, le=8)] = 4


def similarity(a: Tensor, b: Tensor) -> float:
    """Mean cosine between the maps of two batches, each without its mean."""
    one, other = (t.flatten(1) - t.flatten(1).mean(1, keepdim=True) for t in (a, b))
    return F.cosine_similarity(one, other).mean().item()


def run(parameters: Parameters, seed: int) -> Result:
    made = [
        max_pool(torch.tensor(x, dtype=torch.float64)[None, None], k, stride=s)[0, 0].int().tolist()
        for k, s, x, _ in TABLES
    ]
    right = [m == [list(row) for row in y] for m, (_, _, _, y) in zip(made, TABLES, strict=True)]

    x = torch.tensor(TABLES[0][2], dtype=torch.float64)[None, None].requires_grad_()
    max_pool(x, 2, stride=2).sum().backward()
    assert x.grad is not None
    routed = x.grad[0, 0].int().tolist()
    negative = -torch.rand(1, 2, 6, 6, dtype=torch.float64) - 1
    framed = max_pool(negative, 3, stride=2, padding=1)
    zeros = max_pool(zero_pad(negative, 1), 3, stride=2)

    canvas = placed(ink()[1], 24, (8, 8))
    data = Labelled(canvas.x[:200], canvas.y[:200])
    edges = F.conv2d(data.x, torch.randn(8, 1, 3, 3), padding=1).relu()
    pools = {
        "no pooling": lambda t: t,
        f"max {parameters.window} × {parameters.window}": lambda t: max_pool(
            t, parameters.window, stride=parameters.window
        ),
        f"average {parameters.window} × {parameters.window}": lambda t: average_pool(
            t, parameters.window, stride=parameters.window
        ),
        "max over all": lambda t: t.amax((2, 3), keepdim=True),
    }
    curves = {
        name: [similarity(pool(edges), pool(shifted(Labelled(edges, data.y), 0, s).x)) for s in SHIFTS]
        for name, pool in pools.items()
    }
    names = list(curves)
    sizes = [int(exact_output_size(55, 3, stride=2))]
    while len(sizes) < 3:
        sizes.append(int(exact_output_size(sizes[-1], 3, stride=2)))
    lines = [
        Line(name, SHIFTS, c, tone)
        for (name, c), tone in zip(curves.items(), ("one", "two", "three", "four"), strict=True)
    ]
    frame = Frame("Similarity of the moved map", "Cosine of a map with that of the moved image", "pixels moved",
                  "cosine",
                  y_range=(0, 1.02), names="lower left")  # fmt: skip
    return Result(
        claims=[
            Claim("All five tables come out.", all(right), f"{sum(right)} of {len(right)}"),
            Claim("The gradient goes to the maximum of each window and nowhere else.",
                  routed == [[0, 0, 0, 0], [1, 0, 0, 1], [0, 1, 0, 1], [0, 0, 0, 0]],
                  f"{sum(map(sum, routed))} of 16 inputs"),
            Claim("Padding with zeros would win over negative values; padding with -∞ never does.",
                  framed.max().item() < 0 and zeros.max().item() == 0,
                  f"{framed.max().item():.2f} against {zeros.max().item():g}"),
            Claim("AlexNet's overlapped pooling, 3 × 3 at stride 2: 55 → 27 → 13 → 6.", sizes == [27, 13, 6],
                  " → ".join(map(str, sizes))),
            Claim("A digit moved by one pixel changes the pooled maps less than the maps before.",
                  curves[names[1]][1] > curves[names[0]][1] + 0.05,
                  f"cosine {curves[names[1]][1]:.2f} against {curves[names[0]][1]:.2f}"),
            Claim("The invariance is small: half a window of shift already costs more than a tenth of the similarity.",
                  curves[names[1]][min(4, parameters.window // 2)] < 0.9,
                  f"cosine {curves[names[1]][min(4, parameters.window // 2)]:.2f}"),
            Claim("Only the maximum over all places is invariant.", min(curves["max over all"]) > 0.9999,
                  f"cosine {min(curves['max over all']):.4f}"),
        ],
        numbers={f"cosine after one pixel, {name}": curve[1] for name, curve in curves.items()},
        pictures=[Picture(line_chart(lines, frame),
                          "Maps of eight random filters on 200 digits, compared with those of the moved digits.")],
        tables=[Table(("window", "input", "output"),
                      [(f"{k} × {k}, stride {s}", text(x), text(m)) for (k, s, x, _),
                       m in zip(TABLES, made, strict=True)])],
    )  # fmt: skip


def text(rows: object) -> str:
    """[1 2; 3 4]"""
    return "[" + "; ".join(" ".join(map(str, row)) for row in rows) + "]"  # type: ignore[attr-defined]


EXPERIMENT = Experiment(
    run=run,
    parameters=Parameters(),
    notice=(
        "A pooling has no parameters and works on each channel by itself.",
        "Whether a pooled map changes depends on whether the maximum crosses the border of its window: small shifts "
        "often, not always, leave it.",
    ),
    formulas=(Formula("y(i, j) = max over m, n < F of x(S·i + m, S·j + n)", "Zhou and Chellappa 1988, ICNN"),
              Formula("overlap: S < F", "Krizhevsky, Sutskever and Hinton 2012, section 3.4")),
    code=(max_pool, average_pool, similarity),
    variations=(Variation("window=2", "Less is swallowed."), Variation("window=8", "More, and more detail is lost.")),
)  # fmt: skip
