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

    quarantined: float = 0.05  # above this share of unusable files, the verdict begins with them
    gap: float = 0.03  # training above validation accuracy by more, and more than chance: overfitting
    train_poor: float = 0.90  # training accuracy below this: underfitting
    loss_rise: float = 0.10  # last validation loss above its best by more: it overfits with time …
    loss_floor: float = 0.01  # … and by more nats than this: near 0, even a multiple is negligible
    late: float = 0.90  # best validation loss in the last tenth of a run: it was still learning
    late_gain: float = 0.02  # … and the last quarter still lowered it by this share
    late_points: float = (
        0.01  # … and the validation accuracy, where it is known, rose by this: schedules end low anyway
    )
    early: float = 0.60  # best validation loss before this share of the run: the rest gained nothing
    validations: int = 5  # with fewer validations, nothing is said about the course
    sure: float = 0.95  # a mistake made with at least this probability is a confident one
    sure_mistakes: int = 3  # at least this many of them …
    sure_share: float = 0.20  # … and this share of all mistakes: look at the labels
    imbalance: float = 5.0  # largest over smallest class in training
    interval: float = 0.10  # an accuracy interval wider than this is too wide to decide by
    ece: float = 0.05  # expected calibration error above this: calibrate probabilities before use
    near_perfect: float = 0.995  # accuracy from which to ask whether the test is too easy
    z: float = 1.96  # the normal quantile of every 95 % statement here


MEANING = {
    "quarantined": "share of unusable files from which they come first",
    "gap": "training minus validation accuracy, if more than chance: overfitting",
    "train_poor": "training accuracy below: underfitting",
    "loss_rise": "rise of the validation loss above its best: overfits with time …",
    "loss_floor": "… and by more nats than",
    "late": "best validation after this share of the run: still learning …",
    "late_gain": "… if the last quarter lowered the loss by …",
    "late_points": "… and raised the validation accuracy by",
    "early": "best validation before this share of the run: plateau",
    "validations": "validations needed for findings about the course",
    "sure": "probability of a confident mistake",
    "sure_mistakes": "confident mistakes that cast doubt on labels …",
    "sure_share": "… and their share of all mistakes",
    "imbalance": "largest over smallest training class",
    "interval": "width of the accuracy interval: too few images",
    "ece": "expected calibration error: not calibrated",
    "near_perfect": "accuracy from which to check for leaks",
    "z": "normal quantile of the 95 % statements",
}


@dataclass(frozen=True)
class DenseThresholds:
    """Thresholds of segmentation and detection only."""

    nothing: float = 0.05  # AP50 below this: it finds almost nothing
    scarce: int = 30  # a class with fewer training images than this …
    taken: float = 0.10  # a class that loses this share of its pixels to another
    boundary: float = 0.20  # mean IoU above boundary F1 by more: regions right, edges wrong
    dominating: float = 0.40  # share of all mistakes that one kind makes up …
    mistakes: int = 20  # … of at least this many
    smaller: float = 0.15  # AP of large above that of small objects by more …
    objects: int = 20  # … with at least this many of both


DENSE_MEANING = {
    "nothing": "AP50 below: finds almost nothing",
    "scarce": "training images below which a weak class is called scarce",
    "taken": "share of a class's pixels predicted as another",
    "boundary": "mean IoU above boundary F1 by more: edges are wrong",
    "dominating": "share of all mistakes that one kind makes up …",
    "mistakes": "… of at least this many",
    "smaller": "AP of large above small objects by more …",
    "objects": "… with at least this many objects of both sizes",
}
_FOR_CLASSES_ONLY = ("sure", "sure_mistakes", "sure_share", "imbalance", "ece")  # need class probabilities


# An IoU or AP near 1 is rarer than an accuracy, and noisier.
DENSE_LIMITS = Thresholds(gap=0.05, train_poor=0.70, near_perfect=0.98)


def lines(limits: Thresholds, headline: Headline) -> list[tuple[str, str, str]]:
    """(name, value, meaning) of every threshold that a classifier's run is judged by, for the report's last page."""
    return [(f.name, f"{getattr(limits, f.name):g}", _meaning(f.name, headline)) for f in fields(limits)]


def dense_lines(limits: Thresholds, headline: Headline) -> list[tuple[str, str, str]]:
    """The same where pixels or objects are judged."""
    dense = DenseThresholds()
    own = [(f.name, f"{getattr(dense, f.name):g}", DENSE_MEANING[f.name]) for f in fields(dense)]
    return [line for line in lines(limits, headline) if line[0] not in _FOR_CLASSES_ONLY] + own


def _meaning(name: str, headline: Headline) -> str:
    return MEANING[name].replace("accuracy", headline.name)
