"""Momentum is printed in three forms: two walk the same path, the third takes steps of a tenth.

Do the average, the sum and the form of the AlexNet paper do the same, and what changes when the learning rate does?
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from sightline.drawing.curves import Frame, Line, line_chart
from sightline.drawing.plane import Path, plane_chart
from sightline.lab import updates
from sightline.lab.experiment import Claim, Experiment, Formula, Picture, Result, Table, Variation
from sightline.lab.surfaces import Landscape, ravine, slope, walked

FORMS: tuple[updates.Form, ...] = ("average", "sum", "alexnet")


@dataclass(frozen=True)
class Parameters:
    lr: Annotated[float, Field(gt=0, le=0.1)] = 0.007
    beta: Annotated[float, Field(ge=0, lt=1)] = 0.9
    steps: Annotated[int, Field(ge=20, le=1_000)] = 100
    drop: Annotated[float, Field(gt=0, le=1)] = 0.1


def walked_with_drop(landscape: Landscape, form: updates.Form, p: Parameters) -> Tensor:
    """(steps + 1, 2) places; after a quarter of the steps the rate is multiplied by `drop`."""
    w = torch.tensor(landscape.start, dtype=torch.float64)
    memory: updates.Memory = {}
    places = [w]
    for step in range(p.steps):
        lr = p.lr * (p.drop if step >= p.steps // 4 else 1.0)
        w, memory = updates.momentum(w, slope(landscape.height, w), memory, lr=lr, beta=p.beta, form=form)
        places.append(w)
    return torch.stack(places)


def apart(a: Tensor, b: Tensor) -> float:
    return (a - b).abs().max().item()


def run(parameters: Parameters, seed: int) -> Result:
    p, surface = parameters, ravine()
    paths = {
        form: walked(surface, partial(updates.momentum, lr=p.lr, beta=p.beta, form=form), p.steps) for form in FORMS
    }
    larger = walked(surface, partial(updates.momentum, lr=p.lr / (1 - p.beta), beta=p.beta, form="average"), p.steps)
    dropped = {form: walked_with_drop(surface, form, p) for form in FORMS[1:]}
    at = p.steps // 4
    jump = {form: (path[at + 1] - path[at]).norm().item() for form, path in dropped.items()}
    plain = walked(surface, partial(updates.sgd, lr=p.lr), p.steps)
    left = {"SGD": surface.height(plain[-1]).item(), "momentum": surface.height(paths["sum"][-1]).item()}
    first = {form: (path[1] - path[0]).norm().item() for form, path in paths.items()}
    steps = list(range(p.steps + 1))
    drawn = [Path(paths[f].numpy(), f, t) for f, t in zip(paths, ("three", "one", "two"), strict=True)]
    after = [
        Line(f, steps, surface.height(dropped[f]).tolist(), t) for f, t in zip(FORMS[1:], ("one", "two"), strict=True)
    ]
    return Result(
        claims=[
            Claim("Sum and AlexNet's form walk the same path at a constant rate.",
                apart(paths["sum"], paths["alexnet"]) < 1e-10,
                f"largest distance {apart(paths['sum'], paths['alexnet']):.1e}"),
            Claim("The average walks it too, at a rate of η/(1 − β).", apart(paths["sum"], larger) < 1e-10,
                f"{apart(paths['sum'], larger):.1e}"),
            Claim("At the same rate the average's first step is 1 − β of the sum's.",
                abs(first["average"] / first["sum"] - (1 - p.beta)) < 1e-9,
                f"{first['average']:.3g} and {first['sum']:.3g}"),
            Claim("After a drop of the rate AlexNet's form runs on with its old velocity: its next step is longer.",
                jump["alexnet"] > 1.5 * jump["sum"], f"{jump['alexnet']:.3g} and {jump['sum']:.3g}"),
            Claim("With one rate momentum ends at a hundredth of SGD's height or lower.",
                left["momentum"] <= left["SGD"] / 100,
                f"{left['momentum']:.3g} and {left['SGD']:.3g}"),
        ],
        numbers={"first step, average": first["average"], "first step, sum": first["sum"],
                 "step after the drop, sum": jump["sum"], "step after the drop, AlexNet": jump["alexnet"]},
        pictures=[
            Picture(plane_chart(surface.window, title="Three forms", description="Paths in a ravine",
                surface=surface.drawn(), paths=drawn),
                    "One rate: sum and AlexNet's form coincide, the average is still on its way."),
            Picture(line_chart(after, Frame("The rate drops", "Height over steps", "step", "height", log_y=True)),
                    "The rate drops after a quarter of the steps: the velocity of AlexNet's form contains the old "
                    "rate."),
        ],
        tables=[Table(("form", "v", "w", "used by"), [
            ["average", "βv + (1 − β)g", "w − ηv", "course notes; Adam's first moment"],
                ["sum", "βv + g", "w − ηv", "torch.optim.SGD"],
            ["AlexNet", "βv − η(g + decay · w)", "w + v", "Krizhevsky et al. 2012"],
        ])],
    )  # fmt: skip


EXPERIMENT = Experiment(
    run=run,
    parameters=Parameters(),
    notice=(
        "A rate from a paper is worth nothing without the form of its momentum: with β = 0.9 the average needs ten "
        "times the sum's.",
        "The sum multiplies the whole velocity by the rate of today, AlexNet's form has each gradient at the rate "
        "of its own day. "
        "Only a schedule tells them apart.",
    ),
    formulas=(
        Formula("average: v ← βv + (1 − β)g,  w ← w − ηv\nsum: v ← βv + g,  w ← w − ηv",
            "Polyak 1964; torch.optim.SGD"),
        Formula("v ← 0.9v − 0.0005ηw − ηg,  w ← w + v", "Krizhevsky, Sutskever and Hinton 2012, section 5"),
    ),
    code=(updates.momentum, walked_with_drop),
    variations=(
        Variation("drop=1", "Without a drop the two forms stay together, and the claim about their next steps does "
                            "not hold."),
        Variation("beta=0.99 lr=0.001 steps=400", "A heavier ball: it swings along the ravine too."),
    ),
    random=False,
)  # fmt: skip
