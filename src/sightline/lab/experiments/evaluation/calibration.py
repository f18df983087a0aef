"""Calibration: a confidence of 90 % should be right nine times in ten.

How sure is an over-fitted network of its mistakes, and what does a single number, the temperature, repair?
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch
from markupsafe import Markup
from pydantic import Field
from torch import nn

from sightline.drawing.curves import Frame, Line, line_chart
from sightline.evaluation.diagnosis.temperature import fit_temperature, scale, softened
from sightline.lab.datasets import Labelled, digits
from sightline.lab.descent import descend
from sightline.lab.experiment import Claim, Experiment, Formula, Picture, Result, Table, Variation
from sightline.metrics.calibration import brier_score, expected_calibration_error, log_loss, reliability


@dataclass(frozen=True)
class Parameters:
    samples: Annotated[int, Field(ge=50, le=700)] = 200
    wrong_labels: Annotated[float, Field(ge=0, le=0.5)] = 0.2
    steps: Annotated[int, Field(ge=10, le=5_000)] = 800


def probabilities(network: nn.Module, data: Labelled) -> np.ndarray:
    with torch.no_grad():
        return network(data.x).softmax(1).double().numpy()


def ece(target: np.ndarray, probability: np.ndarray, bins: int = 15) -> float:
    return expected_calibration_error(probability.max(1), probability.argmax(1) == target, bins)


def by_hand(target: np.ndarray, probability: np.ndarray, bins: int = 15) -> float:
    """Σ over bins of (samples / n) · |accuracy − confidence|."""
    confidence, right = probability.max(1), probability.argmax(1) == target
    total = 0.0
    for i in range(bins):
        inside = (confidence > i / bins) & (confidence <= (i + 1) / bins)
        if inside.any():
            total += inside.mean() * abs(right[inside].mean() - confidence[inside].mean())
    return float(total)


def chart(target: np.ndarray, probability: np.ndarray, title: str) -> Markup:
    bins = reliability(probability.max(1), probability.argmax(1) == target, 10)
    seen = bins.samples > 0
    size = list(np.sqrt(bins.samples[seen] / bins.samples.max()))
    return line_chart(
        [Line("", list(bins.confidence[seen]), list(bins.accuracy[seen]), sizes=size)],
        Frame(
            title,
            "Accuracy of each bin over its mean confidence",
            "confidence",
            "accuracy",
            x_range=(0, 1),
            y_range=(0, 1),
            square=True,
            reference=True,
        ),
    )


def run(parameters: Parameters, seed: int) -> Result:
    p = parameters
    train, test = digits()
    y = train.y[: p.samples].clone()
    wrong = torch.rand(p.samples) < p.wrong_labels
    y[wrong] = torch.randint(10, (int(wrong.sum()),))
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10))
    descend(network, Labelled(train.x[: p.samples], y), steps=p.steps, lr=0.1, seed=seed)
    held = Labelled(train.x[800:], train.y[800:])
    chosen, before, target = probabilities(network, held), probabilities(network, test), test.y.numpy()
    temperature = fit_temperature(held.y.numpy(), chosen)
    after = softened(before, temperature)
    whole = scale((held.y.numpy(), chosen), (target, before), seed=seed)
    assert whole is not None
    values = {t: log_loss(held.y.numpy(), softened(chosen, t)) for t in (0.5 + i / 10 for i in range(76))}
    best = min(values, key=lambda t: values[t])
    gap = ece(target, before), ece(target, after)
    accuracy = [float((q.argmax(1) == target).mean()) for q in (before, after)]
    extreme = temperature > 7.9
    rows = [("log loss", log_loss(target, before), log_loss(target, after)),
            ("Brier score", brier_score(target, before), brier_score(target, after)),
            ("expected calibration error", *gap),
            ("mean confidence", float(before.max(1).mean()), float(after.max(1).mean())),
            ("accuracy", accuracy[0], accuracy[1])]  # fmt: skip
    return Result(
        claims=[
            Claim("The over-fitted network is surer than it is right, by at least 0.05.",
                  before.max(1).mean() - accuracy[0] >= 0.05,
                  f"confidence {before.max(1).mean():.3f}, accuracy {accuracy[0]:.3f}"),
            Claim("The expected calibration error by hand is the product's.",
                  abs(by_hand(target, before) - gap[0]) < 1e-12, f"{gap[0]:.4f}"),
            Claim("A temperature above 1, chosen on other digits, at least halves the calibration error.",
                  temperature > 1 and gap[1] <= gap[0] / 2,
                  f"T = {temperature:.2f}: {gap[0]:.3f} → {gap[1]:.3f}"),
            Claim("It is the temperature of least log loss among 76 that were tried.",
                  extreme or abs(best - temperature) <= 0.1, f"{temperature:.2f}, tried {best:.2f}"),
            Claim("The log loss falls by more than chance.", whole.nll_change[1] < 0,
                  f"{whole.nll[0]:.3f} → {whole.nll[1]:.3f}, change {whole.nll_change[0]:.3f} to "
                  f"{whole.nll_change[1]:.3f}"),
            Claim("No answer changes: order and accuracy stay.",
                  accuracy[0] == accuracy[1] and bool((before.argmax(1) == after.argmax(1)).all()),
                  f"accuracy {accuracy[1]:.3f}"),
        ],
        numbers={"temperature": temperature, "calibration error before": gap[0], "calibration error after": gap[1]},
        pictures=[Picture(chart(target, before, "Before"), "Below the diagonal: too sure."),
                  Picture(chart(target, after, f"Behind T = {temperature:.2f}"), "The same answers, softened.")],
                
        tables=[Table(("500 test digits", "before", "after"), rows)],
    )  # fmt: skip


EXPERIMENT = Experiment(
    run=run,
    parameters=Parameters(),
    notice=("The network fits wrong labels with full confidence, and carries that confidence to images it never saw.",
            "The size of a dot is the share of images: a bin of few images says little."),
    formulas=(Formula("ECE = Σ_b (n_b / n) · |accuracy_b − confidence_b|", "Naeini, Cooper and Hauskrecht 2015, AAAI"),
              Formula("p = softmax(z / T)", "Guo, Pleiss, Sun and Weinberger 2017, arXiv:1706.04599")),
    code=(fit_temperature, softened, by_hand),
    variations=(Variation("wrong_labels=0 samples=700", "Clean labels and more of them: less to repair."),
                Variation("steps=60", "Stopped early, the network is hardly too sure.")),
)  # fmt: skip
