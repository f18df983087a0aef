"""The two fits of R-CNN: a linear support vector machine for each class with hard negatives, and ridge regression of boxes.

Girshick et al. 2014, arXiv:1311.2524, section 2.3 and appendix C. Positives of a class are its true boxes, negatives all
regions whose IoU with each of them is below 0.3; the rest says nothing. The regression learns from regions that overlap an
object by more than 0.6. Constants are those of the authors' code: features are scaled to a mean length of 20, C = 0.001,
positives weigh twice as much, λ = 1000.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from sightline.layers.boxes.anchors import encode
from sightline.structures.boxes import coverage, iou
from sightline.structures.targets import Boxes

LENGTH, COST, POSITIVE_WEIGHT, BIAS_SCALE = 20.0, 1e-3, 2.0, 10.0
NEGATIVE, CLOSE, RIDGE = 0.3, 0.6, 1000.0
HARD, EASY = -1.0, -1.2  # margins: negatives above HARD are added to the machine's, those below EASY leave them
FIRST, ROUNDS = 2000, 5  # negatives to begin with; rounds of mining at most
CLOSE_OF_IMAGE, CLOSE_OF_CLASS = 32, 3000  # regions that the regression learns from, at most
NEVER = -10.0  # the margin of a class that the training images do not show


@dataclass(frozen=True)
class ImageRegions:
    """The regions of one training image, its true boxes last among them.

    pooled    (r, f) features; overlap (r, t) with the true boxes, whose classes are `label` (t,)
    true      (r,) whether a region is a true box; aside (r,) whether it lies in a region to ignore
    maps      (p, g) features of regions close to an object of class `near` (p,), with the deltas to it, `shift` (p, 4)
    """

    pooled: Float[np.ndarray, "r f"]
    overlap: Float[np.ndarray, "r t"]
    label: Int[np.ndarray, "t"]
    true: Bool[np.ndarray, "r"]
    aside: Bool[np.ndarray, "r"]
    maps: Float[np.ndarray, "p g"]
    near: Int[np.ndarray, "p"]
    shift: Float[np.ndarray, "p 4"]

    @classmethod
    def of(cls, boxes: Tensor, pooled: Tensor, maps: Tensor, target: Boxes, row: int) -> ImageRegions:
        """Of the regions `boxes` of image `row` of a batch."""
        mine = target.sample == row
        real, ignored = target.take(mine & ~target.ignore), target.take(mine & target.ignore)
        overlap = iou(boxes, real.boxes)  # (r, t)
        best = overlap.new_zeros(len(boxes)) if not len(real.label) else overlap.amax(1)
        close = _spread((best > CLOSE).nonzero()[:, 0], CLOSE_OF_IMAGE)
        which = overlap[close].argmax(1) if len(close) else close
        shift = encode(real.boxes[which], boxes[close])
        true = np.arange(len(boxes)) >= len(boxes) - len(real.label)
        aside = (coverage(boxes, ignored.boxes) > 0.5).any(1)
        return cls(
            pooled=pooled.cpu().numpy(),
            overlap=overlap.cpu().numpy(),
            label=real.label.cpu().numpy(),
            true=true,
            aside=aside.cpu().numpy(),
            maps=maps[close].cpu().numpy(),
            near=real.label[which].cpu().numpy(),
            shift=shift.cpu().numpy(),
        )


def fit_regions(images: Sequence[ImageRegions], classes: int) -> dict[str, np.ndarray]:
    """`svm_weight` (k, f), `svm_bias` (k,), `box_weight` (4k, g) and `box_bias` (4k,), float32."""
    pooled, maps = (np.concatenate([getattr(image, name) for image in images]) for name in ("pooled", "maps"))
    scale, map_scale = _scale(pooled), _scale(maps)
    machines = [_machine(images, pooled * scale, label) for label in range(classes)]
    near, shift = (np.concatenate([getattr(image, name) for image in images]) for name in ("near", "shift"))
    moves = [_ridge(maps[near == label] * map_scale, shift[near == label]) for label in range(classes)]
    found = {
        "svm_weight": np.stack([weight for weight, _ in machines]) * scale,
        "svm_bias": np.array([bias for _, bias in machines]),
        "box_weight": np.concatenate([weight for weight, _ in moves]) * map_scale,
        "box_bias": np.concatenate([bias for _, bias in moves]),
    }
    return {name: values.astype(np.float32) for name, values in found.items()}


def _machine(images: Sequence[ImageRegions], pooled: Float[np.ndarray, "n f"], label: int) -> tuple[np.ndarray, float]:
    """Weight (f,) and bias of the machine of a class; one that always says no where the class has no object."""
    positive, negative = (np.concatenate(parts) for parts in zip(*(_sides(i, label) for i in images), strict=True))
    if not positive.any() or not negative.any():
        return np.zeros(pooled.shape[1]), NEVER
    right, wrong = pooled[positive], pooled[negative]
    used = np.zeros(len(wrong), bool)
    used[np.linspace(0, len(wrong) - 1, min(FIRST, len(wrong))).astype(int)] = True
    for _ in range(ROUNDS):
        weight, bias = _separate(right, wrong[used])
        margin = wrong @ weight + bias
        hard = (margin > HARD) & ~used
        if not hard.any():
            break
        used = (used & (margin >= EASY)) | hard
    return weight, bias


def _sides(image: ImageRegions, label: int) -> tuple[Bool[np.ndarray, "r"], Bool[np.ndarray, "r"]]:
    """Which regions of an image are positives and negatives of a class."""
    mine = image.label == label
    positive = np.zeros(len(image.true), bool)
    positive[image.true] = mine
    largest = image.overlap[:, mine].max(1, initial=0.0)
    return positive, (largest < NEGATIVE) & ~image.aside


def _separate(right: Float[np.ndarray, "p f"], wrong: Float[np.ndarray, "q f"]) -> tuple[np.ndarray, float]:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.svm import LinearSVC

    machine = LinearSVC(
        C=COST, loss="hinge", class_weight={1: POSITIVE_WEIGHT}, intercept_scaling=BIAS_SCALE, random_state=0
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # its tolerance is far below what a margin's order needs
        machine.fit(np.concatenate([right, wrong]), np.repeat([1, 0], [len(right), len(wrong)]))
    return machine.coef_[0], float(machine.intercept_[0])


def _ridge(maps: Float[np.ndarray, "p g"], shift: Float[np.ndarray, "p 4"]) -> tuple[np.ndarray, np.ndarray]:
    """Weight (4, g) and bias (4,); zeros, which leave a box where it is, without an example."""
    from sklearn.linear_model import Ridge

    if not len(maps):
        return np.zeros((4, maps.shape[1])), np.zeros(4)
    some = np.linspace(0, len(maps) - 1, min(CLOSE_OF_CLASS, len(maps))).astype(int)
    fit = Ridge(alpha=RIDGE, solver="cholesky").fit(maps[some], shift[some])
    return fit.coef_, fit.intercept_


def _scale(features: Float[np.ndarray, "n f"]) -> float:
    """The factor that brings features to a mean length of `LENGTH`."""
    length = float(np.linalg.norm(features, axis=1).mean()) if len(features) else 0.0
    return LENGTH / length if length else 1.0


def _spread(index: Int[Tensor, "n"], most: int) -> Int[Tensor, "m"]:
    """At most that many, at equal distances."""
    return index[torch.linspace(0, len(index) - 1, most).long()] if len(index) > most else index
