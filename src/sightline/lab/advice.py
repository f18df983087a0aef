"""Which metric fits a two-class problem: by what its two kinds of mistakes cost, and how rare the positives are.

The threshold of least expected cost is t* = c / (c + m) on the probability of the positive class, for a false alarm that
costs c and a miss that costs m (Elkan 2001, "The Foundations of Cost-Sensitive Learning").
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float

RARE = 0.2  # below this share of positives accuracy says little
UNEQUAL = 3.0  # from this ratio of costs on one kind of mistake decides

Metric = Literal["accuracy", "f1", "recall", "precision"]


@dataclass(frozen=True)
class Advice:
    """`metric` to choose by, `beta` of the F that weighs recall β times as much as precision, `threshold` of least expected
    cost for calibrated probabilities, and `why`, a sentence."""

    metric: Metric
    beta: float
    threshold: float
    why: str


def advise(miss: float, false_alarm: float, positives: float) -> Advice:
    """The advice for costs of a miss and of a false alarm (any unit, above 0) and the share of positives in (0, 1)."""
    threshold = false_alarm / (false_alarm + miss)
    ratio = miss / false_alarm
    beta = float(np.sqrt(ratio))
    if ratio >= UNEQUAL:
        why = f"a miss costs {ratio:g} times a false alarm: find them all, at a precision that can be paid"
        return Advice("recall", beta, threshold, why)
    if ratio <= 1 / UNEQUAL:
        why = f"a false alarm costs {1 / ratio:g} times a miss: be sure before you say so"
        return Advice("precision", beta, threshold, why)
    if positives < RARE or positives > 1 - RARE:
        why = "both mistakes cost about the same, but one class is rare: accuracy would reward silence"
        return Advice("f1", beta, threshold, why)
    return Advice("accuracy", beta, threshold, "both mistakes cost about the same and both classes are common")


def expected_cost(
    positive: Bool[np.ndarray, "n"], said: Bool[np.ndarray, "n"], *, miss: float, false_alarm: float
) -> float:
    """Mean cost of a sample."""
    return float((miss * (positive & ~said) + false_alarm * (~positive & said)).mean())


def best_threshold(
    positive: Bool[np.ndarray, "n"], probability: Float[np.ndarray, "n"], *, miss: float, false_alarm: float
) -> float:
    """The threshold among a hundred with the least cost on these samples."""
    thresholds = np.arange(1, 100) / 100
    costs = [expected_cost(positive, probability >= t, miss=miss, false_alarm=false_alarm) for t in thresholds]
    return float(thresholds[int(np.argmin(costs))])


@dataclass(frozen=True)
class Case:
    """A problem, what a positive is, the costs of both mistakes in units of the cheaper one, the share of positives, the metric
    that the problem is known for, and what each mistake means."""

    name: str
    positive: str
    miss: float
    false_alarm: float
    share: float
    metric: str
    missed: str
    alarmed: str


# The costs are examples: whoever runs the system has to name them.
CASES = (
    Case("cancer screening", "a tumour", 50, 1, 0.01, "recall", "a tumour grows unseen", "one more examination"),
    Case("airport scanner", "a weapon", 100, 1, 0.001, "recall", "a weapon on board", "a bag is opened"),
    Case("card fraud", "a fraud", 20, 1, 0.005, "recall", "the bank pays", "a customer is called"),
    Case("pregnancy test", "pregnant", 5, 1, 0.3, "recall", "drugs that harm the child", "a second test says no"),
    Case("spam filter", "spam", 1, 20, 0.5, "precision", "a message to delete", "an important letter is lost"),
    Case("satellite launch", "good weather", 1, 100, 0.3, "precision", "a day's delay", "the rocket is lost"),
    Case("cats and dogs", "a cat", 1, 1, 0.5, "accuracy", "a wrong caption", "a wrong caption"),
    Case("rare flower", "the flower", 1, 1, 0.02, "f1", "one not counted", "one too many"),
)  # fmt: skip
