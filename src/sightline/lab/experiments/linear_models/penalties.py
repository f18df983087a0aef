"""An L1 penalty makes weights vanish, an L2 penalty spreads them.

Which of two weight vectors does each penalty prefer, and what is left of 128 inputs of which half are noise?
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from sightline.drawing.curves import Frame, Line, line_chart
from sightline.drawing.png import grid
from sightline.lab.datasets import Labelled, digits
from sightline.lab.experiment import Claim, Experiment, Formula, Picture, Result, Table, Variation
from sightline.lab.updates import sgd
from sightline.losses.penalties import l1_penalty, l2_penalty, soft_threshold, weight_decay_term

NOISE = 64  # inputs of pure noise beside the 64 pixels


@dataclass(frozen=True)
class Parameters:
    l1: Annotated[float, Field(ge=0, le=1)] = 0.01
    l2: Annotated[float, Field(ge=0, le=1)] = 0.03
    steps: Annotated[int, Field(ge=10, le=5_000)] = 400
    lr: Annotated[float, Field(gt=0, le=1)] = 0.1


def with_noise(data: Labelled) -> Labelled:
    """(n, 128): the pixels, and as many inputs that say nothing."""
    return Labelled(torch.cat([data.x.flatten(1), torch.randn(len(data.y), NOISE)], 1), data.y)


def fitted(data: Labelled, penalty: Literal["none", "l1", "l2", "l1 subgradient"], p: Parameters) -> Tensor:
    """The weights (10, 128) of a linear classifier after full-batch gradient descent. The L1 penalty takes its own step
    behind the gradient's (the proximal gradient); as a subgradient it is a part of the gradient."""
    w = torch.zeros(10, data.x.shape[1])
    for _ in range(p.steps):
        leaf = w.requires_grad_()
        loss = F.cross_entropy(data.x @ leaf.T, data.y)
        if penalty == "l2":
            loss = loss + weight_decay_term([leaf], strength=p.l2, samples=1)
        if penalty == "l1 subgradient":
            loss = loss + p.l1 * l1_penalty([leaf])
        slope = torch.autograd.grad(loss, leaf)[0]
        w = w.detach() - p.lr * slope
        if penalty == "l1":
            w = soft_threshold(w, p.lr * p.l1)
    return w


def double(values: list[float]) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def right(w: Tensor, data: Labelled) -> float:
    return ((data.x @ w.T).argmax(1) == data.y).float().mean().item()


def magnitudes(w: Tensor) -> np.ndarray:
    """(8, 8, 1) grey: the sum of |w| over classes of each pixel, dark where it is large."""
    size = w.abs().sum(0)[:64].reshape(8, 8)
    return (255 * (1 - size / size.max().clamp(min=1e-12))).round().byte().numpy()[..., None]


