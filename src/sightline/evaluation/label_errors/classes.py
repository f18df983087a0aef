"""Confident learning (Northcutt, Jiang & Chuang 2021, "Confident learning: estimating uncertainty in dataset labels", JAIR
70, arXiv 1911.00068): which labels are probably wrong, from probabilities for images that the network was not trained on.

A class's threshold is the mean probability that its own images get for it. An image counts as confidently of class j if its
probability of j reaches the threshold of j (of several such classes the most probable). The confident joint C[i, j] counts the
images that are labelled i and confidently of j; the images off its diagonal are the candidates. They are ranked by the
probability of their label (self-confidence), the least probable first. The joint, scaled so that its rows are the counts of
the labels, estimates how many labels of each class are wrong.

Probabilities of training images say nothing: a network that has learned a wrong label by heart is sure of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from sightline.structures.predictions import ClassRows

from .finding import LabelFindings, Suspicion

_SLACK = 1e-6  # a probability this far below a threshold still reaches it
_LEAST = 2e-6  # lowest threshold, above the slack
_ABSENT = 2.0  # threshold of a class without labels: none reaches it


@dataclass(frozen=True)
class LabelQuality:
    """Of n images with known labels and k classes.

    confidence  (n,) probability of the label, the lower the more suspicious
    margin      (n,) normalised margin: (probability of the label - largest other + 1) / 2
    suggested   (n,) the most probable class
    candidate   (n,) whether the label is probably wrong
    joint       (k, k) estimated images by label (row) and true class (column); rows sum to the counts of the labels
    """

    confidence: Float[np.ndarray, "n"]
    margin: Float[np.ndarray, "n"]
    suggested: Int[np.ndarray, "n"]
    candidate: Bool[np.ndarray, "n"]
    joint: Float[np.ndarray, "k k"]

    def ranking(self) -> Int[np.ndarray, "n"]:
        """All images, the most suspicious label first: by ascending self-confidence."""
        return np.argsort(self.confidence, kind="stable")

    def candidates(self) -> Int[np.ndarray, "c"]:
        """The candidates in the order of the ranking."""
        order = self.ranking()
        return order[self.candidate[order]]

    @property
    def wrong(self) -> float:
        """The estimated number of wrong labels."""
        return float(self.joint.sum() - np.trace(self.joint))


def label_quality(target: Int[np.ndarray, "n"], probability: Float[np.ndarray, "n k"]) -> LabelQuality:
    """Judge labels (n,), all known, by probabilities for images outside of training."""
    n, k = probability.shape
    rows = np.arange(n)
    confidence = probability[rows, target]
    others = probability.copy()
    others[rows, target] = -np.inf
    suggested = probability.argmax(1)
    confident = _confident_class(target, probability)
    joint = confident_joint(target, probability)
    counts = np.bincount(target, minlength=k)
    return LabelQuality(
        confidence=confidence,
        margin=(confidence - others.max(1) + 1) / 2,
        suggested=suggested,
        candidate=(confident >= 0) & (confident != target) & (suggested != target),
        joint=joint / joint.sum(1, keepdims=True) * counts[:, None],
    )


def confident_joint(target: Int[np.ndarray, "n"], probability: Float[np.ndarray, "n k"]) -> Float[np.ndarray, "k k"]:
    """The images that are labelled i and confidently of j, at least one on the diagonal."""
    k, confident = probability.shape[1], _confident_class(target, probability)
    counts, counted = np.zeros((k, k)), confident >= 0
    np.add.at(counts, (target[counted], confident[counted]), 1.0)
    counts[np.arange(k), np.arange(k)] = counts.diagonal().clip(min=1)
    return counts


def thresholds(target: Int[np.ndarray, "n"], probability: Float[np.ndarray, "n k"]) -> Float[np.ndarray, "k"]:
    """The mean probability that the images of each class get for it."""
    k = probability.shape[1]
    means = [probability[target == c, c].mean() if (target == c).any() else _ABSENT for c in range(k)]
    return np.clip(means, _LEAST, None)


def _confident_class(target: Int[np.ndarray, "n"], probability: Float[np.ndarray, "n k"]) -> Int[np.ndarray, "n"]:
    """The class that each image is confidently of; -1 if there is none."""
    reached = probability >= thresholds(target, probability) - _SLACK  # (n, k)
    number = reached.sum(1)
    best = np.where(number > 1, probability.argmax(1), reached.argmax(1))
    return np.where(number > 0, best, -1)


def find_in_classes(rows: ClassRows, classes: Sequence[str]) -> LabelFindings:
    """Every label of a classifier's rows, ranked; rows without a label are left out. The rows must be out of sample."""
    known = rows.take(rows.target >= 0)
    if not len(known):
        return LabelFindings((), 0, 0, "label")
    quality = label_quality(known.target, known.probability)
    ranked = tuple(_suspicion(known, quality, i, classes) for i in quality.ranking().tolist())
    agreement = float((quality.suggested == known.target).mean())
    return LabelFindings(ranked, len(known), len(known), "label", quality.wrong, agreement)


def _suspicion(rows: ClassRows, quality: LabelQuality, i: int, classes: Sequence[str]) -> Suspicion:
    given, suggested = classes[int(rows.target[i])], classes[int(quality.suggested[i])]
    probability, other = float(quality.confidence[i]), float(rows.probability[i].max())
    return Suspicion(
        id=int(rows.id[i]),
        fault="label",
        given=given,
        suggested=suggested,
        quality=probability,
        probability=probability,
        other=other,
        candidate=bool(quality.candidate[i]),
        words=f"labelled {given} ({probability:.1%}), looks like {suggested} ({other:.1%})",
    )
