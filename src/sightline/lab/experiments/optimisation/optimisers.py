"""Optimisers differ in the way that they take down a ravine.

Which rules zigzag between the walls, which slide along the floor, and which set the length of their steps themselves?
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from sightline.drawing.curves import Frame, Line, line_chart
from sightline.drawing.figures.animation import moving_paths
from sightline.drawing.plane import Path, plane_chart
from sightline.lab import updates
from sightline.lab.experiment import Claim, Experiment, Formula, Picture, Result, Table, Variation
from sightline.lab.surfaces import LANDSCAPES, Landscape, Rule, nesterov_of, walked

TONES = ("one", "two", "three", "four", "five", "six", "seven")
_GROUPS = (("SGD", "momentum", "Nesterov"), ("AdaGrad", "RMSProp", "Adam", "Adadelta"))


@dataclass(frozen=True)
class Parameters:
    surface: Literal["ravine", "banana", "saddle"] = "ravine"
    sgd_lr: Annotated[float, Field(gt=0, le=0.1)] = 0.0185
    lr: Annotated[float, Field(gt=0, le=0.1)] = 0.007
    adaptive_lr: Annotated[float, Field(gt=0, le=5)] = 0.4
    beta: Annotated[float, Field(ge=0, lt=1)] = 0.9
    steps: Annotated[int, Field(ge=1, le=1_000)] = 80


def rules(p: Parameters, landscape: Landscape) -> dict[str, Rule]:
    """Every update rule by name: plain and adaptive ones have rates of different units. Adadelta has none."""
    return {
        "SGD": partial(updates.sgd, lr=p.sgd_lr),
        "momentum": partial(updates.momentum, lr=p.lr, beta=p.beta),
        "Nesterov": nesterov_of(landscape, lr=p.lr, beta=p.beta),
        "AdaGrad": partial(updates.adagrad, lr=2 * p.adaptive_lr),
        "RMSProp": partial(updates.rmsprop, lr=p.adaptive_lr / 2, beta=0.9),
        "Adam": partial(updates.adam, lr=p.adaptive_lr),
        "Adadelta": updates.adadelta,
    }


def turns(path: Tensor) -> int:
    """How often the path crosses the floor of the ravine, y = 0."""
    return int((path[1:, 1].sign() * path[:-1, 1].sign() < 0).sum())


def run(parameters: Parameters, seed: int) -> Result:
    landscape = LANDSCAPES[parameters.surface]
    paths = {name: walked(landscape, rule, parameters.steps) for name, rule in rules(parameters, landscape).items()}
    heights = {name: landscape.height(path) for name, path in paths.items()}
    least = landscape.height(torch.tensor(landscape.least, dtype=torch.float64)).item()
    left = {name: (h[-1] - least).item() for name, h in heights.items()}
    start = heights["SGD"][0].item() - least
    crossings = {name: turns(path) for name, path in paths.items()}
    late = {name: h[len(h) // 2 :].mean().item() - least for name, h in heights.items()}
    mid = min(len(heights["SGD"]) - 1, parameters.steps // 4)
    drawn = [Path(path.numpy(), name, tone) for (name, path), tone in zip(paths.items(), TONES, strict=True)]
    surface = landscape.drawn()
    charts = [
        Picture(
            plane_chart(landscape.window, title=" and ".join(group), description="Paths from one start",
                surface=surface,
                        paths=[d for d in drawn if d.name in group]),
            caption,
        )
        for group, caption in zip(_GROUPS, ("One rate for all directions.", "A rate for each direction."), strict=True)
    ]  # fmt: skip
    lines = [Line(n, list(range(len(h))), (h - least).clamp(min=1e-9).tolist(), t) for (n, h),
        t in zip(heights.items(), TONES, strict=True)]  # fmt: skip
    frame = Frame(
        "Height over steps", "One line a rule", "step", "height above the least", log_y=True, y_range=(1e-6, 2 * start)
    )
    film = moving_paths(landscape.window, surface, drawn)
    return Result(
        claims=[
            Claim("SGD near the largest rate that the walls allow crosses the floor ten times or more.",
                crossings["SGD"] >= 10, f"{crossings['SGD']} times"),
            Claim("Momentum ends at a tenth of SGD's height or lower.",
                left["momentum"] <= left["SGD"] / 10, f"{left['momentum']:.3g} and {left['SGD']:.3g}"),
            Claim("Over the second half of the steps Nesterov is lower than momentum on average.",
                late["Nesterov"] < late["momentum"], f"{late['Nesterov']:.3g} and {late['momentum']:.3g}"),
            Claim("AdaGrad, RMSProp and Adam end below a fiftieth of the start.",
                max(left[n] for n in _GROUPS[1][:3]) < start / 50,
                f"start {start:.3g}; " + ", ".join(f"{left[n]:.3g}" for n in _GROUPS[1][:3])),
            Claim("Adadelta, which begins with steps of √ε, is the last after a quarter of the steps.",
                max(heights, key=lambda n: heights[n][mid].item()) == "Adadelta",
                f"height {heights['Adadelta'][mid].item():.3g} of {start:.3g}"),
        ],
        numbers={f"height left, {name}": value for name, value in left.items()},
        pictures=[Picture(film, "All rules from one start, step by step."), *charts,
            Picture(line_chart(lines, frame), "The height above the least value.")],
        tables=[Table(("rule", "height left", "crossings of the floor"), [[n, left[n], crossings[n]] for n in paths])],
    )  # fmt: skip


EXPERIMENT = Experiment(
    run=run,
    parameters=Parameters(),
    notice=(
        "The gradient of a ravine points across it. SGD spends its steps between the walls, although the way leads "
        "along the floor.",
        "Momentum adds what repeats, along the floor, and cancels what alternates, across it; then it overshoots.",
        "AdaGrad, RMSProp and Adam divide each direction by the size of its own gradients: on this surface, whose "
        "axes are the "
        "directions, AdaGrad goes straight; Adam's average of gradients still swings.",
        "Adadelta sets its own rate, and starts with steps of about √ε: it takes many steps to get going.",
    ),
    formulas=(
        Formula("momentum: v ← βv + g,  w ← w − ηv", "Polyak 1964"),
        Formula("Nesterov: v ← βv − η∇L(w + βv),  w ← w + v", "Nesterov 1983; Sutskever et al. 2013, ICML"),
        Formula("AdaGrad: w ← w − ηg/√Σg²    RMSProp: an average for the sum",
            "Duchi et al. 2011; Tieleman and Hinton 2012"),
        Formula("Adam: w ← w − ηm̂/(√v̂ + ε)    Adadelta: w ← w − g √E[Δw²]/√E[g²]",
            "Kingma and Ba, arXiv:1412.6980; Zeiler, arXiv:1212.5701"),
    ),
    code=(updates.momentum, updates.nesterov, updates.adagrad, updates.rmsprop, updates.adam, updates.adadelta),
    variations=(
        Variation("surface=saddle sgd_lr=0.05 lr=0.01 steps=150",
            "A saddle: the gradient along the way out is almost 0, and adaptive rules leave it first."),
        Variation("sgd_lr=0.0203", "Above 2/100, two over the steepest curvature, SGD climbs the wall."),
        Variation("surface=banana sgd_lr=0.005 lr=0.003 steps=300",
            "A valley that bends: momentum overshoots in the curve."),
    ),
    random=False,
)  # fmt: skip
