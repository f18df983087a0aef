"""Counts of a classifier, and the rates derived from them: confusion matrix, true and false positives and negatives.

A rate whose denominator is zero is undefined: NaN here and None in a dictionary, never silently 0; also where the
numerator is not zero, because JSON has no infinity (the likelihood ratios and the odds ratio of a class without false
positives). `zero_division` substitutes a number, as scikit-learn does.

F-beta is van Rijsbergen's (1979), (1 + b²)·P·R / (b²·P + R). It is computed from the counts, (1 + b²)·TP / ((1 + b²)·TP
+ b²·FN + FP): the same number where precision and recall are both defined, and 0 where a class exists and is never
predicted. Some teaching material prints (1 + b)² for (1 + b²), which makes F1 twice as large, and for the true positive
rate, TP / (TP + FN), prints precision, TP / (TP + FP): see docs/errata.md. MCC is Matthews' (1975); for more classes it
is Gorodkin's R_K (2004). Balanced accuracy is the mean recall of the classes that occur.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float, Real

from sightline.errors import UsageError
from sightline.registry import suggestion

from .arrays import Classes, class_array

Average = Literal["macro", "weighted", "micro"]


class Counts(NamedTuple):
    """Counts (or sums of weights) of each class against the rest: (..., k) each, float64."""

    tp: Float[np.ndarray, "... k"]
    fp: Float[np.ndarray, "... k"]
    fn: Float[np.ndarray, "... k"]
    tn: Float[np.ndarray, "... k"]


class WeightedMetrics(NamedTuple):
    """Metrics by name under r sets of weights, (r,) each, NaN where undefined; and the counts (r, k) that they come from."""

    metrics: dict[str, Float[np.ndarray, "r"]]
    counts: Counts


def confusion_matrix(
    target: Classes,
    predicted: Classes,
    classes: int,
    weight: Real[np.ndarray, "n"] | None = None,
) -> Float[np.ndarray, "k k"]:
    """Rows are true classes, columns predicted ones. Samples of unknown class (target -1) are left out."""
    target, predicted = class_array(target), class_array(predicted)
    known = target >= 0
    cell = target[known].astype(np.int64) * classes + predicted[known]
    if len(cell) and (predicted[known].min() < 0 or predicted[known].max() >= classes or target.max() >= classes):
        raise ValueError(f"a class outside 0..{classes - 1}")
    weights = None if weight is None else weight[known].astype(np.float64)
    if classes * classes > len(cell):  # most cells are empty: they are never touched, and take no memory
        sparse = np.zeros(classes * classes)
        np.add.at(sparse, cell, 1.0 if weights is None else weights)
        return sparse.reshape(classes, classes)
    counts = np.bincount(cell, weights, minlength=classes * classes)  # (k * k,)
    return counts.astype(np.float64).reshape(classes, classes)  # (k, k)


def one_vs_rest(confusion: Real[np.ndarray, "... k k"]) -> Counts:
    """The four counts of each class, from confusion matrices."""
    tp = np.diagonal(confusion, axis1=-2, axis2=-1)  # (..., k)
    return counts_from_sums(tp, support=confusion.sum(-1), predicted=confusion.sum(-2))


def counts_from_sums(
    tp: Real[np.ndarray, "... k"], *, support: Real[np.ndarray, "... k"], predicted: Real[np.ndarray, "... k"]
) -> Counts:
    """The four counts of each class from its true positives, its support and how often it is predicted.

    Each sample has one true and one predicted class, so no rate needs the confusion matrix.
    """
    tp, support, predicted = (np.asarray(x, dtype=np.float64) for x in (tp, support, predicted))
    fp, fn = predicted - tp, support - tp
    return Counts(tp, fp, fn, support.sum(-1, keepdims=True) - tp - fp - fn)


def _mcc(c: Counts) -> tuple[np.ndarray, np.ndarray]:
    margins = (c.tp + c.fp) * (c.tp + c.fn) * (c.tn + c.fp) * (c.tn + c.fn)
    return c.tp * c.tn - c.fp * c.fn, np.sqrt(margins)


# Each rate as numerator and denominator.
_RATES: dict[str, Callable[[Counts], tuple[np.ndarray, np.ndarray]]] = {
    "precision": lambda c: (c.tp, c.tp + c.fp),  # positive predictive value, PPV
    "npv": lambda c: (c.tn, c.tn + c.fn),  # negative predictive value
    "fdr": lambda c: (c.fp, c.tp + c.fp),  # false discovery rate
    "for": lambda c: (c.fn, c.tn + c.fn),  # false omission rate
    "recall": lambda c: (c.tp, c.tp + c.fn),  # sensitivity, true positive rate, TPR
    "fpr": lambda c: (c.fp, c.fp + c.tn),
    "specificity": lambda c: (c.tn, c.fp + c.tn),  # true negative rate, TNR
    "fnr": lambda c: (c.fn, c.tp + c.fn),
    "lr_plus": lambda c: (c.tp * (c.fp + c.tn), c.fp * (c.tp + c.fn)),  # TPR / FPR
    "lr_minus": lambda c: (c.fn * (c.fp + c.tn), c.tn * (c.tp + c.fn)),  # FNR / TNR
    "dor": lambda c: (c.tp * c.tn, c.fp * c.fn),  # diagnostic odds ratio, LR+ / LR-
    "prevalence": lambda c: (c.tp + c.fn, c.tp + c.fp + c.fn + c.tn),
    "accuracy": lambda c: (c.tp + c.tn, c.tp + c.fp + c.fn + c.tn),
    "balanced_accuracy": lambda c: (
        c.tp * (c.tn + c.fp) + c.tn * (c.tp + c.fn),  # (TPR + TNR) / 2
        2 * (c.tp + c.fn) * (c.tn + c.fp),
    ),
    "mcc": _mcc,
}
RATES = (*_RATES, "f_beta")
_SYNONYMS = {
    **dict.fromkeys(("tpr", "sensitivity", "hit_rate"), "recall"),
    **dict.fromkeys(("tnr", "selectivity"), "specificity"),
    **dict.fromkeys(("f1", "f1_score", "f_score", "f_measure", "dice"), "f_beta"),
    **dict.fromkeys(("ppv", "positive_predictive_value"), "precision"),
    **dict.fromkeys(("fall_out", "false_alarm_rate"), "fpr"),
    "miss_rate": "fnr",
    "matthews": "mcc",
}
_RULES = ("macro", "weighted", "micro")


def rate(name: str, counts: Counts, *, beta: float = 1.0, zero_division: float = np.nan) -> Float[np.ndarray, "... k"]:
    """A rate (one of RATES) of each class against the rest; `zero_division` where its denominator is zero.

    UsageError for an unknown name, with the name used here: "tpr" → recall, "f1" → f_beta.
    """
    if name == "f_beta":
        top = (1 + beta**2) * counts.tp
        return _ratio(top, top + beta**2 * counts.fn + counts.fp, zero_division)
    if name not in _RATES:
        raise UsageError(f"unknown rate {name!r}", suggestion(str(name), dict.fromkeys(RATES), _SYNONYMS))
    formula = _RATES[name]
    return _ratio(*formula(counts), zero_division)


def averaged(
    name: str, counts: Counts, rule: Average, *, beta: float = 1.0, zero_division: float = np.nan
) -> Float[np.ndarray, "..."]:
    """A rate averaged over the classes.

    macro     mean over the classes where the rate is defined
    weighted  the same, each class weighted by its support
    micro     the rate of the counts summed over the classes

    A class that neither occurs nor is predicted has no precision, recall or F, so it is left out; with `zero_division` it
    takes part with that value. NaN where no class has a value.
    """
    if rule not in _RULES:
        raise UsageError(f"unknown averaging rule {rule!r}", f"use one of {', '.join(_RULES)}")
    if rule == "micro":
        pooled = Counts(*(x.sum(-1, keepdims=True) for x in counts))
        return rate(name, pooled, beta=beta, zero_division=zero_division)[..., 0]
    values = rate(name, counts, beta=beta, zero_division=zero_division)
    return mean_defined(values, counts.tp + counts.fn if rule == "weighted" else None)


def accuracy(counts: Counts, *, zero_division: float = np.nan) -> Float[np.ndarray, "..."]:
    """The share of correct samples."""
    return _ratio(counts.tp.sum(-1), (counts.tp + counts.fn).sum(-1), zero_division)


def balanced_accuracy(counts: Counts) -> Float[np.ndarray, "..."]:
    """Mean recall of the classes that occur."""
    return averaged("recall", counts, "macro")


def matthews(counts: Counts, *, zero_division: float = np.nan) -> Float[np.ndarray, "..."]:
    """Matthews' correlation R_K of true and predicted class; for two classes the usual MCC.

    Undefined when only one class is true, or only one is predicted.
    """
    true, predicted = counts.tp + counts.fn, counts.tp + counts.fp  # (..., k)
    total, correct = true.sum(-1), counts.tp.sum(-1)
    spread = (total**2 - (true**2).sum(-1)) * (total**2 - (predicted**2).sum(-1))
    return _ratio(correct * total - (true * predicted).sum(-1), np.sqrt(spread), zero_division)


def mean_defined(
    values: Float[np.ndarray, "... k"], weight: Float[np.ndarray, "... k"] | None = None
) -> Float[np.ndarray, "..."]:
    """Mean over the last axis of the values that are not NaN; NaN where there are none, or their weight is 0."""
    weight = np.ones_like(values) if weight is None else weight
    defined = ~np.isnan(values)
    return _ratio(np.where(defined, values * weight, 0.0).sum(-1), np.where(defined, weight, 0.0).sum(-1))


def or_none(value: float) -> float | None:
    """NaN, which marks undefined values in arrays, as None, which marks them in dictionaries and JSON."""
    return None if np.isnan(value) else float(value)


def _ratio(top: np.ndarray | np.floating, bottom: np.ndarray | np.floating, undefined: float = np.nan) -> np.ndarray:
    defined = bottom != 0
    return np.where(defined, top / np.where(defined, bottom, 1.0), undefined)