def run(parameters: Parameters, seed: int) -> Result:
    p = parameters
    train, test = (with_noise(part) for part in digits())
    weights = {name: fitted(train, name, p) for name in ("none", "l1", "l2", "l1 subgradient")}  # type: ignore[arg-type]
    zeros = {name: (w == 0).float().mean().item() for name, w in weights.items()}
    silent = {name: int((w[:, 64:].abs().amax(0) == 0).sum()) for name, w in weights.items()}
    pixels = {name: int((w[:, :64].abs().amax(0) == 0).sum()) for name, w in weights.items()}
    accuracy = {name: right(w, test) for name, w in weights.items()}
    share = {name: (w[:, 64:].abs().sum() / w.abs().sum()).item() for name, w in weights.items()}
    rows = ([0.0, 0.9, 0.0], [0.15, 0.75, 0.15], [0.2, 0.8, 0.2, 0.1], [1.0, 0.0, 0.0, 0.0])
    pairs = {", ".join(f"{v:g}" for v in row): row for row in rows}
    worked = {name: (l1_penalty([double(v)]).item(), l2_penalty([double(v)]).item()) for name, v in pairs.items()}
    few, many = worked["0, 0.9, 0"], worked["0.15, 0.75, 0.15"]
    printed = {
        "0, 0.9, 0": (0.9, 0.81),
        "0.15, 0.75, 0.15": (1.05, 0.6075),
        "0.2, 0.8, 0.2, 0.1": (1.3, 0.73),
        "1, 0, 0, 0": (1.0, 1.0),
    }
    wrong = max(abs(a - b) for name in pairs for a, b in zip(worked[name], printed[name], strict=True))
    decayed = sgd(torch.tensor([2.0, -4.0]), torch.zeros(2), {}, lr=0.001, weight_decay=0.5)[0]
    ranks = list(range(1, weights["l1"].numel() + 1))
    lines = [
        Line(n, ranks, weights[n].abs().ravel().sort(descending=True).values.tolist(), t)
        for n, t in (("none", "quiet"), ("l2", "two"), ("l1", "one"))
    ]
    return Result(
        claims=[
            Claim("L1 prefers few weights, L2 many small ones.",
                few[0] < many[0] and few[1] > many[1] and wrong < 1e-12,
                "Σ|w| 0.9 and 1.05; Σw² 0.81 and 0.6075"),
            Claim("With L1 half of the weights or more are exactly 0, with L2 none.",
                zeros["l1"] >= 0.5 and zeros["l2"] < 1e-3, f"{zeros['l1']:.1%} and {zeros['l2']:.1%}"),
            Claim("L1 selects: of 64 noise inputs it silences at least 58, L2 none.",
                silent["l1"] >= 58 and silent["l2"] == 0,
                f"{silent['l1']} and {silent['l2']}; of the pixels {pixels['l1']} and {pixels['l2']}"),
            Claim("The subgradient alone makes weights small and no weight 0 that has a gradient.",
                zeros["l1 subgradient"] < 0.05, f"{zeros['l1 subgradient']:.1%}"),
            Claim("Neither penalty costs more than three points of test accuracy.",
                min(accuracy["l1"], accuracy["l2"]) >= accuracy["none"] - 0.03,
                ", ".join(f"{n} {a:.1%}" for n, a in accuracy.items())),
            Claim("A decay of 0.5 at a rate of 0.001 multiplies weights by 0.9995.",
                bool((decayed - torch.tensor([1.999, -3.998])).abs().max() < 1e-6),
                f"{decayed[0].item():.4f}, {decayed[1].item():.4f}"),
        ],
        numbers={"weights that are 0, L1": zeros["l1"], "weights that are 0, L2": zeros["l2"],
            "share of |w| on noise, L1": share["l1"], "share of |w| on noise, L2": share["l2"],
                "accuracy, L1": accuracy["l1"], "accuracy, L2": accuracy["l2"]},
        pictures=[Picture(grid([magnitudes(weights[n]) for n in ("none", "l2", "l1")], columns=3,
            captions=["none", "L2", "L1"]), "Pixels by the size of their weights: dark is large."),
                  Picture(line_chart(lines,
                      Frame("Sorted weights", "Magnitudes over ranks", "rank of the weight", "|w|", log_y=True,
                          y_range=(1e-5, 2))), "All weights by size. The line of L1 ends where zeros begin.")],
        tables=[Table(("weights", "Σ|w|", "Σw²"), [[n, *v] for n, v in worked.items()]),
                Table(("penalty", "weights = 0", "silent pixels", "silent noise", "share of |w| on noise",
                    "accuracy"), [[n, zeros[n], pixels[n], silent[n], share[n], accuracy[n]] for n in weights])],
    )  # fmt: skip


EXPERIMENT = Experiment(
    run=run,
    parameters=Parameters(),
    notice=(
        "The slope of |w| is 1 however small w is, so it arrives at 0; the slope of w² fades as w does, and it "
        "never arrives.",
        "Zero needs a step of its own: along the subgradient a weight jumps to and fro across 0.",
        "L1 silences pixels as well: those at the margin, which say little that their neighbours do not.",
    ),
    formulas=(
        Formula("L + λ Σ|w|:  w ← sign(v) max(0, |v| − ηλ),  v = w − η∇L",
            "Tibshirani 1996; Daubechies, Defrise and De Mol 2004"),
        Formula("L + λ/2 Σw²:  w ← (1 − ηλ)w − η∇L", "Hoerl and Kennard 1970; Krogh and Hertz 1992"),
    ),
    code=(l1_penalty, l2_penalty, soft_threshold, fitted),
    variations=(
        Variation("l1=0.03", "A stronger L1 penalty silences pixels too."),
        Variation("l1=0.001", "A weak one leaves noise in."),
    ),
)  # fmt: skip
