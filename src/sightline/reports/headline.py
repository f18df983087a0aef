"""The one number of a task: what it is called, how it is written, and whether it is a share of the images.

A rule of the verdict that is true of every task (fits, carries over, still improves, too few images) speaks of the
headline and not of one metric; what only one kind of answer can have (calibration, confused pixels, missed objects) has
rules of its own.
"""

from __future__ import annotations

from dataclasses import dataclass

from .wording import percent, percent_range


@dataclass(frozen=True)
class Headline:
    """`metric` is its key in metrics.json; `of_images`: a share of the images, so that n alone says how sure it is;
    `meaning` completes "On average …"."""

    metric: str
    name: str
    article: str = "a"
    of_images: bool = False
    meaning: str = ""

    @property
    def title(self) -> str:
        """The name at the beginning of a line."""
        return self.name[:1].upper() + self.name[1:]

    def figure(self, value: float | None, n: int | None = None) -> str:
        """The number in per cent; a share of images with the digits that so many earn."""
        return percent(value, n if self.of_images else None)

    def span(self, low: float, high: float, n: int | None = None) -> str:
        """Its interval, written like `figure`."""
        return percent_range(low, high, n if self.of_images else None)


ACCURACY = Headline("accuracy", "accuracy", "an", of_images=True)
MEAN_IOU = Headline(
    "mean_iou",
    "mean IoU",
    meaning="of the area that is of a class or is called so, this share is both, averaged over the classes",
)
BOX_AP50 = Headline(
    "ap50",
    "AP50",
    "an",
    meaning="the precision at every recall, averaged; a box counts when it overlaps its object by half",
)
MASK_AP50 = Headline(
    "mask_ap50",
    "mask AP50",
    meaning="the precision at every recall, averaged; a mask counts when it overlaps its object by half",
)
NOT_MEASURED = Headline("", "")  # of a kind of task that nothing measures
