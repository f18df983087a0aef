"""The metrics of a segmentation, pure functions of sums over images, for validation, test and slices alike.

    loss                    mean cross-entropy of the known pixels, in nats
    pixel_accuracy          right pixels among all
    mean_class_accuracy     mean recall of the classes that occur
    mean_iou                mean over classes of TP / (TP + FP + FN), the intersection over the union
    mean_dice               mean over classes of 2 TP / (2 TP + FP + FN): 2·I / (|A| + |B|) = 2·IoU / (1 + IoU)
    frequency_weighted_iou  IoU weighted by how many pixels are of the class
    boundary_f              harmonic mean of the shares of predicted and of true boundary that lie on one another

The counts of all images are added up before anything is divided, as PASCAL VOC and Cityscapes do. One rule for absent
classes: a class that is neither true nor predicted anywhere has no IoU and no Dice and is left out of the means; one
that is only predicted has 0. Undefined is NaN in arrays, None in dictionaries. `measure_weighted` counts each image as
often as its weight says: a value and its bootstrap interval cannot be two definitions.

The boundary measure is that of Csurka, Larlus & Perronnin 2013, "What is a good evaluation measure for semantic
segmentation?", summed over classes and images before the division (theirs is averaged over both): so images with much
boundary weigh more, and an image without any is no special case.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from sightline.structures.segment_rows import SegmentRows
from sightline.structures.targets import IGNORE

from .counts import Counts, accuracy, averaged, counts_from_sums, mean_defined, one_vs_rest, or_none, rate

TOLERANCE = 0.0075  # of the image's diagonal: Csurka et al.
_NEAR = 100  # steps that are tried one by one: a circle of five pixels


class Resampled(NamedTuple):
    """Metrics by name (r,), NaN where undefined, and the counts (r, k) of each class's pixels against the rest."""

    metrics: dict[str, Float[np.ndarray, "r"]]
    counts: Counts


def segmentation_metrics(rows: SegmentRows) -> dict[str, float | None]:
    """The metrics by name, None where undefined."""
    measured = measure_weighted(rows, np.ones((1, len(rows))))
    return {name: or_none(value[0]) for name, value in measured.metrics.items()}


def measure_weighted(rows: SegmentRows, weights: Float[np.ndarray, "r n"]) -> Resampled:
    """Metrics of the images under r sets of weights: weight 2 is that image twice, 0 that it is not there."""
    each = one_vs_rest(rows.confusion)  # (n, k) each
    tp, support, predicted = (weights @ x for x in (each.tp, each.tp + each.fn, each.tp + each.fp))  # (r, k)
    counts = counts_from_sums(tp, support=support, predicted=predicted)
    pixels = weights @ rows.pixels.astype(np.float64)  # (r,)
    boundary = weights @ rows.boundary.astype(np.float64)  # (r, 4)
    iou = intersection_over_union(counts)
    metrics = {
        "loss": weights @ rows.loss_sum / np.where(pixels > 0, pixels, np.nan),
        "pixel_accuracy": accuracy(counts),
        "mean_class_accuracy": averaged("recall", counts, "macro"),
        "mean_iou": mean_defined(iou),
        "mean_dice": mean_defined(dice(counts)),
        "frequency_weighted_iou": mean_defined(iou, support),
        "boundary_f": boundary_f(boundary),
    }
    return Resampled(metrics, counts)


def intersection_over_union(counts: Counts) -> Float[np.ndarray, "... k"]:
    """|A ∩ B| / |A ∪ B| of each class; NaN where it is neither true nor predicted."""
    union = counts.tp + counts.fp + counts.fn
    return counts.tp / np.where(union > 0, union, np.nan)


def dice(counts: Counts) -> Float[np.ndarray, "... k"]:
    """2 |A ∩ B| / (|A| + |B|) of each class, which is its F1; NaN where it is neither true nor predicted."""
    return rate("f_beta", counts)


def pixel_confusion(
    truth: Int[np.ndarray, "h w"], predicted: Int[np.ndarray, "h w"], classes: int
) -> Int[np.ndarray, "k k"]:
    """Row: true class, column: predicted class, int64. IGNORE (255) in the truth is left out. ValueError for any other
    class outside 0..classes - 1."""
    known = truth != IGNORE
    true, guess = truth[known].astype(np.int64), predicted[known].astype(np.int64)
    for name, values in (("true", true), ("predicted", guess)):
        if len(values) and (values.min() < 0 or values.max() >= classes):
            raise ValueError(f"a {name} class outside 0..{classes - 1}")
    return np.bincount(true * classes + guess, minlength=classes**2).reshape(classes, classes)  # (k·k,) → (k, k)


