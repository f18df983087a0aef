"""A linear classifier cuts the plane with straight lines, and its regions are convex.

Where is the border between two classes, and what can no line separate?
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch
from markupsafe import Markup
from pydantic import Field
from torch import Tensor, nn

from sightline.drawing.plane import Path, Points, Surface, Window, plane_chart
from sightline.lab.datasets import Labelled, blobs, xor
from sightline.lab.descent import accuracy, descend
from sightline.lab.experiment import Claim, Experiment, Formula, Picture, Result, Variation

WINDOW = Window(-3, 3, -3, 3)


@dataclass(frozen=True)
class Parameters:
    classes: Annotated[int, Field(ge=2, le=6)] = 3
    points: Annotated[int, Field(ge=30, le=2_000)] = 240
    noise: Annotated[float, Field(gt=0, le=2)] = 0.35


def border(layer: nn.Linear, i: int, j: int) -> tuple[Tensor, float]:
    """Normal (2,) and offset of the line on which the scores of classes i and j are equal: normal · x + offset = 0."""
    weight, bias = layer.weight.detach(), layer.bias.detach()
    return weight[i] - weight[j], (bias[i] - bias[j]).item()


def on_border(layer: nn.Linear, i: int, j: int) -> Tensor:
    """(200, 2) points of that line."""
    normal, offset = border(layer, i, j)
    along = torch.stack([-normal[1], normal[0]]) / normal.norm()
    return -offset * normal / normal.square().sum() + torch.linspace(-6, 6, 200)[:, None] * along


def share_kept(layer: nn.Linear, points: int) -> float:
    """Of segments between points of one region, the share whose middle is in the region too: 1 for convex regions."""
    x = 6 * torch.rand(points, 2) - 3
    classes = layer(x).argmax(1)
    a, b = torch.randint(points, (2, 20 * points))
    same = classes[a] == classes[b]
    t = torch.rand(len(a), 1)
    middle = t * x[a] + (1 - t) * x[b]
    return (layer(middle).argmax(1) == classes[a])[same].float().mean().item()


@torch.no_grad()
def picture(layer: nn.Linear, data: Labelled, title: str) -> Markup:
    """Regions, points and borders; of each border only the part where its two classes lead."""
    classes = layer(torch.tensor(WINDOW.grid().reshape(-1, 2), dtype=torch.float32)).argmax(1).numpy().reshape(120, 120)
    paths = []
    for i in range(layer.out_features):
        for j in range(i):
            line = on_border(layer, i, j)
            scores = layer(line)
            lead = (scores.max(1).values - scores[:, i] < 1e-4) & (line.abs() < 3).all(1)
            if lead.sum() > 1:
                paths.append(Path(line[lead].numpy().astype(float), "", "eight"))
    x, y = data.numpy()
    return plane_chart(WINDOW, title=title, description=f"{layer.out_features} regions with straight borders",
                       surface=Surface(classes.astype(np.int64)), points=[Points(x, y)], paths=paths)  # fmt: skip


def run(parameters: Parameters, seed: int) -> Result:
    p = parameters
    clouds, crossed = blobs(p.points, seed, p.classes, p.noise), xor(p.points, seed)
    layer, failing = nn.Linear(2, p.classes), nn.Linear(2, 2)
    descend(layer, clouds, steps=400, lr=0.1, seed=seed)
    descend(failing, crossed, steps=400, lr=0.1, seed=seed)
    right, wrong = accuracy(layer, clouds), accuracy(failing, crossed)
    with torch.no_grad():
        line = on_border(layer, 0, 1)
        scores = layer(line)
        tie = (scores[:, 0] - scores[:, 1]).abs().max().item()
        normal, offset = border(layer, 0, 1)
        x = clouds.x[0]
        distance = ((normal @ x + offset) / normal.norm()).item()
        nearest = torch.cdist(x[None], line).min().item()
        convex = share_kept(layer, 500)
    return Result(
        claims=[
            Claim("Along the line (w₀ − w₁)·x + b₀ − b₁ = 0 both classes score the same.", tie < 1e-3,
                f"largest difference {tie:.1e}"),
            Claim("The score difference over ‖w₀ − w₁‖ is the distance to that line.",
                abs(abs(distance) - nearest) < 0.05, f"{abs(distance):.3f} and {nearest:.3f}"),
            Claim("Regions are convex: what lies between two points of a region belongs to it.", convex == 1.0,
                f"{convex:.1%} of the segments"),
            Claim("Lines separate the clouds.", right >= 0.95, f"{right:.1%}"),
            Claim("No line separates points whose signs differ (XOR): at most three quarters and a little.",
                wrong <= 0.8, f"{wrong:.1%}"),
        ],
        numbers={"accuracy, clouds": right, "accuracy, XOR": wrong},
        pictures=[Picture(picture(layer, clouds, "Clouds"), f"{p.classes} clouds: accuracy {right:.2f}."),
            Picture(picture(failing, crossed, "XOR"), f"XOR: accuracy {wrong:.2f}.")],
    )  # fmt: skip


EXPERIMENT = Experiment(
    run=run,
    parameters=Parameters(),
    notice=(
        "The normal of a border is the difference of two templates; the biases move it to and fro.",
        "Three borders meet in a point: where two classes tie with a third, they tie with each other.",
        "In an image's thousands of dimensions the lines are hyperplanes; nothing else changes.",
    ),
    formulas=(
        Formula("(wᵢ − wⱼ)·x + bᵢ − bⱼ = 0", "Duda and Hart 1973, chapter 5"),
        Formula("convex: if Wx and Wx′ are largest at k, so is W(tx + (1 − t)x′)",
            "Boyd and Vandenberghe 2004, section 2"),
    ),
    code=(border, on_border, share_kept),
    variations=(
        Variation("classes=6 noise=0.2", "Six wedges."),
        Variation("noise=1.2", "Clouds that overlap: the border stays straight and the accuracy falls."),
    ),
)  # fmt: skip
