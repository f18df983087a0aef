"""Too simple, right, too much: three networks on the same digits.

How do an under-, a well- and an over-fitted network show themselves in their curves, and what does a report say of each?
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from pydantic import Field
from torch import nn
from torch.nn import functional as F

from sightline.drawing.curves import Frame, Line, line_chart
from sightline.lab.datasets import Labelled, digits
from sightline.lab.descent import accuracy, descend
from sightline.lab.experiment import Claim, Experiment, Formula, Picture, Result, Table, Variation
from sightline.reports.finding import VerdictFacts
from sightline.reports.rules.learning import fit_quality
from sightline.reports.thresholds import Thresholds


@dataclass(frozen=True)
class Parameters:
    few: Annotated[int, Field(ge=20, le=400)] = 80
    steps: Annotated[int, Field(ge=50, le=3_000)] = 500


def network(hidden: int) -> nn.Sequential:
    return nn.Sequential(nn.Flatten(), nn.Linear(64, hidden), nn.ReLU(), nn.Linear(hidden, 10))


@torch.no_grad()
def loss(model: nn.Module, data: Labelled) -> float:
    return F.cross_entropy(model(data.x), data.y).item()


def fitted(
    model: nn.Module, train: Labelled, val: Labelled, steps: int, seed: int
) -> tuple[dict[str, dict[str, float]], list[dict[str, float]]]:
    """Metrics by split, and the losses of both splits at twenty times of the training."""
    history: list[dict[str, float]] = []

    def keep(step: int) -> None:
        if step % max(1, steps // 20) == 0:
            history.append({"step": step, "train_loss": loss(model, train), "val_loss": loss(model, val)})

    descend(model, train, steps=steps, lr=0.05, seed=seed, after=keep)
    return {"train": {"accuracy": accuracy(model, train)}, "val": {"accuracy": accuracy(model, val)}}, history


def run(parameters: Parameters, seed: int) -> Result:
    p = parameters
    known, last = digits()
    order = torch.randperm(len(known.y) + len(last.y))
    x, y = torch.cat([known.x, last.x])[order], torch.cat([known.y, last.y])[order]
    train, val = Labelled(x[500:], y[500:]), Labelled(x[:500], y[:500])
    few = Labelled(train.x[: p.few], train.y[: p.few])
    cases = {
        "under-fitted: two hidden units": (network(2), train),
        "well-fitted: 64 units": (network(64), train),
        f"over-fitted: 64 units, {p.few} digits": (network(64), few),
    }
    rows, charts, titles, gaps, trained, histories = [], [], [], [], [], []
    for name, (model, data) in cases.items():
        metrics, history = fitted(model, data, val, p.steps, seed)
        facts = VerdictFacts(
            split="val",
            n=len(val.y),
            metrics=metrics,
            sizes={"train": len(data.y), "val": len(val.y)},
            steps=p.steps,
            majority=("0", 0.1),
            recipe={},
        )
        finding = fit_quality(facts, Thresholds())
        titles.append(finding[0].title if finding else "nothing")
        train_share, val_share = metrics["train"]["accuracy"], metrics["val"]["accuracy"]
        gaps.append(train_share - val_share)
        trained.append(train_share)
        histories.append(history)
        rows.append((name, train_share, val_share, gaps[-1], titles[-1]))
        steps = [h["step"] for h in history]
        lines = [
            Line("training", steps, [h["train_loss"] for h in history]),
            Line("unseen", steps, [h["val_loss"] for h in history], "two"),
        ]
        charts.append(
            Picture(
                line_chart(lines, Frame(name, f"Loss of both splits; {titles[-1]}", "step", "loss", y_range=(0, 2.5))),
                f"{name}. The report says: {titles[-1]}.",
            )
        )
    ends = [h[-1] for h in histories]
    return Result(
        claims=[
            Claim("Two hidden units do not even fit the training digits (below 90 %).", trained[0] < 0.9,
                  f"{trained[0]:.3f}"),
            Claim("64 units fit them and the unseen ones almost as well (within 0.05).",
                  trained[1] > 0.97 and gaps[1] < 0.05, f"{trained[1]:.3f}, gap {gaps[1]:.3f}"),
            Claim("On few digits the same network learns them by heart: no mistake in training, and twice the gap.",
                  trained[2] == 1.0 and gaps[2] >= 2 * gaps[1],
                  f"{trained[2]:.3f}, gap {gaps[2]:.3f} against {gaps[1]:.3f}"),
            Claim("The over-fitted network has the lowest training loss and not the lowest loss on unseen digits.",
                  ends[2]["train_loss"] == min(e["train_loss"] for e in ends) and ends[2]["val_loss"] > ends[1]["val_loss"],
                  f"training {ends[2]['train_loss']:.4f}, unseen {ends[2]['val_loss']:.2f} against "
                  f"{ends[1]['val_loss']:.2f}"),
            Claim("The report's rules name underfitting and overfitting.",
                  titles[0] == "Underfitting" and titles[2] == "Overfitting", f"{titles[0]}; {titles[2]}"),
        ],
        numbers={f"gap, {name}": gap for name, gap in zip(cases, gaps, strict=True)},
        pictures=charts,
        tables=[Table(("network", "training", "unseen", "gap", "the report says"), rows, "Accuracy"),
                Table(("what is seen", "what helps"),
                      [("high training error (bias)", "a larger network, longer training, another rate"),
                      ("low training error, large gap (variance)",
                       "more data, augmentation, weight decay, a smaller network"),
                      ("both low", "finished, or a harder test")], "The working recipe")],
    )  # fmt: skip


EXPERIMENT = Experiment(
    run=run,
    parameters=Parameters(),
    notice=("The gap alone is no verdict: two hidden units have hardly any gap, and are useless.",
            "More data move the over-fitted network to the middle; they do nothing for two hidden units."),
    formulas=(Formula("E (y − f̂)² = bias² + variance + noise",
                      "Geman, Bienenstock and Doursat 1992, Neural Computation 4(1)"),),
    code=(fitted, fit_quality),
    variations=(Variation("few=400", "Five times the digits: most of the gap is gone."),
                Variation("steps=50", "Stopped early: nobody has fitted yet.")),
)  # fmt: skip
