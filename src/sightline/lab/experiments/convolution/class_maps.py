"""Global average pooling: any size, no weights, and a map for each class.

Where in the image does a network see the class, what happens to larger images, and what does the mean make of a shift?
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from sightline.drawing.curves import Frame, Line, line_chart
from sightline.drawing.heat import heat
from sightline.lab.datasets import Labelled
from sightline.lab.descent import accuracy, descend
from sightline.lab.experiment import Claim, Experiment, Formula, Picture, Result, Variation
from sightline.lab.seeing.canvas import anywhere, ink, placed, shifted
from sightline.lab.seeing.pixels import grey, named_grid
from sightline.layers.arithmetic import linear_parameters

SIDE, SHIFTS = 16, (0, 1, 2, 3, 4)


@dataclass(frozen=True)
class Parameters:
    steps: Annotated[int, Field(ge=10, le=5_000)] = 500


def trunk() -> nn.Sequential:
    """(b, 1, h, w) → (b, 24, h / 2, w / 2)."""
    layers: list[nn.Module] = []
    for depth, width in ((1, 12), (12, 24), (24, 24)):
        layers += [nn.Conv2d(depth, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
    return nn.Sequential(*layers[:3], nn.MaxPool2d(2), *layers[3:])


class Averaged(nn.Module):
    """A trunk, the mean of each map, one linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk, self.fc = trunk(), nn.Linear(24, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.trunk(x).mean((2, 3)))

    def maps(self, x: Tensor) -> Tensor:
        """Class activation maps (b, 10, h / 2, w / 2): the linear layer before the mean instead of behind it."""
        return torch.einsum("kc,bchw->bkhw", self.fc.weight, self.trunk(x))


def moved(network: nn.Module, data: Labelled, pixels: int) -> float:
    return sum(accuracy(network, shifted(data, *way)) for way in ((0, pixels), (-pixels, 0))) / 2


def run(parameters: Parameters, seed: int) -> Result:
    train, test = ink()
    middle, unseen = placed(train, SIDE, (4, 4)), placed(Labelled(test.x[:200], test.y[:200]), SIDE, (4, 4))
    averaged, flat = Averaged(), nn.Sequential(trunk(), nn.Flatten(), nn.Linear(24 * 64, 10))
    for network, rate in ((averaged, 0.2), (flat, 0.02)):
        descend(network, middle, steps=parameters.steps, lr=rate, batch=32, seed=seed)
        network.eval()
    curves = {
        name: [moved(network, unseen, s) for s in SHIFTS] for name, network in (("mean", averaged), ("flattened", flat))
    }
    wide = anywhere(Labelled(test.x[:200], test.y[:200]), 32, seed)
    with torch.no_grad():
        sizes = averaged(torch.zeros(1, 1, 37, 21)).shape
        maps = averaged.maps(wide.x)
        scores = maps.mean((2, 3)) + averaged.fc.bias
        difference = (scores - averaged(wide.x)).abs().max().item()
        own = maps[torch.arange(len(wide.y)), wide.y]  # (b, 16, 16)
        ink_there = (nn.functional.avg_pool2d(wide.x, 2)[:, 0] > 0.05).float()
        ink_there = nn.functional.max_pool2d(ink_there, 5, 1, 2)  # the field of a unit reaches beyond the ink
        peaks = own.flatten(1).argmax(1)
        inside = ink_there.flatten(1).gather(1, peaks[:, None]).mean().item()
        covered = ink_there.mean().item()
    shown = []
    for i in range(4):
        large = own[i].repeat_interleave(2, 0).repeat_interleave(2, 1)
        shown.append((f"{int(wide.y[i])}", heat(grey(wide.x[i, 0], 0, 1), large.numpy()).picture))
    lines = [Line(name, SHIFTS, c, tone) for (name, c), tone in zip(curves.items(), ("one", "two"), strict=True)]
    frame = Frame(
        "Accuracy on moved digits", "Test accuracy over the shift", "pixels moved", "accuracy", y_range=(0, 1)
    )
    counts = linear_parameters(7 * 7 * 1024, 1000), linear_parameters(1024, 1000)
    return Result(
        claims=[
            Claim("Averaging the class maps and adding the bias gives the scores: the maps explain them exactly.",
                  difference < 1e-4, f"largest difference {difference:.0e}"),
            Claim("Images of any size go through.", tuple(sizes) == (1, 10), "37 × 21 pixels give 10 scores"),
            Claim("In four of five images the map of the true class peaks at the digit, which no label ever placed.",
                  inside >= 0.8,
                  f"{inside:.0%} of 200 images, where {covered:.0%} of the image would be hit by chance"),
            Claim("Digits moved by 3 pixels cost the averaging network less than half of what they cost the "
                  "flattened one.",
                  curves["mean"][0] - curves["mean"][3] < 0.5 * (curves["flattened"][0] - curves["flattened"][3]),
                  f"accuracy {curves['mean'][0]:.2f} → {curves['mean'][3]:.2f} against {curves['flattened'][0]:.2f} "
                  f"→ {curves['flattened'][3]:.2f}"),
            Claim("On 7 × 7 × 1024 maps and 1000 classes the mean saves 49 in 50 weights of the head.",
                  counts[1] * 48 < counts[0], f"{counts[0]:,} → {counts[1]:,}"),
        ],
        numbers={"accuracy, mean": curves["mean"][0], "accuracy, flattened": curves["flattened"][0],
                 "peaks on the digit": inside},
        pictures=[Picture(named_grid(shown, 4, 160),
                          "Digits anywhere on 32 × 32 pixels with the map of their class; trained on centred ones of "
                          "16 × 16.", wide=True),
                  Picture(line_chart(lines, frame), "Trained on centred digits, tested on moved ones.")],
    )  # fmt: skip


EXPERIMENT = Experiment(
    run=run,
    parameters=Parameters(),
    notice=(
        "The mean does not care where a feature is, only how much of it there is.",
        "On a larger image the mean is diluted by background: features stay, scores shrink.",
    ),
    formulas=(Formula("score_k = b_k + mean over (i, j) of Σ_c w_(k,c) A_c(i, j)",
                      "Zhou et al. 2015, Learning Deep Features for Discriminative Localization, arXiv:1512.04150"),
              Formula("7 × 7 × 1024 → 1024, no weights", "Lin, Chen and Yan 2013, arXiv:1312.4400")),
    code=(Averaged, moved),
    variations=(Variation("steps=100", "Before the network has learned, the maps are about nothing."),),
)  # fmt: skip
