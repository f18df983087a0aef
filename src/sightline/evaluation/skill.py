"""Has a classifier learned anything at all? A permutation test of its agreement with the labels and of its ranking.

Accuracy cannot answer that for imbalanced classes: a model that is no better than always predicting the most common class may
still tell the classes apart. Under "nothing learned", labels are exchangeable between images: they are permuted, the answers
stay, and both the number of right answers (which orders permutations as Cohen's kappa does) and the mean one-against-rest AUC
are computed again (Good 2005, "Permutation, Parametric and Bootstrap Tests of Hypotheses", ch. 3). It needs no minimal size and
no interval; the permutations are keyed, so the result is a function of the rows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

PERMUTATIONS = 2000
MOST = 4000  # images; of more, so many evenly spaced ones are enough for any skill that matters
_SEED = 0x5C111


@dataclass(frozen=True)
class Skill:
    """mcc     0 by chance, None if undefined; auc 0.5 by chance
    p        the share of permutations that do as well, of the better of the two measures, doubled because there are two"""

    mcc: float | None
    auc: float | None
    p: float


def skill_of(
    target: Int[np.ndarray, "n"], probability: Float[np.ndarray, "n k"], *, mcc: float | None, auc: float | None
) -> Skill | None:
    """The test on rows of known class; None where fewer than two classes occur."""
    step = max(1, -(-len(target) // MOST))
    target, probability = target[::step], probability[::step].astype(np.float64)
    present = np.unique(target)
    if len(present) < 2:
        return None
    n = len(target)
    support = np.bincount(target, minlength=probability.shape[1])
    # mean AUC = sum over images of rank(image, its class) · weight(its class), but for a constant
    weight = np.where(support > 0, 1.0 / np.maximum(support * (n - support), 1), 0.0)
    ranked = _ranks(probability) * weight  # (n, k)
    right = np.eye(probability.shape[1])[probability.argmax(1)]  # (n, k)
    draw, rows = np.random.default_rng(_SEED), np.arange(n)
    own = (right[rows, target].sum(), ranked[rows, target].sum())
    as_good = np.zeros(2)
    for _ in range(PERMUTATIONS):
        other = draw.permutation(target)
        as_good += (right[rows, other].sum() >= own[0], ranked[rows, other].sum() >= own[1] - 1e-12)
    return Skill(mcc, auc, float(min(1.0, 2 * (as_good.min() + 1) / (PERMUTATIONS + 1))))


def confidence_separates(confidence: Float[np.ndarray, "n"], right: np.ndarray) -> tuple[float, float] | None:
    """The AUC of confidence for right against wrong answers, and its standard error if it were 0.5 (Mann & Whitney 1947);
    None where all are right, or wrong."""
    good, bad = int(right.sum()), int((~right).sum())
    if not good or not bad:
        return None
    ranks = _ranks(confidence)[right].sum()
    return float((ranks - good * (good + 1) / 2) / (good * bad)), float(np.sqrt((good + bad + 1) / (12 * good * bad)))


def _ranks(values: np.ndarray) -> np.ndarray:
    """Ranks from 1 along the first axis; equal values share their mean rank."""
    from scipy.stats import rankdata  # takes half a second to import, and only finished judgements need it

    ranks: np.ndarray = rankdata(values, axis=0)
    return ranks


def label_scatter(target: Int[np.ndarray, "n"], probability: Float[np.ndarray, "n k"]) -> tuple[float, int] | None:
    """Where the label stands among the classes that were not predicted, from 0 (the second choice) to 1 (the last), on
    average over the confident mistakes, and their number; None for fewer than four classes or without such mistakes.

    Confident: the predicted class has at least the median probability of all answers. An honest mistake takes one class for a
    similar one, so the label comes soon after: 0.1 to 0.3. A label that was drawn at random stands anywhere: 0.5 on average.
    """
    k = probability.shape[1]
    if k < 4 or not len(target):
        return None
    confidence, wrong = probability.max(1), probability.argmax(1) != target
    which = wrong & (confidence >= np.median(confidence))
    if not which.any():
        return None
    rank = (probability[which] > probability[which, target[which]][:, None]).sum(1)  # of the label, from 1
    return float(((rank - 1) / (k - 2)).mean()), int(which.sum())
