"""Metrics: what is printed, what is right.

Which printed formulas of Dice, F, the true positive rate and Matthews' correlation give other values than their names?
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from sightline.lab.errata import Erratum, judged
from sightline.lab.experiment import Experiment, Formula, Result
from sightline.metrics.counts import Counts, one_vs_rest, rate
from sightline.metrics.ranking import top_k_accuracy
from sightline.metrics.segmentation import dice, intersection_over_union, pixel_confusion


@dataclass(frozen=True)
class Parameters:
    pass


def counts(tp: float, fp: float, fn: float, tn: float) -> Counts:
    return Counts(*(np.array([float(v)]) for v in (tp, fp, fn, tn)))


def of_two(name: str, tp: float, fp: float, fn: float, tn: float, beta: float = 1.0) -> float:
    return float(rate(name, counts(tp, fp, fn, tn), beta=beta)[0])


def all_background() -> Counts:
    """100 pixels, 5 of them foreground, all called background."""
    truth = (np.arange(100) < 5).astype(np.int64).reshape(10, 10)
    return one_vs_rest(pixel_confusion(truth, np.zeros_like(truth), 2).astype(float))


def wrong_top_1() -> float:
    """The share of four samples whose best guess is wrong; three are right."""
    target, probability = np.array([0, 1, 2, 0]), np.eye(3)[[0, 1, 2, 1]]
    return 1 - top_k_accuracy(target, probability, 1)


ROWS = (
    Erratum("mean Dice where 5 % of foreground is missed", 0.475, 0.4871795,
        lambda: float(dice(all_background()).mean()),
            "0.475 is the mean IoU", 1e-6),
    Erratum("2 |A ∩ B| / |A ∪ B| where A = B", 2, 1, lambda: of_two("f_beta", 10, 0, 0, 90),
        "Dice divides by |A| + |B|"),
    Erratum("F₁ of precision 0.8 and recall 2/3", 16 / 11, 8 / 11, lambda: of_two("f_beta", 8, 2, 4, 0),
        "(1 + β)² for 1 + β²", 1e-9),
    Erratum("F₂ of the same", 1.2413793, 0.6896552, lambda: of_two("f_beta", 8, 2, 4, 0, beta=2.0),
        "(1 + β)² for 1 + β²", 1e-6),
    Erratum("true positive rate of TP 1, FP 1, FN 8, TN 90", 0.5, 1 / 9, lambda: of_two("recall", 1, 1, 8, 90),
        "TP/(TP + FP) is precision"),
    Erratum("Matthews' correlation of TP 0, FP 0, TN 4, FN 1", -1, math.nan, lambda: of_two("mcc", 0, 0, 1, 4),
        "0/0: nothing was called positive"),
    Erratum("top-1 error where three of four are right", 0.75, 0.25, wrong_top_1,
        "“accuracy” was printed for errors (VGG 7.3 %, GoogLeNet 6.7 %, SENet 2.3 %)"),
)  # fmt: skip


def run(parameters: Parameters, seed: int) -> Result:
    return judged(ROWS, "Formulas and worked examples of course notes on evaluation.")


EXPERIMENT = Experiment(
    run=run,
    parameters=Parameters(),
    notice=(
        "A share above 1 is the quickest check of a formula: the printed Dice and F both reach it.",
        "Undefined is a result. Counting it as 0, or as −1, changes every mean that it enters.",
    ),
    formulas=(
        Formula("Dice = 2|A ∩ B| / (|A| + |B|) = 2 IoU / (1 + IoU)", "Dice 1945, Ecology 26"),
        Formula("F_β = (1 + β²) P R / (β² P + R)", "van Rijsbergen 1979, chapter 7"),
    ),
    code=(rate, dice, intersection_over_union),
    random=False,
)
