"""The metrics of a segmentation: pure functions of sums over images, for validation, test and slices alike.

    loss                    mean cross-entropy of the known pixels, in nats
    pixel_accuracy          share of correct pixels
    mean_class_accuracy     mean recall of the classes that occur
    mean_iou                mean over classes of TP / (TP + FP + FN), the intersection over the union
    mean_dice               mean over classes of 2 TP / (2 TP + FP + FN): 2·I / (|A| + |B|) = 2·IoU / (1 + IoU)
    frequency_weighted_iou  IoU weighted by the number of pixels of each class
    boundary_f              harmonic mean of the shares of predicted and of true boundary that match each other

Counts of all images are summed before the division, as PASCAL VOC and Cityscapes do. Absent classes follow one rule: a
class that is neither true nor predicted anywhere has no IoU and no Dice and is left out of the means; one that is only
predicted has 0. Undefined is NaN in arrays, None in dictionaries. `measure_weighted` counts each image as often as its
weight says, so a value and its bootstrap interval share one definition.

The boundary measure is that of Csurka, Larlus & Perronnin 2013, "What is a good evaluation measure for semantic
segmentation?", but summed over classes and images before the division (they average over both): images with much
boundary weigh more, and an image without any needs no special case.
"""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Bool, Float, Int

from sightline.structures.rows.segments import SegmentRows
from sightline.structures.targets import IGNORE

from .counts import (
    Counts,
    WeightedMetrics,
    accuracy,
    averaged,
    counts_from_sums,
    mean_defined,
    one_vs_rest,
    or_none,
    rate,
)

TOLERANCE = 0.0075  # of the image's diagonal: Csurka et al.
_NEAR = 100  # offsets tried one by one, about a disc of radius 5, before a tree is built


def segmentation_metrics(rows: SegmentRows) -> dict[str, float | None]:
    """The metrics by name, None where undefined."""
    weighted = measure_weighted(rows, np.ones((1, len(rows))))
    return {name: or_none(value[0]) for name, value in weighted.metrics.items()}


def measure_weighted(rows: SegmentRows, weights: Float[np.ndarray, "r n"]) -> WeightedMetrics:
    """Metrics under r sets of weights: weight 2 counts an image twice, 0 leaves it out."""
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
    return WeightedMetrics(metrics, counts)


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
    """Rows are true classes, columns predicted ones, int64. Pixels marked IGNORE (255) are left out. ValueError for any other
    class outside 0..classes - 1."""
    known = truth != IGNORE
    true, guess = truth[known].astype(np.int64), predicted[known].astype(np.int64)
    for name, values in (("true", true), ("predicted", guess)):
        if len(values) and (values.min() < 0 or values.max() >= classes):
            raise ValueError(f"a {name} class is outside 0..{classes - 1}")
    return np.bincount(true * classes + guess, minlength=classes**2).reshape(classes, classes)  # (k·k,) → (k, k)


def boundary_counts(truth: Int[np.ndarray, "h w"], predicted: Int[np.ndarray, "h w"]) -> Int[np.ndarray, "4"]:
    """Numbers of true boundary pixels, of those matched, of predicted boundary pixels, and of those matched.

    A boundary pixel is known and has a known 4-neighbour of another class. It is matched by a boundary pixel of its class in
    the other map within 0.75 % of the image's diagonal, but at least within one pixel, between centres.
    """
    known = truth != IGNORE
    tolerance = max(1.0, TOLERANCE * math.hypot(*truth.shape))
    true, guess = (np.where(boundary(index, known), index, -1) for index in (truth, predicted))
    return np.array(
        [
            (true >= 0).sum(),
            _count_matched(true, guess, tolerance),
            (guess >= 0).sum(),
            _count_matched(guess, true, tolerance),
        ]
    )


def boundary(index: Int[np.ndarray, "h w"], known: Bool[np.ndarray, "h w"]) -> Bool[np.ndarray, "h w"]:
    """The known pixels with a known 4-neighbour of another class."""
    edge = np.zeros(index.shape, dtype=bool)
    for one, other in ((np.s_[:-1], np.s_[1:]), (np.s_[:, :-1], np.s_[:, 1:])):
        differs = (index[one] != index[other]) & known[one] & known[other]
        edge[one] |= differs
        edge[other] |= differs
    return edge


def boundary_f(counts: Float[np.ndarray, "... 4"]) -> Float[np.ndarray, "..."]:
    """2 P R / (P + R) of summed boundary counts; 0 where only one map has a boundary, NaN where neither has."""
    true, true_matched, predicted, predicted_matched = np.moveaxis(counts, -1, 0)
    recall = true_matched / np.where(true > 0, true, 1)
    precision = predicted_matched / np.where(predicted > 0, predicted, 1)
    total = precision + recall
    return np.where(true + predicted > 0, 2 * precision * recall / np.where(total > 0, total, 1), np.nan)


def _count_matched(edge: Int[np.ndarray, "h w"], others: Int[np.ndarray, "h w"], tolerance: float) -> int:
    """The number of boundary pixels (others are -1) with one of their class in the other map within the tolerance.

    Most have one next to them, so the nearest offsets are tried one by one. In a large image, whose tolerance covers
    thousands of offsets, the rest query a k-d tree.
    """
    (y, x), (v, u) = np.nonzero(edge >= 0), np.nonzero(others >= 0)
    if not len(y) or not len(v):
        return 0
    steps = _steps(tolerance)
    margin = int(steps.max())
    around = np.pad(others, margin, constant_values=-1)
    width, around = around.shape[1], around.reshape(-1)
    label, place, unmatched = edge[y, x], (y + margin) * width + x + margin, np.arange(len(y))
    for step in steps[:_NEAR] @ np.array([width, 1]):
        unmatched = unmatched[around[place[unmatched] + step] != label[unmatched]]
    if len(steps) <= _NEAR or not len(unmatched):
        return len(y) - len(unmatched)
    from scipy.spatial import KDTree  # costs 0.1 s, which small images need not pay

    apart = 2 * math.ceil(tolerance) + 2  # a third coordinate keeps classes out of each other's reach
    tree = KDTree(np.stack([v, u, others[v, u] * apart], 1).astype(np.float64))
    queries = np.stack([y, x, label * apart], 1)[unmatched].astype(np.float64)
    distance, _ = tree.query(queries, distance_upper_bound=np.nextafter(tolerance, np.inf))  # the bound is excluded
    return len(y) - int(np.isinf(distance).sum())


def _steps(tolerance: float) -> Int[np.ndarray, "m 2"]:
    """All offsets (down, right) within the tolerance, shortest first."""
    margin = math.floor(tolerance)
    down, right = np.mgrid[-margin : margin + 1, -margin : margin + 1]
    steps = np.stack([down.ravel(), right.ravel()], 1)
    length = (steps**2).sum(1)
    return steps[np.argsort(length, kind="stable")][: (length <= tolerance**2).sum()]
