"""Deformable parts: a template that may bend.

Two eyes and a mouth, each a little elsewhere in every face. Do movable parts find what a rigid template misses, and must moving
cost something?
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch
from jaxtyping import Float
from pydantic import Field
from sklearn.metrics import average_precision_score
from torch import Tensor

from sightline.classical.parts import PartModel, distance_transform, latent_svm
from sightline.lab.experiment import Claim, Experiment, Formula, Picture, Result, Table, Variation
from sightline.lab.seeing.pixels import grey, named_grid, signed

SIDE, ROOT, PART = 22, (16, 16), (5, 5)
PLACES = ((5.0, 5.0), (5.0, 11.0), (11.0, 8.0))  # of the eyes and the mouth in the root
SHAPES = ("ring", "ring", "bar")


@dataclass(frozen=True)
class Parameters:
    move: Annotated[float, Field(ge=0, le=4)] = 2.0
    images: Annotated[int, Field(ge=40, le=400)] = 80
    cost: Annotated[float, Field(gt=0, le=10)] = 0.15
    steps: Annotated[int, Field(ge=5, le=400)] = 15


def stamp(image: Tensor, shape: str, y: float, x: float) -> None:
    """Add a ring or a bar whose middle is at (y, x)."""
    rows, columns = torch.meshgrid(torch.arange(SIDE), torch.arange(SIDE), indexing="ij")
    if shape == "ring":
        image += ((((rows - y) ** 2 + (columns - x) ** 2).sqrt() - 1.6).abs() < 0.7).float()
    else:
        image += (((rows - y).abs() < 0.8) & ((columns - x).abs() < 2.6)).float()


def faces(n: int, move: float, real: bool, draw: np.random.Generator) -> Float[Tensor, "n 1 h w"]:
    """Faces whose parts have moved by up to `move` pixels; else the same parts anywhere."""
    images = torch.zeros(n, 1, SIDE, SIDE)
    for image in images:
        corner = draw.integers(0, SIDE - ROOT[0] + 1, 2)
        for shape, place in zip(SHAPES, PLACES, strict=True):
            if real:
                y, x = corner + place + draw.uniform(-move, move, 2)
            else:
                y, x = draw.uniform(3, SIDE - 4, 2)
            stamp(image[0], shape, float(y), float(x))
    return images + 0.1 * torch.from_numpy(draw.normal(size=images.shape)).float()


def precision(model: PartModel, x: Tensor, y: Tensor) -> float:
    with torch.no_grad():
        return float(average_precision_score((y > 0).numpy(), model(x).numpy()))


def shape_filter(shape: str) -> Float[Tensor, "1 h w"]:
    """The part itself in a window of its own, without a mean, of length 1."""
    image = torch.zeros(SIDE, SIDE)
    stamp(image, shape, 10.0, 10.0)
    half = PART[0] // 2
    window = image[10 - half : 11 + half, 10 - half : 11 + half]
    window = window - window.mean()
    return (window / window.norm())[None]


def model(cost: float) -> PartModel:
    """A face of the three parts at their usual places, which move at this cost."""
    half = PART[0] // 2
    anchors = [(round(y) - half, round(x) - half) for y, x in PLACES]
    found = PartModel(1, ROOT, PART, anchors)
    with torch.no_grad():
        found.parts.copy_(torch.stack([shape_filter(shape) for shape in SHAPES]))
        found.cost.fill_(cost)
        found.bias.fill_(-5.0)
    return found


def run(parameters: Parameters, seed: int) -> Result:
    p = parameters
    draw = np.random.default_rng(seed)
    x, test = (torch.cat([faces(p.images, p.move, real, draw) for real in (True, False)]) for _ in range(2))
    y = torch.cat([torch.ones(p.images), -torch.ones(p.images)])
    costs = {"rigid": 1e3, "parts move at a cost": p.cost, "parts move freely": 0.0}
    scores = {name: precision(model(cost), test, y) for name, cost in costs.items()}
    learned = model(p.cost)
    losses = latent_svm(learned, x, y, steps=p.steps)
    scores["learned"] = precision(learned, test, y)
    response, at = torch.randn(1, 9, 7), torch.cartesian_prod(torch.arange(9), torch.arange(7)).float()
    gaps = torch.cdist(at, at).square()
    exact = float(
        (distance_transform(response, 0.3)[0].flatten() - (response.flatten() - 0.3 * gaps).amax(1)).abs().max()
    )
    shown = [("a face", grey(test[0, 0])), ("another", grey(test[1, 0])), ("no face", grey(test[-1, 0]))]
    shown += [(f"part {n + 1}", signed(part[0])) for n, part in enumerate(learned.parts)]
    gain, best = scores["parts move at a cost"] - scores["rigid"], scores["parts move at a cost"]
    return Result(
        claims=[
            Claim("The distance transform is the maximum over all places.", exact < 1e-4, f"{exact:.0e} apart"),
            Claim("Parts that move raise average precision by at least 10 points over the rigid template.", gain >= 0.1,
                  f"{best:.3f} against {scores['rigid']:.3f}"),
            Claim("If they move for free, it is worse.", scores["parts move freely"] < best,
                  f"{scores['parts move freely']:.3f}"),
            Claim("The latent SVM lowers its loss, and stays above the rigid template on unseen images.",
                  losses[-1] < losses[0] and scores["learned"] > scores["rigid"],
                  f"loss {losses[0]:.2f} to {losses[-1]:.2f}; {scores['learned']:.3f}"),
        ],
        numbers={f"average precision, {name}": value for name, value in scores.items()},
        pictures=[Picture(named_grid(shown, 6, 128), "Unseen images, and the parts that were learned.", wide=True)],
        tables=[Table(("part", "row", "column", "learned cost of moving by a pixel"),
                      [(f"part {n + 1}", int(a), int(b), float(c.detach()))
                       for n, ((a, b), c) in enumerate(zip(learned.anchor, learned.cost, strict=True))])],
    )  # fmt: skip


EXPERIMENT = Experiment(
    run=run,
    parameters=Parameters(),
    notice=("Nobody says where the parts are: the maximum over their places fills that in at every step.",
            "A max over shifted responses is what max pooling does in a network (Girshick et al. 2015)."),
    formulas=(Formula("score(p) = F₀(p) + Σᵢ max_q (Fᵢ(q) − dᵢ |q − p − aᵢ|²)",
                      "Felzenszwalb, Girshick, McAllester and Ramanan 2010, TPAMI 32(9)"),),
    code=(PartModel, distance_transform, latent_svm),
    variations=(Variation("move=0", "Nothing deforms: the rigid template is enough."),),
)  # fmt: skip
