"""The accuracy paradox: the better accuracy, the worse detector.

Why does a classifier that learned nothing reach 95 % on rare positives, and which metrics are not deceived?
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch
from pydantic import Field
from torch import nn

from sightline.drawing.curves import Frame, Line, line_chart
from sightline.lab.datasets import Labelled, digits
from sightline.lab.descent import descend
from sightline.lab.experiment import Claim, Experiment, Formula, Picture, Result, Table, Variation
from sightline.metrics.classification import classification_metrics
from sightline.metrics.counts import confusion_matrix, one_vs_rest, rate

COLUMNS = ("accuracy", "balanced_accuracy", "macro_f1", "mcc", "auc")


@dataclass(frozen=True)
class Parameters:
    share: Annotated[float, Field(gt=0.005, lt=0.5)] = 0.05
    steps: Annotated[int, Field(ge=10, le=5_000)] = 300


def imbalanced(data: Labelled, share: float) -> Labelled:
    """Is it an eight? Eights are thinned out until they are `share` of the images."""
    eight = data.y == 8
    keep = round(share / (1 - share) * int((~eight).sum()))
    chosen = torch.cat([eight.nonzero().flatten()[:keep], (~eight).nonzero().flatten()])
    return Labelled(data.x[chosen], eight[chosen].long())


def probabilities(network: nn.Module, data: Labelled, threshold: float) -> np.ndarray:
    """(n, 2), shifted so that class 1 wins from `threshold` on."""
    with torch.no_grad():
        p = network(data.x).softmax(1)[:, 1].double().numpy()
    odds = p * (1 - threshold) / (p * (1 - threshold) + (1 - p) * threshold)
    return np.stack([1 - odds, odds], 1)


def recall(target: np.ndarray, probability: np.ndarray) -> float:
    return float(rate("recall", one_vs_rest(confusion_matrix(target, probability.argmax(1), 2)))[1])


def run(parameters: Parameters, seed: int) -> Result:
    train, test = (imbalanced(d, parameters.share) for d in digits())
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 2))
    descend(network, train, steps=parameters.steps, lr=0.01, seed=seed)
    target = test.y.numpy()
    n, positives = len(target), int(target.sum())
    never = np.tile([0.9, 0.1], (n, 1))
    answers = {
        "never an eight": never,
        "linear, threshold ½": probabilities(network, test, 0.5),
        f"linear, threshold {parameters.share:g}": probabilities(network, test, parameters.share),
    }
    measured = {name: classification_metrics(target, p) for name, p in answers.items()}
    recalls = {name: recall(target, p) for name, p in answers.items()}
    rows = [(name, *(m[c] for c in COLUMNS), recalls[name]) for name, m in measured.items()]
    first, low = "never an eight", f"linear, threshold {parameters.share:g}"
    shares = [0.5, 0.3, 0.2, 0.1, 0.05, 0.02, 0.01]
    lines = [Line("accuracy", shares, [1 - s for s in shares]), Line("balanced", shares, [0.5] * len(shares), "two")]
    frame = Frame(
        "A classifier that never answers positive",
        "Accuracy and balanced accuracy over the share of positives",
        "share of positives",
        "",
        y_range=(0, 1),
    )
    return Result(
        claims=[
            Claim("Never saying yes is right as often as no is true.",
                  abs((measured[first]["accuracy"] or 0) - (1 - positives / n)) < 1e-12,
                  f"{measured[first]['accuracy']:.3f} accuracy, not one of {positives} eights found"),
            Claim("A detector that finds at least 60 % of the eights has the lower accuracy.",
                  recalls[low] >= 0.6 and (measured[low]["accuracy"] or 1) < (measured[first]["accuracy"] or 0),
                  f"finds {recalls[low]:.0%}, accuracy {measured[low]['accuracy']:.3f}"),
            Claim("Balanced accuracy gives the constant answer exactly one half, and MCC is undefined for it.",
                  measured[first]["balanced_accuracy"] == 0.5 and measured[first]["mcc"] is None,
                  f"{measured[first]['balanced_accuracy']}, {measured[first]['mcc']}"),
            Claim("Balanced accuracy puts the two in the right order.",
                  (measured[low]["balanced_accuracy"] or 0) > 0.5 + 0.1,
                  f"{measured[low]['balanced_accuracy']:.3f} against 0.5"),
            Claim("The AUC is that of the scores, whatever the threshold.",
                  abs((measured[low]["auc"] or 0) - (measured["linear, threshold ½"]["auc"] or 1)) < 1e-9,
                  f"{measured[low]['auc']:.3f}"),
        ],
        numbers={f"accuracy, {name}": float(m["accuracy"] or 0) for name,
                 m in measured.items()} | {f"recall of eights, {low}": recalls[low]},
        pictures=[Picture(line_chart(lines, frame),
                          "The rarer the positives, the better the accuracy of doing nothing.")],
        tables=[Table(("answer", "accuracy", "balanced", "macro F1", "MCC", "AUC", "recall of eights"), rows,
                      f"{positives} eights among {n} test digits")],
    )  # fmt: skip


EXPERIMENT = Experiment(
    run=run,
    parameters=Parameters(),
    notice=(
        "The threshold, not the network, decides which mistakes are made: the AUC is the same at all of them.",
        "Which threshold is right is a question of what a miss and a false alarm cost.",
    ),
    formulas=(Formula("accuracy of the constant answer = 1 − share of positives",
                      "Provost, Fawcett and Kohavi 1998, ICML"),
              Formula("balanced accuracy = (recall + specificity) / 2", "Brodersen et al. 2010, ICPR")),
    code=(imbalanced, probabilities, classification_metrics),
    variations=(Variation("share=0.3", "Less rare: the paradox is gone."),
                Variation("share=0.01", "Rarer: few eights are left to learn from.")),
)  # fmt: skip
