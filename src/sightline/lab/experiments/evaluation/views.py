"""Ten crops: several looks at one image, and one answer.

What does averaging over crops and mirror images gain, with which interval, and when does it harm?
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch
from pydantic import Field
from torch import nn

from sightline.augmentation.views import mean_probability, ten_crop, two_flips
from sightline.drawing.bars import Row, interval_rows
from sightline.evaluation.intervals import interval, resample_weights
from sightline.lab.datasets import Labelled
from sightline.lab.descent import descend
from sightline.lab.experiment import Claim, Experiment, Formula, Picture, Result, Table, Variation
from sightline.lab.seeing.canvas import anywhere, ink
from sightline.lab.seeing.pixels import grey, named_grid
from sightline.metrics.proportions import wilson

CROP, SIDE = 10, 12
PLACES = 4  # where each test digit is shown


@dataclass(frozen=True)
class Parameters:
    samples: Annotated[int, Field(ge=100, le=1_297)] = 600
    steps: Annotated[int, Field(ge=10, le=5_000)] = 1_200
    flips: bool = False  # train on mirrored digits too


def crops(data: Labelled, seed: int, flips: bool) -> Labelled:
    """Ten random crops of each image, one behind the other, some of them mirrored with `flips`."""
    draw = torch.Generator().manual_seed(seed)
    parts = []
    for _ in range(10):
        top, left = torch.randint(0, SIDE - CROP + 1, (2,), generator=draw).tolist()
        part = data.x[:, :, top : top + CROP, left : left + CROP]
        parts.append(part.flip(3) if flips and torch.rand((), generator=draw) < 0.5 else part)
    return Labelled(torch.cat(parts), data.y.repeat(10))


def gain(right: np.ndarray, base: np.ndarray, seed: int) -> tuple[float, float, float]:
    """The difference of two accuracies on the same images, and its 95 % interval by resampling digits, each with all of its
    places."""
    difference = (right.astype(float) - base).reshape(PLACES, -1).mean(0)
    drawn = resample_weights(len(difference), seed, range(1000)) @ difference / len(difference)
    low, high = interval(drawn) or (0.0, 0.0)
    return float(difference.mean()), low, high


def run(parameters: Parameters, seed: int) -> Result:
    train, test = ink()
    train = anywhere(Labelled(train.x[: parameters.samples], train.y[: parameters.samples]), SIDE, seed, most=1)
    places = [anywhere(test, SIDE, 100 * (seed + 1) + i) for i in range(PLACES)]
    test = Labelled(torch.cat([t.x for t in places]), torch.cat([t.y for t in places]))
    network = nn.Sequential(nn.Flatten(), nn.Linear(CROP * CROP, 64), nn.ReLU(), nn.Linear(64, 10))
    descend(network, crops(train, seed, parameters.flips), steps=parameters.steps, lr=0.1, seed=seed)
    ten = ten_crop(test.x, CROP)
    views = {
        "centre": ten[:, 4:5],
        "with mirror image": two_flips(ten[:, 4]),
        "five crops": ten[:, :5],
        "ten crops": ten,
    }
    with torch.no_grad():
        right = {n: (mean_probability(network, v).argmax(1) == test.y).numpy() for n, v in views.items()}
        one = mean_probability(network, views["centre"])
        alone = network(ten[:, 4]).softmax(1)
        losses = {
            n: -mean_probability(network, v)[torch.arange(len(test.y)), test.y].log().mean().item()
            for n, v in views.items()
        }
    symmetric = torch.equal(ten_crop(test.x.flip(3), CROP)[:, [6, 5, 8, 7, 9, 1, 0, 3, 2, 4]], ten)
    share = {n: float(r.mean()) for n, r in right.items()}
    gains = {n: gain(r, right["centre"], seed) for n, r in right.items() if n != "centre"}
    five, mirrored = gains["five crops"], gains["with mirror image"]
    rows = [Row(n, s, *wilson(s, len(test.y), 1.96), f"{s:.3f}") for n, s in share.items()]
    flipped = parameters.flips
    return Result(
        claims=[
            Claim("Four corners and the centre, each with its mirror image: ten views.", ten.shape[1] == 10,
                  f"{tuple(ten.shape[1:])}"),
            Claim("A mirrored image has the same ten views in another order.", symmetric, "equal"),
            Claim("One view is the plain answer.", torch.allclose(one, alone),
                  f"largest difference {(one - alone).abs().max():.0e}"),
            Claim("Five crops are not worse than the centre by more than chance.", five[2] > 0,
                  f"+{five[0]:.3f}, 95 % interval {five[1]:+.3f} to {five[2]:+.3f}"),
            Claim("Averaging also lowers the log loss.", losses["five crops"] < losses["centre"],
                  f"{losses['centre']:.3f} → {losses['five crops']:.3f}"),
            Claim("A mirrored digit is another sign: to a network that never saw any, flips do harm.",
                  flipped or mirrored[2] < 0,
                  f"{mirrored[0]:+.3f}, interval {mirrored[1]:+.3f} to {mirrored[2]:+.3f}"),
        ],
        numbers={f"accuracy, {n}": s for n, s in share.items()},
        pictures=[Picture(named_grid([(f"view {i + 1}", grey(ten[0, i, 0], 0, 1)) for i in range(10)], 5, 100),
                          "The ten views of one image.", wide=True),
                  Picture(interval_rows(rows, title="Accuracy by views", description="Accuracy with its 95 % interval"),
                          "500 digits, each at four places.")],
        tables=[Table(("views", "accuracy", "gain", "from", "to"),
                      [(n, share[n], *(gains.get(n) or (None, None, None))) for n in share],
                      "The gain over the centre is measured on the same images: its interval is narrower than those "
                      "of the accuracies suggest.")],
    )  # fmt: skip


EXPERIMENT = Experiment(
    run=run,
    parameters=Parameters(),
    notice=("Views help where the network is not invariant: each crop shows the object at another place.",
            "Ten views cost ten times the work; a network trained on stronger augmentation needs them less."),
    formulas=(Formula("p = (1/10) Σ_v softmax(f(view_v(x)))", "Krizhevsky, Sutskever and Hinton 2012, section 4.1"),),
    code=(ten_crop, mean_probability, gain),
    variations=(Variation("flips=true",
                          "Trained on mirrored digits too, flips do less harm, and the digits are harder to tell apart."),
                Variation("steps=2000", "A better network gains less.")),
)  # fmt: skip
