"""Four counts, and every rate made of them.

What do accuracy, precision, recall, F1 and Matthews' correlation say about the same answers, and how do curves follow
from a threshold?
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from pydantic import Field

from sightline.drawing.curves import Frame, Line, line_chart
from sightline.lab.experiment import Claim, Experiment, Formula, Picture, Result, Table, Variation
from sightline.metrics.counts import Counts, confusion_matrix, one_vs_rest, rate
from sightline.metrics.ranking import auc, average_precision, precision_recall_curve, roc_curve

# tp, fp, fn, tn
ROWS = {
    "tumour": (1, 1, 8, 90),
    "never positive": (0, 0, 1, 4),
    "always positive": (4, 1, 0, 0),
    "balanced": (45, 5, 5, 45),
}
NAMES = ("accuracy", "precision", "recall", "specificity", "f_beta", "mcc")


@dataclass(frozen=True)
class Parameters:
    samples: Annotated[int, Field(ge=20, le=5_000)] = 400
    separation: Annotated[float, Field(ge=0, le=5)] = 1.2


def by_hand(tp: int, fp: int, fn: int, tn: int) -> dict[str, float]:
    """The rates from their definitions; NaN where the denominator is 0."""

    def share(top: float, bottom: float) -> float:
        return top / bottom if bottom else math.nan

    precision, recall = share(tp, tp + fp), share(tp, tp + fn)
    return {
        "accuracy": (tp + tn) / (tp + fp + fn + tn), "precision": precision, "recall": recall,
        "specificity": share(tn, tn + fp), "f_beta": share(2 * tp, 2 * tp + fp + fn),
        "mcc": share(tp * tn - fp * fn, math.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn))),
    }  # fmt: skip


def swept(positive: np.ndarray, score: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """False positive rate, recall and precision of "positive where score >= t" for every t among the scores, falling."""
    rows = []
    for t in np.unique(score)[::-1]:
        said = score >= t
        tp, fp = (said & positive).sum(), (said & ~positive).sum()
        rows.append((fp / (~positive).sum(), tp / positive.sum(), tp / (tp + fp)))
    fpr, tpr, precision = np.array(rows).T
    return fpr, tpr, precision


def square(title: str, description: str, x: str, y: str, reference: bool = False) -> Frame:
    unit = (0.0, 1.0)
    return Frame(title, description, x, y, x_range=unit, y_range=unit, square=True, reference=reference)


def run(parameters: Parameters, seed: int) -> Result:
    draw = np.random.default_rng(seed)
    rows, agree = [], True
    for name, counts in ROWS.items():
        product = {n: float(rate(n, Counts(*(np.array([float(c)]) for c in counts)))[0]) for n in NAMES}
        own = by_hand(*counts)
        agree &= all(
            math.isclose(product[n], own[n], abs_tol=1e-12) or (math.isnan(product[n]) and math.isnan(own[n]))
            for n in NAMES
        )
        rows.append(
            (name, "/".join(map(str, counts)), *(None if math.isnan(product[n]) else product[n] for n in NAMES))
        )
    tumour = by_hand(*ROWS["tumour"])
    positive = draw.random(parameters.samples) < 0.3
    score = draw.normal(size=parameters.samples) + parameters.separation * positive
    said = score >= parameters.separation / 2
    matrix = confusion_matrix(positive.astype(int), said.astype(int), 2)
    counted = [
        int((said & positive).sum()),
        int((said & ~positive).sum()),
        int((~said & positive).sum()),
        int((~said & ~positive).sum()),
    ]
    matrix_right = [int(c[1]) for c in one_vs_rest(matrix)] == counted
    fpr, tpr, precision = swept(positive, score)
    roc, pr = roc_curve(positive, score), precision_recall_curve(positive, score)
    assert roc is not None and pr is not None
    roc_gap = float(np.abs(roc.fpr[1:] - fpr).max() + np.abs(roc.tpr[1:] - tpr).max())
    pr_gap = float(np.abs(pr.precision - precision).max() + np.abs(pr.recall - tpr).max())
    pairs = (score[positive][:, None] > score[~positive]).mean() + 0.5 * (
        score[positive][:, None] == score[~positive]
    ).mean()
    area = float(np.trapezoid(np.r_[0, tpr], np.r_[0, fpr]))
    steps = float((np.diff(np.r_[0, tpr]) * precision).sum())
    product_auc, ap = float(auc(positive, score)), float(average_precision(positive, score, interpolation="at_tp"))
    shuffled = float(auc(draw.permutation(positive), score))
    roc_frame = square("ROC", "Recall over false positive rate", "false positive rate", "recall", reference=True)
    pr_frame = square("Precision over recall", "One point a threshold", "recall", "precision")
    charts = [
        line_chart([Line("", [0.0, *fpr], [0.0, *tpr])], roc_frame),
        line_chart([Line("", list(tpr), list(precision), "two")], pr_frame),
    ]
    return Result(
        claims=[
            Claim("All rates by hand are the product's, undefined ones included.", agree,
                  f"{len(ROWS)} matrices, {len(NAMES)} rates"),
            Claim("91 % accuracy hide that 8 of 9 tumours are missed.",
                  math.isclose(tumour["accuracy"], 0.91) and math.isclose(tumour["recall"], 1 / 9),
                  f"accuracy {tumour['accuracy']:.2f}, recall {tumour['recall']:.2f}, F1 {tumour['f_beta']:.2f}, MCC "
                  f"{tumour['mcc']:.2f}"),
            Claim("The confusion matrix counts what the definitions count.", matrix_right, "/".join(map(str, counted))),
            Claim("Sweeping a threshold by hand gives the product's ROC and precision-recall curves.",
                  roc_gap < 1e-12 and pr_gap < 1e-12, f"largest differences {roc_gap:.0e}, {pr_gap:.0e}"),
            Claim("The area under the ROC curve is the probability that a positive outranks a negative.",
                  abs(pairs - area) < 1e-9 and abs(product_auc - area) < 1e-9,
                  f"{pairs:.4f}, {area:.4f}, {product_auc:.4f}"),
            Claim("Average precision is the sum of precision over steps of recall.", abs(steps - ap) < 1e-9,
                  f"{steps:.4f}, {ap:.4f}"),
            Claim("Shuffled labels give an AUC near one half (within 0.1).", abs(shuffled - 0.5) < 0.1,
                  f"{shuffled:.3f}"),
        ],
        numbers={"AUC": area, "average precision": steps},
        pictures=[Picture(charts[0], f"AUC {area:.3f}; the diagonal is chance."),
                  Picture(charts[1],
                          f"Average precision {steps:.3f}; chance is the share of positives, {positive.mean():.2f}.")],
        tables=[Table(("case", "TP/FP/FN/TN", "accuracy", "precision", "recall", "specificity", "F1", "MCC"), rows)],
    )  # fmt: skip


EXPERIMENT = Experiment(
    run=run,
    parameters=Parameters(),
    notice=(
        "Who never predicts positive has no precision and no MCC: 0/0 is undefined, not 0 and not −1.",
        "The true positive rate is recall, TP/(TP + FN); TP/(TP + FP) is precision.",
    ),
    formulas=(Formula("F_β = (1 + β²) · P · R / (β² · P + R)", "van Rijsbergen 1979, Information Retrieval"),
              Formula("MCC = (TP·TN − FP·FN) / √((TP+FP)(TP+FN)(TN+FP)(TN+FN))", "Matthews 1975"),
              Formula("AUC = P(score of a positive > score of a negative)", "Hanley and McNeil 1982")),
    code=(by_hand, swept, rate),
    variations=(Variation("separation=0", "No information: the curve follows the diagonal."),
                Variation("samples=40", "Few samples: steps instead of a curve.")),
)  # fmt: skip
