"""What costs more, a miss or a false alarm? The answer chooses the metric.

Which metric should a cancer screening, a spam filter or an airport's scanner be chosen by, and what does the wrong choice cost?
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from pydantic import Field

from sightline.drawing.curves import Frame, Line, line_chart
from sightline.lab.advice import CASES, Case, advise, best_threshold, expected_cost
from sightline.lab.experiment import Claim, Experiment, Formula, Picture, Result, Table, Variation
from sightline.metrics.counts import confusion_matrix, one_vs_rest, rate


@dataclass(frozen=True)
class Parameters:
    miss: Annotated[float, Field(gt=0)] = 50
    false_alarm: Annotated[float, Field(gt=0)] = 1
    positives: Annotated[float, Field(gt=0, lt=1)] = 0.01
    samples: Annotated[int, Field(ge=1_000, le=500_000)] = 40_000


def drawn(case: Case, n: int, draw: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """n samples with calibrated probabilities: a score of N(±1, 1) by class, turned into its posterior."""
    positive = draw.random(n) < case.share
    score = draw.normal(size=n) + np.where(positive, 1.0, -1.0)
    return positive, 1 / (1 + np.exp(-2 * score) * (1 - case.share) / case.share)


def run(parameters: Parameters, seed: int) -> Result:
    draw = np.random.default_rng(seed)
    p = parameters
    own = Case(
        "yours",
        "positive",
        p.miss,
        p.false_alarm,
        p.positives,
        advise(p.miss, p.false_alarm, p.positives).metric,
        "",
        "",
    )
    rows, saved, near = [], {}, {}
    for case in (*CASES, own):
        costs = {"miss": case.miss, "false_alarm": case.false_alarm}
        positive, probability = drawn(case, p.samples, draw)
        advice = advise(case.miss, case.false_alarm, case.share)
        found = expected_cost(positive, probability >= advice.threshold, **costs)
        half = expected_cost(positive, probability >= 0.5, **costs)
        tried = best_threshold(positive, probability, **costs)
        counts = one_vs_rest(confusion_matrix(positive.astype(int), (probability >= advice.threshold).astype(int), 2))
        recall, precision = float(rate("recall", counts)[1]), float(rate("precision", counts)[1])
        saved[case.name] = 1 - found / half if half else 0.0
        near[case.name] = found / expected_cost(positive, probability >= tried, **costs) if tried else 1.0
        rows.append(
            (
                case.name,
                case.missed,
                case.alarmed,
                f"{case.miss:g} : {case.false_alarm:g}",
                advice.metric,
                advice.threshold,
                recall,
                precision,
                saved[case.name],
            )
        )
    advised = {c.name: advise(c.miss, c.false_alarm, c.share).metric for c in CASES}
    screening = CASES[0]
    positive, probability = drawn(screening, p.samples, draw)
    thresholds = np.arange(1, 100) / 100
    curve = [
        expected_cost(positive, probability >= t, miss=screening.miss, false_alarm=screening.false_alarm)
        for t in thresholds
    ]
    wrong = [float(((probability >= t) != positive).mean()) for t in thresholds]
    chart = line_chart(
        [
            Line("cost", list(thresholds), list(np.array(curve) / max(curve))),
            Line("errors", list(thresholds), list(np.array(wrong) / max(wrong)), "two"),
        ],
        Frame(
            "Cost and errors of the screening",
            "Both over the threshold, relative to their maximum",
            "threshold",
            "of the maximum",
            x_range=(0, 1),
            y_range=(0, 1),
        ),
    )
    unequal = [c.name for c in CASES if max(c.miss, c.false_alarm) > 1]
    equal = [c.name for c in CASES if c.miss == c.false_alarm]
    least = float(thresholds[int(np.argmin(wrong))])
    return Result(
        claims=[
            Claim("The advice names the metric that each case is known for.",
                  all(advised[c.name] == c.metric for c in CASES), "; ".join(f"{n}: {m}" for n, m in advised.items())),
            Claim("Where costs are unequal, the advised threshold costs less than ½, in every case.",
                  all(saved[n] > 0 for n in unequal),
                  "saves " + ", ".join(f"{n} {saved[n]:.0%}" for n in unequal)),
            Claim("Where they are equal it is ½ itself.", all(saved[n] == 0 for n in equal), ", ".join(equal)),
            Claim("No threshold that was tried is more than a fifth cheaper than the advised one.",
                  max(near.values()) < 1.25, f"at most {max(near.values()):.2f} times the best cost"),
            Claim("In the screening, fewest errors and least cost are at different thresholds.",
                  abs(least - advise(50, 1, 0.01).threshold) > 0.2,
                  f"errors {least:.2f}, cost {advise(50, 1, 0.01).threshold:.2f}"),
        ],
        numbers={f"cost saved, {n}": saved[n] for n in unequal},
        pictures=[Picture(chart, "Cancer screening: the threshold of fewest errors misses the tumours.")],
        tables=[Table(("case", "a miss", "a false alarm", "costs", "choose by", "threshold", "recall", "precision",
                       "cost saved"), rows,
                      "Costs are examples, as is a classifier with scores of N(±1, 1). The last row is that of the "
                      "keys.")],
    )  # fmt: skip


EXPERIMENT = Experiment(
    run=run,
    parameters=Parameters(),
    notice=("Recall alone is easy: call everything positive. It is the metric to choose by, at a precision that one "
            "can afford.",
            "The threshold follows from the costs alone if probabilities are calibrated; the rarity of positives is "
            "in them already."),
    formulas=(Formula("say yes where p ≥ c / (c + m)", "Elkan 2001, The Foundations of Cost-Sensitive Learning, IJCAI"),
              ),
    code=(advise, expected_cost, best_threshold),
    variations=(Variation("miss=1 false_alarm=30 positives=0.5", "A spam filter: precision, and a high threshold."),
                Variation("miss=1 false_alarm=1 positives=0.4", "Nothing to weigh: accuracy.")),
)  # fmt: skip