def boundary_counts(truth: Int[np.ndarray, "h w"], predicted: Int[np.ndarray, "h w"]) -> Int[np.ndarray, "4"]:
    """How many pixels are true boundary, how many of them are met; how many are predicted boundary, how many are met.

    A boundary pixel is a known one with a known 4-neighbour of another class. It is met by a boundary pixel of its own
    class on the other side whose centre is at most 0.75 % of the image's diagonal away, and at least one pixel.
    """
    known = truth != IGNORE
    tolerance = max(1.0, TOLERANCE * math.hypot(*truth.shape))
    true, guess = (np.where(boundary(index, known), index, -1) for index in (truth, predicted))
    return np.array([(true >= 0).sum(), _met(true, guess, tolerance), (guess >= 0).sum(), _met(guess, true, tolerance)])


def boundary(index: Int[np.ndarray, "h w"], known: Bool[np.ndarray, "h w"]) -> Bool[np.ndarray, "h w"]:
    """The known pixels with a known neighbour above, below, left or right that is of another class."""
    edge = np.zeros(index.shape, dtype=bool)
    for one, other in ((np.s_[:-1], np.s_[1:]), (np.s_[:, :-1], np.s_[:, 1:])):
        differs = (index[one] != index[other]) & known[one] & known[other]
        edge[one] |= differs
        edge[other] |= differs
    return edge


def boundary_f(counts: Float[np.ndarray, "... 4"]) -> Float[np.ndarray, "..."]:
    """2 P R / (P + R) of summed boundary counts; 0 where only one side has a boundary, NaN where neither has."""
    true, true_met, predicted, predicted_met = np.moveaxis(counts, -1, 0)
    recall = true_met / np.where(true > 0, true, 1)
    precision = predicted_met / np.where(predicted > 0, predicted, 1)
    total = precision + recall
    return np.where(true + predicted > 0, 2 * precision * recall / np.where(total > 0, total, 1), np.nan)


def _met(edge: Int[np.ndarray, "h w"], others: Int[np.ndarray, "h w"], tolerance: float) -> int:
    """How many marked pixels (the others are -1) have one of their class in the other picture within the tolerance.

    Most have it next to them: the nearest steps are looked up one by one. What is then still lonely in a large picture,
    whose tolerance is thousands of steps, asks a tree.
    """
    (y, x), (v, u) = np.nonzero(edge >= 0), np.nonzero(others >= 0)
    if not len(y) or not len(v):
        return 0
    steps = _steps(tolerance)
    margin = int(steps.max())
    around = np.pad(others, margin, constant_values=-1)
    width, around = around.shape[1], around.reshape(-1)
    wanted, place, lonely = edge[y, x], (y + margin) * width + x + margin, np.arange(len(y))
    for step in steps[:_NEAR] @ np.array([width, 1]):
        lonely = lonely[around[place[lonely] + step] != wanted[lonely]]
    if len(steps) <= _NEAR or not len(lonely):
        return len(y) - len(lonely)
    from scipy.spatial import KDTree  # a tenth of a second that not every start needs

    apart = 2 * math.ceil(tolerance) + 2  # between classes, so that no neighbour is found in another
    tree = KDTree(np.stack([v, u, others[v, u] * apart], 1).astype(np.float64))
    asked = np.stack([y, x, wanted * apart], 1)[lonely].astype(np.float64)
    distance, _ = tree.query(asked, distance_upper_bound=np.nextafter(tolerance, np.inf))  # the bound is excluded
    return len(y) - int(np.isinf(distance).sum())


def _steps(tolerance: float) -> Int[np.ndarray, "m 2"]:
    """All steps (down, right) of at most that length, shortest first."""
    margin = math.floor(tolerance)
    down, right = np.mgrid[-margin : margin + 1, -margin : margin + 1]
    steps = np.stack([down.ravel(), right.ravel()], 1)
    length = (steps**2).sum(1)
    return steps[np.argsort(length, kind="stable")][: (length <= tolerance**2).sum()]
