"""Which metric should decide? By the kind of task, by what costs more, and by how rare the rarest class is.

A missed tumour, a missed thief and a missed crack cost more than a second look; a wanted mail in the spam folder, a blocked
payment and an alarm in the night cost more than one that slipped through. Accuracy knows neither, and where one class has most
of the images, answering it always is accurate.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

Worse = Literal["miss", "false-alarm", "neither"]
RARE = 3.0  # times as many images in the largest class as in the smallest, from which accuracy misleads


@dataclass(frozen=True)
class Advice:
    """`metric` as a value of `fit.monitor`, why, what to read beside it, and what to do about the threshold; "" for nothing."""

    metric: str
    reason: str
    beside: str
    threshold: str = ""

    def to_json(self) -> dict[str, Any]:
        return {
            "metric": self.metric, "reason": self.reason, "beside": self.beside, "threshold": self.threshold,
            "key": f"fit.monitor={self.metric}",
        }  # fmt: skip


_LOWER = "lower the score from which the answer counts, until recall on val is high enough: predict --conf"
_HIGHER = "raise the score from which the answer counts, until precision on val is high enough: predict --conf"
_CLASSES = {
    "miss": Advice(
        "balanced_accuracy",
        "a miss costs more, and the mean of the classes' recalls counts what is missed of each class alike, however few images "
        "it has",
        "the recall of the class that must not be missed, with its interval",
        _LOWER,
    ),
    "false-alarm": Advice(
        "macro_f1",
        "a false alarm costs more; precision alone would favour a network that hardly ever answers, and the F1 of each class "
        "falls with every false alarm",
        "the precision of the class that must not be claimed wrongly",
        _HIGHER,
    ),
}
_RANKS = "it ranks images for each label and needs no threshold"
_BOTH = "pixels that are missed and pixels that are claimed count alike, for each class"
_ANY = "it holds for every threshold"
_OTHERS: dict[tuple[str, str], Advice] = {
    ("multilabel", "miss"): Advice("map", _RANKS, "recall", _LOWER),
    ("multilabel", "false-alarm"): Advice(
        "micro_f1", "every label that is given wrongly lowers it", "precision", _HIGHER
    ),
    ("multilabel", "neither"): Advice("map", _RANKS, "macro_f1"),
    ("segmentation", "miss"): Advice("mean_iou", _BOTH, "recall of the class"),
    ("segmentation", "false-alarm"): Advice("mean_iou", _BOTH, "precision of the class"),
    ("segmentation", "neither"): Advice(
        "mean_iou", "large regions do not drown small ones, as in accuracy", "mean_dice"
    ),
    ("detection", "miss"): Advice("ap50", "an object counts although its box is loose", "recall at 100 boxes", _LOWER),
    ("detection", "false-alarm"): Advice(
        "ap50", "false boxes above true ones lower it", "precision at best F1", _HIGHER
    ),
    ("detection", "neither"): Advice("ap", "it also asks how well boxes fit", "ap50"),
    ("regression", "neither"): Advice(
        "r2", "it says how much better than the mean a prediction is", "MAE in the data's units"
    ),
    ("embedding", "miss"): Advice("auc", _ANY, "frr at the threshold", "raise the threshold"),
    ("embedding", "false-alarm"): Advice("auc", _ANY, "far at the threshold", "lower the threshold"),
    ("embedding", "neither"): Advice("auc", _ANY, "eer"),
}


def advise(kind: str, worse: Worse, counts: tuple[int, ...] = ()) -> Advice | None:
    """The metric for a kind of task, given what is worse and how many images each class has; None where nothing is known to
    depend on it."""
    if kind != "classification":
        return _OTHERS.get((kind, worse)) or _OTHERS.get((kind, "neither"))
    if worse != "neither":
        return _CLASSES[worse]
    known = [n for n in counts if n]
    if len(known) > 1 and max(known) >= RARE * min(known):
        share = max(known) / sum(known)
        reason = (
            f"always answering the largest class is right for {share:.0%} of the images: accuracy would hide the others"
        )
        return Advice("balanced_accuracy", reason, "the confusion matrix, and mcc")
    return Advice(
        "accuracy", "the classes have about as many images each, and all mistakes cost alike", "the confusion matrix"
    )
