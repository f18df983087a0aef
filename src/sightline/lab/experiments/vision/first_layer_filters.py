"""What the first layer sees, and in which class.

What do the filters of a trained first layer look like, and how do digits of different classes excite them?
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor, nn

from sightline.explanation.features.filters import first_filters
from sightline.lab.datasets import digits
from sightline.lab.descent import accuracy, descend
from sightline.lab.experiment import Claim, Experiment, Formula, Picture, Result, Table, Variation
from sightline.lab.seeing.pixels import grey, named_grid, signed
from sightline.models.create import create_model


@dataclass(frozen=True)
class Parameters:
    filters: Annotated[int, Field(ge=4, le=32)] = 12
    steps: Annotated[int, Field(ge=10, le=5_000)] = 500
    decay: Annotated[float, Field(ge=0, le=0.1)] = 0.01


def profiles(answers: Tensor, y: Tensor) -> Tensor:
    """Mean answer of each filter to each class (10, filters), without the filter's mean over classes, over its "
    "deviation."""
    means = torch.stack([answers[y == c].mean(0) for c in range(10)])
    return (means - means.mean(0)) / means.std(0).clamp(min=1e-6)


def run(parameters: Parameters, seed: int) -> Result:
    p = parameters
    train, test = digits()
    options: dict[str, Any] = {
        "in_channels": 1,
        "num_classes": 10,
        "image_size": (8, 8),
        "widths": (p.filters, 24),
        "kernel": 5,
        "dense": (),
    }
    network, fresh = (create_model("convnet", seed=seed, **options) for _ in range(2))
    descend(network, train, steps=p.steps, lr=0.03, batch=32, seed=seed, weight_decay=p.decay)
    network.eval()
    found, began = (first_filters(n, n, test.x[:1]) for n in (network, fresh))
    right = accuracy(network, test)
    with torch.no_grad():
        block = network.blocks[0]  # type: ignore[index]
        assert isinstance(block, nn.Sequential)
        answers, unseen = (
            block[1](block[0](d.x)).mean((2, 3)) for d in (train, test)
        )  # the mean answer: no place is left
    by_class = profiles(answers, train.y)
    centres = torch.stack([answers[train.y == c].mean(0) for c in range(10)])
    scale = answers.std(0).clamp(min=1e-6)
    nearest = torch.cdist(unseen / scale, centres / scale).argmin(1)
    share = (nearest == test.y).float().mean().item()
    shuffled = centres[torch.randperm(10)]
    control = (torch.cdist(unseen / scale, shuffled / scale).argmin(1) == test.y).float().mean().item()
    orientation, noise = float(found.orientation.mean()), float(found.orientation_of_noise.mean())
    smooth = [
        float(abs(f.weights[:, 0, :, 1:] - f.weights[:, 0, :, :-1]).mean() / abs(f.weights).mean())
        for f in (found, began)
    ]
    favourite = by_class.argmax(0)
    filters = [(f"{i + 1}: most for {int(favourite[i])}", signed(w[0])) for i, w in enumerate(found.weights[:12])]
    start = [(f"{i + 1}, as it began", signed(w[0])) for i, w in enumerate(began.weights[:4])]
    rows: list[list[str | float]] = [[str(c), *by_class[c, :8].tolist()] for c in range(10)]
    return Result(
        claims=[
            Claim("The network reads digits with them (at least 90 %).", right >= 0.9, f"{right:.3f}"),
            Claim("Trained filters are more oriented than the same weights in another order.", orientation > noise,
                  f"{orientation:.2f} against {noise:.2f}"),
            Claim("And smoother than at the start: neighbouring weights differ less.", smooth[0] < smooth[1],
                  f"{smooth[0]:.2f} against {smooth[1]:.2f}, relative to their size"),
            Claim("Every class has a profile of its own: from the filters' mean answers alone, the nearest profile "
                  "names at least 40 % of test digits.",
                  share >= 0.4,
                  f"{share:.2f} from {p.filters} numbers; chance 0.10, profiles of other classes {control:.2f}"),
            Claim("No filter is a class: one filter's favourite is not answered by it alone.",
                  float((by_class > 0.5).sum(0).float().mean()) > 1.5,
                  f"{float((by_class > 0.5).sum(0).float().mean()):.1f} classes a filter above half a deviation"),
        ],
        numbers={"orientation selectivity": orientation, "of shuffled weights": noise, "classes from profiles": share},
        pictures=[Picture(named_grid(filters, 4, 112),
                          "The filters of the first layer, red positive and blue negative, with the class that "
                          "excites each most.", wide=True),
                  Picture(named_grid(start[:4], 4, 112), "Four of them before training.", wide=True),
                  Picture(named_grid([("classes down, filters across", grey(by_class))], 1, 240),
                          "Mean answer of each filter to each class, bright: above the filter's average.")],
        tables=[Table(("class", *(f"filter {i + 1}" for i in range(min(8, p.filters)))), rows,
                      "Mean answer, in deviations over the classes")],
    )  # fmt: skip


EXPERIMENT = Experiment(
    run=run,
    parameters=Parameters(),
    notice=("Filters answer to strokes and edges, not to digits: classes share them in different proportions.",
            "On photographs the same picture shows edges of all orientations, and colours."),
    formulas=(Formula("|Σ P(f) e^{2iθ(f)}| / Σ P(f), P the spectrum of a filter",
                      "orientation selectivity as of cells: Swindale 1998, Biological Cybernetics 78"),
              Formula("first-layer filters as pictures", "Krizhevsky, Sutskever and Hinton 2012, figure 3")),
    code=(first_filters, profiles),
    variations=(Variation("decay=0", "Without weight decay the start's noise stays in the filters."),
                Variation("steps=3000", "Longer: smoother.")),
)  # fmt: skip
