"""The hinge asks for a margin and is then content; cross-entropy never is.

What do both losses say of the same scores, and what must they be before anything is learned?
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from sightline.drawing.curves import Frame, Line, line_chart
from sightline.lab.experiment import Claim, Experiment, Formula, Picture, Result, Table, Variation
from sightline.layers.activations import hardmax, softmax_steps
from sightline.losses.classification import cross_entropy, multiclass_hinge
from sightline.losses.information import cross_entropy_between
from sightline.structures.targets import Labels

SCORES = [[3.2, -5.0, 10.0], [0.1, 14.0, 5.0], [0.3, 8.0, 14.0]]
TRUE = [0, 1, 2]


@dataclass(frozen=True)
class Parameters:
    margin: Annotated[float, Field(gt=0, le=10)] = 1.0
    scale: Annotated[float, Field(gt=0, le=10)] = 3.0


def double(values: object) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def hinge(scores: Tensor, y: int, margin: float) -> float:
    return multiclass_hinge(scores[None], Labels.of(torch.tensor([y])), margin=margin)[0].item()


def entropy(scores: Tensor, y: int) -> float:
    return cross_entropy(scores[None], Labels.of(torch.tensor([y])))[0].item()


def run(parameters: Parameters, seed: int) -> Result:
    p = parameters
    scores = double(SCORES)
    hinges = [hinge(s, y, 1.0) for s, y in zip(scores, TRUE, strict=True)]
    entropies = [entropy(s, y) for s, y in zip(scores, TRUE, strict=True)]
    steps = softmax_steps(scores[0])
    probability = steps.probability.tolist()
    leaf = scores[:1].clone().requires_grad_()
    cross_entropy(leaf, Labels.of(torch.tensor([0])))[0].backward()  # type: ignore[no-untyped-call]
    assert leaf.grad is not None
    truth = torch.nn.functional.one_hot(torch.tensor(0), 3).double()
    slope = (leaf.grad[0] - (steps.probability - truth)).abs().max().item()
    kept = double([5.0, 4.0, 4.0])
    scaled = {a: hinge(a * double([7.0, 4.0, 5.0]), 0, 1.0) for a in (1.0, 2.0, 0.05)}
    certain = {a: entropy(a * double([7.0, 4.0, 5.0]), 0) for a in (1.0, 2.0, 0.05)}
    start = {k: (hinge(torch.zeros(k).double(), 0, p.margin), entropy(torch.zeros(k).double(), 0)) for k in (3, 10)}
    printed = double([0.0011125, 0.0000003, 0.9988872])
    shift = softmax_steps(double([1003.2, 995.0, 1010.0])).probability
    given = double([[0.71, 0.26, 0.04], [0.02, 0.0, 0.98], [0.49, 0.49, 0.02]])
    terms = cross_entropy_between(torch.eye(3, dtype=torch.float64)[[0, 2, 1]], given).tolist()
    s = [i / 20 for i in range(-80, 161)]
    others = [p.scale, p.scale - 1]
    curves = [Line("hinge", s, [hinge(double([v, *others]), 0, p.margin) for v in s], "one"),
              Line("cross-entropy", s, [entropy(double([v, *others]), 0) for v in s], "two")]  # fmt: skip
    return Result(
        claims=[
            Claim("The hinge of the three images is 7.8, 0 and 0, on average 2.6.",
                all(abs(a - b) < 1e-9 for a, b in zip(hinges, (7.8, 0, 0), strict=True)),
                ", ".join(f"{v:g}" for v in hinges)),
            Claim("The softmax of 3.2, −5, 10 is 0.0011, 0.0000003, 0.9989, and that of the scores plus 1000 the same.",
                bool((steps.probability - printed).abs().max() < 1e-6 and (shift - steps.probability).abs().max() < 1e-9),
                ", ".join(f"{v:.7f}" for v in probability)),
            Claim("The gradient of cross-entropy at the scores is p − y.", slope < 1e-12,
                f"largest difference {slope:.1e}"),
            Claim("At equal scores the losses are (C − 1)m and log C.",
                all(abs(h - (k - 1) * p.margin) < 1e-9 and abs(e - math.log(k)) < 1e-12 for k, (h, e) in start.items()),
                ", ".join(f"C = {k}: {h:g}, {e:.4f}" for k, (h, e) in start.items())),
            Claim("Where the margin is kept the hinge is 0 and cross-entropy is not.",
                hinge(kept, 0, 1.0) == 0 and entropy(kept, 0) > 0.1,
                f"{hinge(kept, 0, 1.0):g} and {entropy(kept, 0):.3f}"),
            Claim("Twice the weights keep a hinge of 0, a twentieth does not.",
                scaled[2.0] == 0 and scaled[0.05] > 0.1, f"{scaled[1.0]:g}, {scaled[2.0]:g}, {scaled[0.05]:g}"),
            Claim("−log of 0.71, 0.98, 0.49 is 0.34, 0.02, 0.71.", [round(t, 2) for t in terms] == [0.34, 0.02, 0.71],
                f"{', '.join(f'{t:.4f}' for t in terms)}; sum {sum(terms):.4f}"),
        ],
        numbers={"mean hinge": sum(hinges) / 3, "mean cross-entropy": sum(entropies) / 3},
        pictures=[Picture(line_chart(curves,
            Frame("Two losses", "Loss over the true score", "score of the true class", "loss")),
                f"The other two scores are {others[0]:g} and {others[1]:g}.")],
        tables=[
            Table(("image", "scores", "true", "hinge", "cross-entropy", "hardmax"),
                [[i + 1, ", ".join(f"{v:g}" for v in SCORES[i]), SCORES[i][TRUE[i]], hinges[i], entropies[i],
                    " ".join(map(str, hardmax(scores[i]).tolist()))] for i in range(3)]),
            Table(("score", "exponential", "over their sum"),
                [[SCORES[0][i], steps.exponential[i].item(), probability[i]] for i in range(3)],
                    f"The sum is {steps.normaliser.item():.4f}."),
            Table(("weights times", "hinge", "cross-entropy"), [[a, scaled[a], certain[a]] for a in scaled],
                "Scores 7, 4, 5, the first of the true class."),
        ],
    )  # fmt: skip


EXPERIMENT = Experiment(
    run=run,
    parameters=Parameters(),
    notice=(
        "The first value of a loss is a check of the code: 9 or 2.303 for ten classes, or something is wrong before "
        "the training begins.",
        "The hinge of an image that is classified well enough is 0, and so is its gradient. Cross-entropy goes on "
        "pulling.",
        "A softmax is computed from scores minus their maximum: exp(1010) is infinite.",
    ),
    formulas=(
        Formula("hinge: Σ_{j≠y} max(0, sⱼ − s_y + m)", "Weston and Watkins 1999, ESANN"),
        Formula("softmax: pⱼ = e^sⱼ / Σ e^sₖ    cross-entropy: −log p_y,  slope p − y", "Bridle 1990, Neurocomputing"),
    ),
    code=(multiclass_hinge, cross_entropy, softmax_steps),
    variations=(
        Variation("margin=5", "A larger margin only moves the kink; the weights can grow to meet it."),
        Variation("scale=0.5", "Other scores, the same two shapes."),
    ),
    random=False,
)  # fmt: skip
