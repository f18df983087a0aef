"""The neocognitron: match, blur, match, blur.

How does a network without labels or gradients come to recognise a digit that moved?
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from sightline.drawing.curves import Frame, Line, line_chart
from sightline.lab.datasets import Labelled
from sightline.lab.descent import accuracy, descend
from sightline.lab.experiment import Claim, Experiment, Formula, Picture, Result, Variation
from sightline.lab.seeing.canvas import ink, placed, shifted
from sightline.lab.seeing.neocognitron import Neocognitron, c_layer, s_layer
from sightline.lab.seeing.pixels import grey, named_grid

SIDE, SHIFTS = 16, (0, 1, 2, 3, 4)


@dataclass(frozen=True)
class Parameters:
    features: Annotated[int, Field(ge=4, le=40)] = 16
    threshold: Annotated[float, Field(ge=0, lt=1)] = 0.7


def read_out(maps: Tensor, y: Tensor, seed: int) -> nn.Module:
    """A linear layer over maps that stay as they are."""
    layer = nn.Sequential(nn.Flatten(), nn.Linear(maps[0].numel(), 10))
    descend(layer, Labelled(maps, y), steps=400, lr=0.05, seed=seed)
    return layer


def similarity(one: Tensor, other: Tensor) -> float:
    return F.cosine_similarity(one.flatten(1), other.flatten(1)).mean().item()


def run(parameters: Parameters, seed: int) -> Result:
    p = parameters
    train, test = ink()
    train, test = (
        placed(Labelled(train.x[:450], train.y[:450]), SIDE, (4, 4)),
        placed(Labelled(test.x[:200], test.y[:200]), SIDE, (4, 4)),
    )
    network = Neocognitron(
        train.x[:200], counts=(p.features, 6 * p.features), pools=((3, 1), (8, 4)), threshold=p.threshold, seed=seed
    )
    stages = ["pixels", "C1", "C2"]
    with torch.no_grad():
        trained, moved = network.maps(train.x), {s: network.maps(shifted(test, 0, s).x) for s in SHIFTS}
    kept = {stage: [similarity(moved[0][i], moved[s][i]) for s in SHIFTS] for i, stage in enumerate(stages)}
    read: dict[str, list[float]] = {}
    for i, stage in enumerate(stages):
        layer = read_out(trained[i], train.y, seed)
        read[stage] = [accuracy(layer, Labelled(moved[s][i], test.y)) for s in SHIFTS]
    first = s_layer(test.x, network.features[0], 3, p.threshold)
    down = s_layer(shifted(test, 0, 2).x, network.features[0], 3, p.threshold)
    equivariant = (first[..., 2:-4] - down[..., 4:-2]).abs().max().item()
    pooled = c_layer(first, 3, 1)
    tones = ("quiet", "one", "two")
    lines = [Line(n, SHIFTS, c, t) for (n, c), t in zip(read.items(), tones, strict=True)]
    alike = [Line(n, SHIFTS, c, t) for (n, c), t in zip(kept.items(), tones, strict=True)]
    frames = [
        Frame(title, title, "pixels moved", label, y_range=(0, 1.05))
        for title, label in (
            ("A linear classifier on each stage", "accuracy"),
            ("Similarity to the unmoved digit", "cosine"),
        )
    ]
    shown = [(f"feature {i + 1}", grey(f.view(3, 3))) for i, f in enumerate(network.features[0][:6])]
    cells = [
        ("input", grey(test.x[0, 0], 0, 1)),
        ("S cells", grey(first[0, 0], 0, 1)),
        ("C cells", grey(pooled[0, 0], 0, 1)),
        ("C2, first", grey(moved[0][2][0, 0], 0, 1)),
    ]
    return Result(
        claims=[
            Claim("S cells move with the image: they find their feature wherever it is.", equivariant < 1e-6,
                  f"largest difference {equivariant:.0e}"),
            Claim("Similarity to the unmoved digit rises with every stage.",
                  kept["pixels"][2] < kept["C1"][2] < kept["C2"][2],
                  f"moved by 2: {kept['pixels'][2]:.2f} → {kept['C1'][2]:.2f} → {kept['C2'][2]:.2f}"),
            Claim("Two pixels of shift cost the last stage less than two thirds of the accuracy that they cost the "
                  "pixels.",
                  read["C2"][0] - read["C2"][2] < (read["pixels"][0] - read["pixels"][2]) * 2 / 3,
                  f"{read['C2'][0]:.2f} → {read['C2'][2]:.2f} against {read['pixels'][0]:.2f} → {read['pixels'][2]:.2f}"),
            Claim("Without labels or gradients its features suffice for 85 % of unmoved digits.", read["C2"][0] >= 0.85,
                  f"{read['C2'][0]:.3f}"),
        ],
        numbers={f"accuracy moved by 2, {n}": c[2] for n, c in read.items()},
        pictures=[Picture(line_chart(lines, frames[0]), "Trained on centred digits only."),
                  Picture(line_chart(alike, frames[1]), "How much of a stage's answer stays."),
                  Picture(named_grid(shown, 6, 96), "Features of the first S layer.", wide=True),
                  Picture(named_grid(cells, 4, 132), "One digit on its way.", wide=True)],
    )  # fmt: skip


EXPERIMENT = Experiment(
    run=run,
    parameters=Parameters(),
    notice=("Each C layer forgives a little shift, so that the next S layer may match parts that are not exactly in "
            "place.",
            "This is the plan of LeNet; what was missing in 1980 was the gradient through all of it."),
    formulas=(Formula("S: max(0, cos(patch, feature) − θ) / (1 − θ)      C: max over neighbours",
                      "after Fukushima 1980, Biological Cybernetics 36"),),
    code=(Neocognitron, s_layer, c_layer),
    variations=(Variation("threshold=0.3", "Lenient S cells answer to almost anything."),
                Variation("features=4", "Four features: hardly enough for ten digits.")),
)  # fmt: skip
