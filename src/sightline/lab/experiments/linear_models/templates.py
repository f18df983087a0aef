"""The weights of a linear classifier are one template for each class.

What does a linear classifier of digits look for, and which layout of the weights holds the templates?
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch
from jaxtyping import UInt8
from pydantic import Field
from torch import Tensor

from sightline.drawing.png import grid
from sightline.lab.datasets import digits
from sightline.lab.descent import accuracy, descend
from sightline.lab.experiment import Claim, Experiment, Formula, Picture, Result, Table, Variation
from sightline.layers.linear import bias_trick
from sightline.models.early.linear import LinearClassifier


@dataclass(frozen=True)
class Parameters:
    steps: Annotated[int, Field(ge=1, le=20_000)] = 500
    weight_decay: Annotated[float, Field(ge=0, le=1)] = 0.01


def coloured(values: Tensor) -> UInt8[np.ndarray, "h w 3"]:
    """(h, w) around 0: positive in blue, negative in orange, 0 in white; the largest magnitude has the full colour."""
    share = (values / values.abs().max().clamp(min=1e-12)).numpy()[..., None]
    tone = np.where(share > 0, np.array([29, 95, 168]), np.array([181, 86, 15]))
    return (255 - np.abs(share) * (255 - tone)).round().astype(np.uint8)


def correlations(templates: Tensor, means: Tensor) -> Tensor:
    """(k, k) correlation of each template's pixels with each class mean's."""
    flat = [t.flatten(1) - t.flatten(1).mean(1, keepdim=True) for t in (templates, means)]
    a, b = (t / t.norm(dim=1, keepdim=True) for t in flat)
    return a @ b.T


def run(parameters: Parameters, seed: int) -> Result:
    train, test = digits()
    network = LinearClassifier(in_channels=1, image_size=(8, 8))
    descend(network, train, steps=parameters.steps, lr=0.05, weight_decay=parameters.weight_decay, seed=seed)
    templates = network.templates()  # (10, 1, 8, 8)
    bias = network.get_parameter("fc.bias").detach()
    with torch.no_grad():
        scores = network(test.x)
    products = torch.einsum("nchw,kchw->nk", test.x, templates) + bias
    apart = (scores - products).abs().max().item()
    means = torch.stack([train.x[train.y == k].mean(0) for k in range(10)]) - train.x.mean(0)
    close = correlations(templates, means)
    own = int((close.argmax(1) == torch.arange(10)).sum())
    right = accuracy(network, test)
    x = torch.tensor([[56.0, 231.0, 24.0, 2.0]])
    weight = torch.tensor([[0.2, -0.5, 0.1, 2.0], [1.5, 1.3, 2.1, 0.0], [0.0, 0.25, 0.2, -0.3]])
    offset = torch.tensor([1.1, 3.2, -1.2])
    worked = (x @ weight.T + offset)[0].tolist()
    longer, wider = bias_trick(x, weight, offset)
    tricked = (longer @ wider.T)[0].tolist()
    columns = (torch.tensor([[57.0, 77.0, 200.0, 128.0]])
               @ torch.tensor([[0.7, -0.3, 0.0], [-0.3, 0.5, 0.25], [2.5, 3.1, 0.4], [1.0, -3.0, 0.1]])
               + torch.tensor([1.7, -2.0, 3.0]))[0].tolist()  # fmt: skip
    names = [str(k) for k in range(10)]
    return Result(
        claims=[
            Claim("A score is the template times the image, pixel by pixel, plus the bias.", apart < 1e-3,
                f"largest difference {apart:.1e}"),
            Claim("At least nine of ten templates correlate most with the mean image of their own class.", own >= 9,
                f"{own} of 10"),
            Claim("Ten templates read at least 85 % of the test digits.", right >= 0.85, f"{right:.1%}"),
            Claim("The worked scores are −96.8, 437.9, 60.75, with the bias trick too.",
                all(abs(a - b) < 1e-3 and abs(a - c) < 1e-3 for a, b,
                c in zip((-96.8, 437.9, 60.75), worked, tricked, strict=True)),
                ", ".join(f"{v:.2f}" for v in worked)),
            Claim("With x·W, W (D, N), the templates are the columns: 646.5, 255.4, 115.05.",
                all(abs(a - b) < 1e-3 for a, b in zip((646.5, 255.4, 115.05), columns, strict=True)),
                ", ".join(f"{v:.2f}" for v in columns)),
        ],
        numbers={"accuracy on the test digits": right, "templates nearest to their own class": own},
        pictures=[
            Picture(grid([coloured(t[0]) for t in templates], columns=5, captions=names),
                "Templates: blue pixels speak for the class, orange ones against it."),
            Picture(grid([coloured(m[0]) for m in means], columns=5, captions=names),
                "Mean images of the classes, less the mean of all."),
        ],
        tables=[Table(("class", "pixels", "score by hand"),
            [["cat", "56, 231, 24, 2", worked[0]], ["dog", "", worked[1]], ["ship", "", worked[2]]],
                "Four pixels, three classes, b = (1.1, 3.2, −1.2).")],
    )  # fmt: skip


EXPERIMENT = Experiment(
    run=run,
    parameters=Parameters(),
    notice=(
        "A template is not the mean image: it has strong weights where its class differs from those that look like it.",
        "One template a class: a 7 with a bar and one without share theirs. That is what more layers change.",
        "With scores Wx the rows of W are the templates; with xW, whose W is the transpose, the columns.",
    ),
    formulas=(
        Formula("s = Wx + b,    W (N, D): row k is the template of class k", "Duda and Hart 1973, chapter 5"),
        Formula("[W b] [x; 1] = Wx + b", "the bias trick"),
    ),
    code=(LinearClassifier, bias_trick, correlations),
    variations=(
        Variation("weight_decay=0", "Without a penalty the templates are noisier, and read as many digits."),
        Variation("weight_decay=0.5", "A strong penalty leaves almost the mean images."),
    ),
)  # fmt: skip
