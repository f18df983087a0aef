"""The thresholds of the verdict, all in one place.

The questions are those of bias and variance (Geman, Bienenstock & Doursat 1992; as a working recipe, Ng, "Machine
Learning Yearning", 2018): is the training set learned, does it generalise, is the data the limit? A difference counts
only if chance does not explain it (95 %) *and* it is large enough to matter.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

from .headline import Headline


@dataclass(frozen=True)
class Thresholds:
    """Shares are of 1, not of 100."""

    quarantined: float = 0.05  # with more than this share of unusable files, the verdict begins with them
    gap: float = 0.03  # training exceeds validation accuracy by more, and by more than chance: overfitting
    train_poor: float = 0.90  # training accuracy below this: underfitting
    loss_rise: float = 0.10  # last validation loss above its best by more: it overfits with time …
    loss_floor: float = 0.01  # … and by more nats than this: near 0, even a multiple is negligible
    late: float = 0.90  # best validation loss in the last tenth of a run: it was still learning
    late_gain: float = 0.02  # … and the last quarter still lowered it by this share
    late_points: float = 0.01  # … and the validation accuracy, if known, rose by this: schedules end low anyway
    early: float = 0.60  # best validation loss before this share of the run: the rest gained nothing
    explosion: float = 10.0  # training loss above that of guessing by this factor, and never back: diverged
    few_steps: int = 150  # with fewer optimiser steps, a poor fit is a matter of time
    skill: float = 0.05  # a permutation test below this: it has learned something, whatever its accuracy
    blind: float = 0.60  # confidence separates right from wrong answers with an AUC below this: check the labels …
    blind_mistakes: int = 20  # … with at least so many mistakes
    scattered: float = 0.40  # labels of confident mistakes stand this far down the other classes: drawn at random
    validations: int = 5  # with fewer validations, there are no findings about the course of training
    confident: float = 0.95  # a mistake with at least this probability is a confident one
    confident_mistakes: int = 3  # at least this many of them …
    confident_share: float = 0.20  # … and this share of all mistakes: check the labels
    imbalance: float = 5.0  # largest over smallest class in training
    interval: float = 0.10  # an accuracy interval wider than this supports no decision
    ece: float = 0.05  # expected calibration error above this: calibrate probabilities before use
    near_perfect: float = 0.995  # from this accuracy on, the test may be too easy
    dead: float = 0.5  # share of dead units in a layer above this: they limit what it can learn
    slow: float = 1e-4  # median update-to-weight ratio below this: the learning rate is too low
    slice: float = 0.05  # a slice counts if its score is below that of the rest by more …
    slice_share: float = 0.02  # … and limits the whole if it has at least this share of the images
    small: float = 50  # training images a class below which overfitting is a matter of too few images
    z: float = 1.96  # the normal quantile of every 95 % statement here


MEANING = {
    "quarantined": "share of unusable files above which the verdict begins with them",
    "gap": "training minus validation accuracy above this, and above chance: overfitting",
    "train_poor": "training accuracy below this: underfitting",
    "loss_rise": "relative rise of the validation loss above its minimum: overfits with time …",
    "loss_floor": "… and by more than so many nats",
    "late": "best validation after this share of the run: still improving …",
    "late_gain": "… if the last quarter lowered the loss by this share …",
    "late_points": "… and raised the validation accuracy by this much",
    "early": "best validation before this share of the run: plateau",
    "explosion": "training loss over that of guessing above this, and never back: diverged",
    "few_steps": "optimiser steps below which a poor fit is a matter of time",
    "skill": "p of the permutation test below this: it has learned something",
    "blind": "AUC of confidence for right against wrong answers below this: check the labels …",
    "blind_mistakes": "… with at least this many mistakes",
    "scattered": "mean place of the label among the other classes, in confident mistakes, above this: check the labels",
    "validations": "validations needed for findings about the course of training",
    "confident": "probability from which a mistake is called confident",
    "confident_mistakes": "confident mistakes that cast doubt on labels …",
    "confident_share": "… and their share of all mistakes",
    "imbalance": "largest over smallest training class",
    "interval": "width of the accuracy interval above this: too few images",
    "ece": "expected calibration error above this: not calibrated",
    "near_perfect": "accuracy from which the test may be too easy",
    "dead": "share of dead units in a layer above this limits what it can learn",
    "slow": "update-to-weight ratio below this: the learning rate is too low",
    "slice": "score of a slice below that of the rest by more: it fails there …",
    "slice_share": "… and the slice limits the whole from this share of the images on",
    "small": "training images a class below which overfitting means too few images",
    "z": "normal quantile of the 95 % statements",
}


@dataclass(frozen=True)
class DenseThresholds:
    """Thresholds of segmentation and detection only."""

    min_ap50: float = 0.05  # AP50 below this: it finds almost nothing
    scarce: int = 30  # a class with fewer training images than this …
    pixel_confusion: float = 0.10  # share of a class's pixels predicted as another class
    boundary: float = 0.20  # mean IoU exceeds boundary F1 by more: regions right, edges wrong
    dominating: float = 0.40  # share of all mistakes that one kind makes up …
    min_mistakes: int = 20  # … of at least this many
    size_gap: float = 0.15  # AP of large objects exceeds that of small ones by more …
    min_objects: int = 20  # … with at least this many of both


DENSE_MEANING = {
    "min_ap50": "AP50 below this: finds almost nothing",
    "scarce": "training images below which a weak class is called scarce",
    "pixel_confusion": "share of a class's pixels predicted as another class",
    "boundary": "mean IoU minus boundary F1 above this: edges are wrong",
    "dominating": "share of all mistakes that one kind makes up …",
    "min_mistakes": "… of at least this many",
    "size_gap": "AP of large minus AP of small objects above this …",
    "min_objects": "… with at least this many objects of both sizes",
}
_FOR_CLASSES_ONLY = (
    "confident",
    "confident_mistakes",
    "confident_share",
    "imbalance",
    "ece",
    "explosion",
    "skill",
    "blind",
    "blind_mistakes",
    "scattered",
    "small",
)  # need class probabilities


# IoU and AP are rarely as close to 1 as accuracies, and noisier.
DENSE_LIMITS = Thresholds(gap=0.05, train_poor=0.70, near_perfect=0.98)


def threshold_rows(limits: Thresholds, headline: Headline) -> list[tuple[str, str, str]]:
    """(name, value, meaning) of every threshold for a classifier's run, for the last section of the report."""
    return [(f.name, f"{getattr(limits, f.name):g}", _meaning(f.name, headline)) for f in fields(limits)]


def dense_threshold_rows(limits: Thresholds, headline: Headline) -> list[tuple[str, str, str]]:
    """The same for segmentation and detection."""
    dense = DenseThresholds()
    own = [(f.name, f"{getattr(dense, f.name):g}", DENSE_MEANING[f.name]) for f in fields(dense)]
    return [line for line in threshold_rows(limits, headline) if line[0] not in _FOR_CLASSES_ONLY] + own


def _meaning(name: str, headline: Headline) -> str:
    return MEANING[name].replace("accuracy", headline.name)
