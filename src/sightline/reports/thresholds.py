"""Where the verdict draws its lines, all in one place: change a number here and every sentence follows.

The questions are those of bias and variance (Geman, Bienenstock & Doursat 1992; as a working recipe, Ng, "Machine
Learning Yearning", 2018): is the training set learned, does it carry over, is the data the limit? A difference counts
only when chance does not explain it (95 %) *and* it is large enough to matter.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

from .headline import Headline


@dataclass(frozen=True)
class Thresholds:
    """Shares are of 1, not of 100."""

    quarantined: float = 0.05  # more unusable files than this and the verdict begins with them
    gap: float = 0.03  # training above validation accuracy by more, beyond chance: over-fitting
    train_poor: float = 0.90  # training accuracy below this: under-fitting, where labels agree
    loss_rise: float = 0.10  # last validation loss above its best by more: it over-fits with time …
    loss_floor: float = 0.01  # … and by more nats than this; near 0 a multiple is nothing
    late: float = 0.90  # best validation loss in the last tenth of a run: it was still learning
    late_gain: float = 0.02  # … and the last quarter still lowered it by this share
    late_points: float = (
        0.01  # … and the validation accuracy, where it is known, rose by this: schedules end low anyway
    )
    early: float = 0.60  # best validation loss before this share of the run: the rest bought nothing
    validations: int = 5  # fewer validations than this say nothing about the course
    sure: float = 0.95  # a mistake made with at least this probability is a confident one
    sure_mistakes: int = 3  # so many of them …
    sure_share: float = 0.20  # … and this share of all mistakes: look at the labels
    imbalance: float = 5.0  # largest over smallest class in training
    interval: float = 0.10  # an interval of accuracy wider than this is too wide to decide by
    ece: float = 0.05  # expected calibration error above this: probabilities cannot be used as they are
    near_perfect: float = 0.995  # accuracy from which on one should ask whether the test is too easy
    z: float = 1.96  # the normal quantile of every 95 % statement here


MEANING = {
    "quarantined": "share of unusable files that puts them first",
    "gap": "training minus validation accuracy, beyond chance: over-fitting",
    "train_poor": "training accuracy below: under-fitting",
    "loss_rise": "rise of the validation loss over its best: over-fits with time …",
    "loss_floor": "… if it is more nats than",
    "late": "best validation after this share of the run: still learning …",
    "late_gain": "… if the last quarter lowered the loss by …",
    "late_points": "… and raised the validation accuracy by",
    "early": "best validation before this share of the run: plateau",
    "validations": "validations needed to judge the course",
    "sure": "probability of a confident mistake",
    "sure_mistakes": "confident mistakes that raise doubt about labels …",
    "sure_share": "… and their share of all mistakes",
    "imbalance": "largest over smallest training class",
    "interval": "width of the accuracy interval: too few images",
    "ece": "expected calibration error: probabilities are off",
    "near_perfect": "accuracy that asks for a look at leaks",
    "z": "normal quantile of the 95 % statements",
}


@dataclass(frozen=True)
class DenseThresholds:
    """Lines that only segmentations and detections can cross."""

    nothing: float = 0.05  # a detector with a smaller AP50 finds as good as nothing
    scarce: int = 30  # a class with fewer training images than this …
    taken: float = 0.10  # a class of which another takes this share of its pixels
    boundary: float = 0.20  # mean IoU above boundary F1 by more: regions right, edges wrong
    dominating: float = 0.40  # share of all mistakes that one kind makes up …
    mistakes: int = 20  # … of at least so many
    smaller: float = 0.15  # AP of large above that of small objects by more …
    objects: int = 20  # … where there are at least so many of both


DENSE_MEANING = {
    "nothing": "AP50 below: finds as good as nothing",
    "scarce": "training images below which a weak class is called scarce",
    "taken": "share of a class's pixels that another takes",
    "boundary": "mean IoU above boundary F1 by more: edges are wrong",
    "dominating": "share of all mistakes that one kind makes up …",
    "mistakes": "… of at least so many",
    "smaller": "AP of large above small objects by more …",
    "objects": "… with at least so many objects of both sizes",
}
_UNASKED = ("sure", "sure_mistakes", "sure_share", "imbalance", "ece")  # what only class probabilities answer


# An IoU or AP near 1 is rarer than an accuracy, and noisier.
DENSE_LIMITS = Thresholds(gap=0.05, train_poor=0.70, near_perfect=0.98)


def lines(limits: Thresholds, headline: Headline) -> list[tuple[str, str, str]]:
    """(name, value, meaning) of every threshold that a classifier's run is judged by, for the report's last page."""
    return [(f.name, f"{getattr(limits, f.name):g}", _meaning(f.name, headline)) for f in fields(limits)]


def dense_lines(limits: Thresholds, headline: Headline) -> list[tuple[str, str, str]]:
    """The same where pixels or objects are judged."""
    dense = DenseThresholds()
    own = [(f.name, f"{getattr(dense, f.name):g}", DENSE_MEANING[f.name]) for f in fields(dense)]
    return [line for line in lines(limits, headline) if line[0] not in _UNASKED] + own


def _meaning(name: str, headline: Headline) -> str:
    return MEANING[name].replace("accuracy", headline.name)
