"""The one number of a task: what it is called, how it is written, and whether it is a share of the images.

Rules of the verdict that apply to every task (does it fit, generalise, still improve, are there enough images) use the
headline and no particular metric; what only one kind of prediction has (calibration, confused pixels, missed objects) has
rules of its own.
"""

from __future__ import annotations

from dataclasses import dataclass

from .wording import percent, percent_range


@dataclass(frozen=True)
class Headline:
    """`metric` is its key in metrics.json; `of_images`: a share of the images, so that n alone gives its interval;
    `meaning` completes "On average …"; `blind` names what reaches `RowFacts.majority` without a trained network."""

    metric: str
    name: str
    article: str = "a"
    of_images: bool = False
    meaning: str = ""
    blind: str = "guessing"

    @property
    def title(self) -> str:
        """The name with a capital letter."""
        return self.name[:1].upper() + self.name[1:]

    def figure(self, value: float | None, n: int | None = None) -> str:
        """The number in per cent; a share of images with as many digits as n supports."""
        return percent(value, n if self.of_images else None)

    def span(self, low: float, high: float, n: int | None = None) -> str:
        """Its interval, written like `figure`."""
        return percent_range(low, high, n if self.of_images else None)


ACCURACY = Headline("accuracy", "accuracy", "an", of_images=True)
MEAN_IOU = Headline(
    "mean_iou",
    "mean IoU",
    meaning="intersection of prediction and ground truth over their union, averaged over the classes",
)
BOX_AP50 = Headline(
    "ap50",
    "AP50",
    "an",
    meaning="the precision averaged over all recalls; a box is correct if it overlaps its object with an IoU of at least 50 %",
)
MASK_AP50 = Headline(
    "mask_ap50",
    "mask AP50",
    meaning="the precision averaged over all recalls; a mask is correct if it overlaps its object with an IoU of at least 50 %",
)
NOT_MEASURED = Headline("", "")  # for a kind of task without a metric
