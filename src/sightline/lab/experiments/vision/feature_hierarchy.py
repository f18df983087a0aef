"""With depth, classes come apart: a linear probe on every layer.

Why is a deep representation better than pixels, and is it depth or training that does it?
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor

from sightline.drawing.curves import Frame, Line, line_chart
from sightline.lab.datasets import Labelled
from sightline.lab.descent import accuracy, descend
from sightline.lab.experiment import Claim, Experiment, Formula, Picture, Result, Table, Variation
from sightline.lab.seeing.canvas import anywhere, ink
from sightline.models.create import create_model

SIDE, STAGES = 16, ("pixels", "block 1", "block 2", "block 3", "dense")


@dataclass(frozen=True)
class Parameters:
    steps: Annotated[int, Field(ge=10, le=5_000)] = 500
    ridge: Annotated[float, Field(gt=0, le=10)] = 0.01


def probe(train: Labelled, test: Labelled, ridge: float) -> float:
    """Test accuracy of a linear classifier by ridge regression to one-hot classes: solved, not trained, so that nothing depends
    on a learning rate."""
    x, t = (torch.cat([d.x.flatten(1), torch.ones(len(d.x), 1)], 1).double() for d in (train, test))
    scale = x.std(0).clamp(min=1e-6)
    scale[-1] = 1
    x, t = x / scale, t / scale
    gram = x @ x.T / x.shape[1]  # in the kernel form: as many unknowns as samples
    solved = torch.linalg.solve(gram + ridge * torch.eye(len(x), dtype=x.dtype), torch.eye(10, dtype=x.dtype)[train.y])
    return ((t @ x.T / x.shape[1]) @ solved).argmax(1).eq(test.y).double().mean().item()


@torch.no_grad()
def stages(network: torch.nn.Module, x: Tensor) -> list[Tensor]:
    """The pixels and every stage's features, each as a vector."""
    return [x.flatten(1), *(f.flatten(1) for f in network.features(x))]  # type: ignore[operator]


def spread(x: Tensor, y: Tensor) -> float:
    """Variance between the classes' means over variance within the classes (Fisher's ratio, of traces)."""
    means = torch.stack([x[y == c].mean(0) for c in range(10)])
    within = torch.stack([((x[y == c] - means[c]) ** 2).sum(1).mean() for c in range(10)]).mean()
    return (((means - means.mean(0)) ** 2).sum(1).mean() / within).item()


def run(parameters: Parameters, seed: int) -> Result:
    p = parameters
    train, test = ink()
    train, test = anywhere(train, SIDE, seed), anywhere(Labelled(test.x[:300], test.y[:300]), SIDE, 100 + seed)
    options: dict[str, Any] = {
        "in_channels": 1,
        "num_classes": 10,
        "image_size": (SIDE, SIDE),
        "widths": (12, 16, 24),
        "dense": (32,),
    }
    fresh, trained = (create_model("convnet", seed=seed, **options) for _ in range(2))
    descend(trained, train, steps=p.steps, lr=0.05, batch=32, seed=seed)
    trained.eval()
    some = Labelled(train.x[:600], train.y[:600])
    found, ratio = {}, {}
    for name, network in (("trained", trained), ("as it began", fresh)):
        pairs = list(zip(stages(network, some.x), stages(network, test.x), strict=True))
        found[name] = [probe(Labelled(a, some.y), Labelled(b, test.y), p.ridge) for a, b in pairs]
        ratio[name] = [spread(b, test.y) for _, b in pairs]
    right = accuracy(trained, test)
    a, b, f = found["trained"], found["as it began"], ratio["trained"]
    lines = [Line(n, range(5), v, t) for (n, v), t in zip(found.items(), ("one", "quiet"), strict=True)]
    frame = Frame(
        "A linear probe on every layer",
        "Test accuracy of a linear classifier",
        "layer, 0: pixels",
        "accuracy",
        y_range=(0, 1),
    )
    rows = [(s, a[i], b[i], f[i], ratio["as it began"][i]) for i, s in enumerate(STAGES)]
    return Result(
        claims=[
            Claim("Linear separability rises with every block of the trained network.", a[0] < a[1] < a[2] < a[3],
                  " → ".join(f"{v:.2f}" for v in a)),
            Claim("It ends at least 0.3 above the pixels.", max(a[3:]) - a[0] >= 0.3, f"{a[0]:.2f} → {max(a[3:]):.2f}"),
            Claim("Depth alone does not do it: behind random weights the last layer stays at least 0.15 below.",
                  max(a[3:]) - b[4] >= 0.15, f"{b[4]:.2f} against {a[4]:.2f}"),
            Claim("Classes come apart: the variance between them, relative to that within, at least triples from "
                  "pixels to the last layer.", f[4] >= 3 * f[0], f"{f[0]:.2f} → {f[4]:.2f}"),
            Claim("A linear probe on the last layer is at least as good as the network's own head (within 0.05).",
                  a[4] >= right - 0.05, f"{a[4]:.3f} and {right:.3f}"),
        ],
        numbers={f"probe, {s}": v for s, v in zip(STAGES, a, strict=True)},
        pictures=[Picture(line_chart(lines, frame),
                          "Digits anywhere on 16 × 16 pixels: hopeless for a linear classifier on pixels.")],
        tables=[Table(("layer", "probe, trained", "probe, as it began", "between/within, trained", "as it began"),
                      rows)],
    )  # fmt: skip


EXPERIMENT = Experiment(
    run=run,
    parameters=Parameters(),
    notice=("The gap between numbers in a grid and the name of a thing is closed step by step, not in one layer.",
            "Random convolutions already help: wide, rectified, pooled features are better than pixels."),
    formulas=(Formula("probe_l = the best linear classifier on layer l", "Alain and Bengio 2016, arXiv:1610.01644"),
              Formula("features from edges to parts to objects", "Zeiler and Fergus 2013, arXiv:1311.2901")),
    code=(probe, stages, spread),
    variations=(Variation("steps=20", "Hardly trained: the two curves are close."),
                Variation("steps=2000", "The last layers gain most.")),
)  # fmt: skip
