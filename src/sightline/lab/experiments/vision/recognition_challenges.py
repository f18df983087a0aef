"""Why seeing is hard: seven changes that leave the class alone.

How much do viewpoint, scale, occlusion, deformation, light, clutter and unusual members of a class cost a network, and
what does augmentation give back?
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch
from pydantic import Field
from torch import nn

from sightline.attacks.changes import change
from sightline.drawing.curves import Frame, Line, line_chart
from sightline.lab.datasets import Labelled
from sightline.lab.descent import accuracy, descend
from sightline.lab.experiment import Claim, Experiment, Formula, Picture, Result, Table, Variation
from sightline.lab.seeing.canvas import ink
from sightline.lab.seeing.challenges import CHALLENGES, large, unusual
from sightline.lab.seeing.pixels import named_grid
from sightline.models.create import create_model


@dataclass(frozen=True)
class Parameters:
    images: Annotated[int, Field(ge=50, le=500)] = 150
    steps: Annotated[int, Field(ge=10, le=3_000)] = 350


def changed(data: Labelled, name: str, strength: float) -> Labelled:
    """Every image under one change, (n, 1, 16, 16) of 0 to 1."""
    apply = CHALLENGES[name][1]
    images = [apply(large(x[0]), strength, i) for i, x in enumerate(data.x)]
    return Labelled(torch.tensor(np.stack(images)).movedim(3, 1) / 255, data.y)


def augmented(data: Labelled, seed: int) -> Labelled:
    """The images as they are and four times under a change of their own, of strengths up to the third of each curve."""
    draw = np.random.default_rng(seed)
    parts = [changed(data, "rotation", 0)]
    for _ in range(4):
        images = []
        for x in data.x:
            strengths, apply = CHALLENGES[list(CHALLENGES)[draw.integers(len(CHALLENGES))]]
            images.append(
                apply(
                    large(x[0]),
                    float(draw.uniform(min(strengths[0], strengths[2]), max(strengths[0], strengths[2]))),
                    int(draw.integers(1 << 30)),
                )
            )
        parts.append(Labelled(torch.tensor(np.stack(images)).movedim(3, 1) / 255, data.y))
    return Labelled(torch.cat([p.x for p in parts]), torch.cat([p.y for p in parts]))


def fitted(data: Labelled, steps: int, seed: int) -> nn.Module:
    network = create_model(
        "convnet", in_channels=1, num_classes=10, image_size=(16, 16), widths=(8, 16), dense=(32,), seed=seed
    )
    descend(network, Labelled(data.x - 0.3, data.y), steps=steps, lr=0.05, batch=32, seed=seed)
    return network.eval()


def run(parameters: Parameters, seed: int) -> Result:
    train, test = ink()
    train = Labelled(train.x[:500], train.y[:500])
    order = torch.randperm(len(test.y))
    test = Labelled(test.x[order], test.y[order])
    few = Labelled(test.x[: parameters.images], test.y[: parameters.images])
    networks = {
        "plain": fitted(changed(train, "rotation", 0), parameters.steps, seed),
        "augmented": fitted(augmented(train, seed), 3 * parameters.steps, seed),
    }
    curves: dict[str, dict[str, list[float]]] = {n: {} for n in networks}
    for name, (strengths, _) in CHALLENGES.items():
        shown = [changed(few, name, s) for s in strengths]
        for n, network in networks.items():
            curves[n][name] = [accuracy(network, Labelled(d.x - 0.3, d.y)) for d in shown]
    whole = changed(test, "rotation", 0)
    distance = unusual(train, test)
    far = distance >= distance.median()
    usual = {
        n: [accuracy(network, Labelled(whole.x[m] - 0.3, whole.y[m])) for m in (~far, far)]
        for n, network in networks.items()
    }
    cost = {n: {c: v[0] - v[-1] for c, v in found.items()} for n, found in curves.items()}
    shown_cost = {n: float(np.mean([v[0] - v[2] for v in found.values()])) for n, found in curves.items()}
    mean = {n: float(np.mean(list(c.values()))) for n, c in cost.items()}
    rows: list[list[str | float]] = []
    for c, (strengths, _) in CHALLENGES.items():
        plain, trained = curves["plain"][c], curves["augmented"][c]
        rows.append([c, f"{strengths[-1]:g}", plain[0], plain[-1], trained[0], trained[-1]])
    rows.append(["unusual members", "farther half", *usual["plain"], *usual["augmented"]])
    tones = ("one", "two", "three", "four", "five", "six", "seven")
    charts = [line_chart([Line(c, [0, 1, 2, 3], v, t) for (c, v), t in zip(curves[n].items(), tones, strict=True)],
                         Frame(title, "Accuracy over the strength of seven changes", "strength", "accuracy",
                               y_range=(0, 1)))
              for n, title in (("plain", "Trained on digits as they are"),
                               ("augmented", "Trained on changed digits"))]  # fmt: skip
    samples = [
        (
            f"{c} {s[2]:g}",
            (changed(Labelled(few.x[:1], few.y[:1]), c, s[2]).x[0, 0].numpy() * 255).astype(np.uint8)[..., None],
        )
        for c, (s, _) in CHALLENGES.items()
    ]
    return Result(
        claims=[
            Claim("The unchanged digits are read (at least 85 %).", curves["plain"]["rotation"][0] >= 0.85,
                  f"{curves['plain']['rotation'][0]:.3f}"),
            Claim("Every change costs the plain network at least a tenth of accuracy at its strongest.",
                  min(cost["plain"].values()) >= 0.1,
                  ", ".join(f"{c} {v:.2f}" for c, v in cost["plain"].items())),
            Claim("Up to the strength that it was shown, augmentation gives back at least a quarter of the loss, "
                  "averaged over the changes.",
                  shown_cost["augmented"] <= 0.75 * shown_cost["plain"],
                  f"loss {shown_cost['plain']:.2f} → {shown_cost['augmented']:.2f}"),
            Claim("Beyond it, it gives back a smaller part.",
                  mean["augmented"] / mean["plain"] > shown_cost["augmented"] / shown_cost["plain"],
                  f"loss {mean['plain']:.2f} → {mean['augmented']:.2f}"),
            Claim("Digits far from the mean of their class are read worse than those near it.",
                  usual["plain"][1] < usual["plain"][0], f"{usual['plain'][0]:.3f} and {usual['plain'][1]:.3f}"),
        ],
        numbers={f"mean loss, {n}": v for n, v in mean.items()},
        pictures=[Picture(named_grid(samples, 4, 112), "One digit under each change, at its third strength.",
                          wide=True),
                  *(Picture(c, t) for c, t in zip(charts, ("Plain.", "Augmented."), strict=True))],
        tables=[Table(("challenge", "strongest", "plain, none", "plain, strongest", "augmented, none",
                       "augmented, strongest"), rows,
                       f"Accuracy on {parameters.images} test digits; of unusual members: nearer and farther half of "
                       f"500")],
    )  # fmt: skip


EXPERIMENT = Experiment(
    run=run,
    parameters=Parameters(),
    notice=("To pixels, a turned 6 is further from a 6 than from many a 0: the class is not a ball in pixel space.",
            "Augmentation teaches the changes that it shows, one by one; it does not teach the idea of a change."),
    formulas=(Formula("accuracy(strength) of one change, everything else fixed",
                      "challenges as listed in CS231n, lecture 2; controlled change: Engstrom et al. 2019, "
                      "arXiv:1712.02779"),),
    code=(changed, augmented, change),
    variations=(Variation("steps=50", "A poor network has less to lose."),),
)  # fmt: skip
