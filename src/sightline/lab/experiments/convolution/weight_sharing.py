"""Shared weights: few parameters, and a shifted image gives a shifted map.

How many weights does a dense layer need where a convolution needs a handful, and what does it lose when the image moves?
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from pydantic import Field
from torch import nn

from sightline.drawing.curves import Frame, Line, line_chart
from sightline.lab.datasets import Labelled
from sightline.lab.descent import accuracy, descend
from sightline.lab.experiment import Claim, Experiment, Formula, Picture, Result, Table, Variation
from sightline.lab.seeing.canvas import anywhere, ink, placed, shifted
from sightline.layers.arithmetic import convolution_parameters, linear_parameters
from sightline.layers.convolution.convolution import correlate

SIDE = 16
SHIFTS = (0, 1, 2, 3, 4)


@dataclass(frozen=True)
class Parameters:
    steps: Annotated[int, Field(ge=10, le=5_000)] = 500
    filters: Annotated[int, Field(ge=2, le=64)] = 12


def networks(filters: int) -> dict[str, nn.Module]:
    """Two classifiers of a 16 x 16 canvas: of shared windows whose strongest answer counts, and of all pixels."""
    shared = nn.Sequential(
        nn.Conv2d(1, filters, 3, padding=1), nn.ReLU(), nn.Conv2d(filters, 2 * filters, 3, padding=1), nn.ReLU(),
        nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Linear(2 * filters, 10),
    )  # fmt: skip
    dense = nn.Sequential(nn.Flatten(), nn.Linear(SIDE**2, 128), nn.ReLU(), nn.Linear(128, 10))
    return {"shared windows": shared, "dense": dense}


def moved_accuracy(network: nn.Module, data: Labelled, pixels: int) -> float:
    """The mean over the four directions."""
    ways = ((0, pixels), (0, -pixels), (pixels, 0), (-pixels, 0))
    return sum(accuracy(network, shifted(data, *way)) for way in ways) / 4


def run(parameters: Parameters, seed: int) -> Result:
    train, test = ink()
    test = Labelled(test.x[:200], test.y[:200])
    middle, unseen = placed(train, SIDE, (4, 4)), placed(test, SIDE, (4, 4))
    curves: dict[str, list[float]] = {}
    weights = {}
    for name, network in networks(parameters.filters).items():
        descend(network, middle, steps=parameters.steps, lr=0.05, batch=32, seed=seed)
        curves[name] = [moved_accuracy(network, unseen, pixels) for pixels in SHIFTS]
        weights[name] = sum(p.numel() for p in network.parameters())
    dense = networks(parameters.filters)["dense"]
    descend(dense, anywhere(train, SIDE, seed), steps=parameters.steps, lr=0.05, batch=32, seed=seed)
    curves["dense, trained everywhere"] = [moved_accuracy(dense, unseen, pixels) for pixels in SHIFTS]

    kernel = torch.randn(3, 1, 3, 3)
    image = placed(Labelled(test.x[:1], test.y[:1]), SIDE, (4, 4))
    error = (
        correlate(shifted(image, 2, 3).x, kernel) - shifted(Labelled(correlate(image.x, kernel), image.y), 2, 3).x
    ).abs()
    counts = [(f"{n} × {n}", linear_parameters(n * n * 3, 64, bias=False), convolution_parameters(3, 64, 3, bias=False))
              for n in (32, 128, 224)]  # fmt: skip
    drop = {name: curve[0] - curve[3] for name, curve in curves.items()}
    lines = [
        Line(name, SHIFTS, curve, tone)
        for (name, curve), tone in zip(curves.items(), ("one", "two", "three"), strict=True)
    ]
    frame = Frame("Accuracy on moved digits", "Test accuracy over the shift", "pixels moved", "accuracy",
                  y_range=(0, 1), names="lower left")  # fmt: skip
    return Result(
        claims=[
            Claim("Shifting the image shifts the map (equivariance).", error.max().item() < 1e-6,
                  f"largest difference {error.max().item():.0e}"),
            Claim("A convolution's weights do not depend on the size of the image, a dense layer's do.",
                  len({row[2] for row in counts}) == 1 and counts[1][1:] == (3_145_728, 1_728),
                  f"128 × 128 × 3 to 64: {counts[1][1]:,} against {counts[1][2]:,}"),
            Claim("Trained on centred digits, the shared windows lose at most 0.05 on digits moved by 3 pixels.",
                  drop["shared windows"] <= 0.05, f"loses {drop['shared windows']:.3f}"),
            Claim("The dense network loses at least 0.4.", drop["dense"] >= 0.4, f"loses {drop['dense']:.3f}"),
            Claim("Even shown digits at all places, the dense network stays below the shared windows on moved ones.",
                  curves["dense, trained everywhere"][3] < curves["shared windows"][3],
                  f"{curves['dense, trained everywhere'][3]:.3f} against {curves['shared windows'][3]:.3f}"),
        ],
        numbers={f"accuracy, {name}, moved by 3": curve[3] for name, curve in curves.items()}
        | {f"parameters, {name}": float(n) for name, n in weights.items()},
        pictures=[Picture(line_chart(lines, frame),
                          "200 test digits on a canvas of 16 × 16, moved in four directions.")],
        tables=[Table(("image, 3 channels", "dense layer of 64", "64 filters of 3 × 3"), counts, "Weights")],
    )  # fmt: skip


EXPERIMENT = Experiment(
    run=run,
    parameters=Parameters(),
    notice=(
        "Convolution alone is equivariant: the answer moves along. The invariance comes from the maximum over all "
        "places.",
        "Digits at all places teach the dense network every place anew; the convolution knows them after one.",
    ),
    formulas=(Formula("f(shift(x)) = shift(f(x))",
                      "LeCun et al. 1989, Backpropagation Applied to Handwritten Zip Code Recognition"),
              Formula("dense: H·W·C·K weights      convolution: F²·C·K weights",
                      "Goodfellow, Bengio and Courville 2016, section 9.2")),
    code=(networks, correlate, convolution_parameters),
    variations=(Variation("filters=4",
                          "Few windows, less accuracy; and where the border cuts answers off, each missing one costs "
                          "more."),),
)  # fmt: skip
