"""A dense layer is a convolution: the classifier slides over a larger image at little cost.

What does a network that was trained on windows give on a whole image, and how much work does it save?
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from sightline.lab.datasets import Labelled
from sightline.lab.descent import accuracy, descend
from sightline.lab.experiment import Claim, Experiment, Formula, Picture, Result, Table, Variation
from sightline.lab.seeing.canvas import anywhere, ink
from sightline.lab.seeing.pixels import grey, named_grid, signed
from sightline.layers.convolution.convolution import linear_as_convolution
from sightline.models.describe import describe
from sightline.models.sliding import as_convolution, score_map, windows

WINDOW = 14


@dataclass(frozen=True)
class Parameters:
    steps: Annotated[int, Field(ge=10, le=5_000)] = 1_400
    digits: Annotated[int, Field(ge=1, le=3)] = 3


def classifier() -> nn.Sequential:
    """14 x 14 pixels → 5 x 5 convolution → 10 x 10 → pooling → 5 x 5 → dense → dense → 11 scores (the last: no digit)."""
    return nn.Sequential(
        nn.Conv2d(1, 8, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(200, 48), nn.ReLU(), nn.Linear(48, 11)
    )


def read(network: nn.Module, scenes: list[tuple[Tensor, list[tuple[int, int, int]]]]) -> int:
    """How many digits the map names rightly where they stand."""
    found = 0
    for x, truth in scenes:
        scores = network(x)[0, :10]
        found += sum(int(scores[:, (top - 3) // 2, (left - 3) // 2].argmax()) == c for c, top, left in truth)
    return found


def scene(data: Labelled, count: int, seed: int) -> tuple[Tensor, list[tuple[int, int, int]]]:
    """28 x 56 pixels with digits in columns of their own, and (class, row, column) of each upper left corner."""
    draw = torch.Generator().manual_seed(100 + seed)
    x, found = torch.zeros(1, 1, 28, 56), []
    for i in range(count):
        which = int(torch.randint(len(data.x), (), generator=draw))
        top, left = int(torch.randint(2, 19, (), generator=draw)), 4 + 18 * i
        x[0, :, top : top + 8, left : left + 8] = data.x[which]
        found.append((int(data.y[which]), top, left))
    return x, found


def run(parameters: Parameters, seed: int) -> Result:
    train, test = ink()
    inside = anywhere(train, WINDOW, seed, most=1)
    away = anywhere(train, 26, seed)  # mostly cut or out of sight: no digit
    off = [i for i in range(len(away.x)) if away.x[i, 0, 6:20, 6:20].sum() < 0.6 * away.x[i].sum()]
    mixed = Labelled(
        torch.cat([inside.x, away.x[off][:, :, 6:20, 6:20]]), torch.cat([inside.y, torch.full((len(off),), 10)])
    )
    network = classifier()
    descend(network, mixed, steps=parameters.steps, lr=0.05, batch=32, seed=seed)
    whole = as_convolution(network, (1, WINDOW, WINDOW))
    with torch.no_grad():
        sizes = {n: list(whole(torch.zeros(1, 1, n, n)).shape[2:]) for n in (14, 16, 28)}
        x, truth = scene(test, parameters.digits, seed)
        scores = whole(x)  # (1, 11, rows, columns)
        slid = score_map(network, x[0], WINDOW, 2)[None]
    difference = (scores - slid).abs().max().item()
    found = read(whole, [scene(test, parameters.digits, 1000 * seed + i) for i in range(20)])
    digits = 20 * parameters.digits
    first = describe(whole, input=(1, 28, 56))["layers"][0]["multiply_adds"], 8 * 25 * 100 * scores[0, 0].numel()
    once = int(describe(whole, input=(1, 28, 56))["multiply_adds"])
    each = int(describe(network, input=(1, WINDOW, WINDOW))["multiply_adds"]) * scores[0, 0].numel()
    right = accuracy(network, anywhere(Labelled(test.x[:200], test.y[:200]), WINDOW, 7, most=1))
    chance = scores.softmax(1)[0]
    maps = [(f"score map of {c}", signed(chance[c], 1)) for c, _, _ in truth]
    return Result(
        claims=[
            Claim("14 × 14 pixels give one answer, 16 × 16 give 2 × 2, 28 × 28 give 8 × 8.",
                  sizes == {14: [1, 1], 16: [2, 2], 28: [8, 8]},
                  "; ".join(f"{n}: {h} × {w}" for n, (h, w) in sizes.items())),
            Claim("One pass over the scene gives the answers of all windows.", difference < 1e-4,
                  f"largest difference {difference:.0e}"),
            Claim("It takes less than half of the multiply-adds, in the first layer less than a tenth.",
                  once < each / 2 and first[0] < first[1] / 10,
                  f"{once:,} against {each:,}; first layer {first[0]:,} against {first[1]:,}"),
            Claim("The classifier, trained on windows, reads at least three quarters of the digits of twenty scenes.",
                  found >= 0.75 * digits, f"{found} of {digits}; {right:.0%} of 200 test windows"),
        ],
        numbers={"work saved, times": each / once, "accuracy on windows": right},
        pictures=[Picture(named_grid([("scene", grey(x[0, 0]))], 1, 420),
                          "28 × 56 pixels, larger than anything it was trained on.", wide=True),
                  Picture(named_grid(maps, 3, 200), "One probability for each window of 14 × 14, every second pixel.",
                          wide=True)],
        tables=[Table(("image", "map of answers"), [(f"{n} × {n}", f"{h} × {w}") for n, (h, w) in sizes.items()])],
    )  # fmt: skip


EXPERIMENT = Experiment(
    run=run,
    parameters=Parameters(),
    notice=(
        "Neighbouring windows share almost all of their first layer: sliding computes it again for each of them.",
        "The pooling's stride is the step between windows; every further pooling would double it.",
        "With one score a pixel this is a fully convolutional network, with boxes a detector.",
    ),
    formulas=(Formula("dense layer over H × W × C  =  convolution with an H × W kernel",
                      "Sermanet et al. 2013, OverFeat, arXiv:1312.6229"),
              Formula("any size in, a map out", "Long, Shelhamer and Darrell 2014, arXiv:1411.4038, section 3.1")),
    code=(linear_as_convolution, as_convolution, windows),
    variations=(Variation("steps=20",
                          "An untrained classifier still slides: equality and work do not depend on the weights."),),
)  # fmt: skip
